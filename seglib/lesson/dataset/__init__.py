"""What only the lesson dataset needs."""
