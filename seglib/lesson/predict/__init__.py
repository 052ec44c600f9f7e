"""What only the lesson predict needs."""
