"""What only the lesson loss needs."""
