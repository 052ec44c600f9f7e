"""What only the lesson transforms needs."""
