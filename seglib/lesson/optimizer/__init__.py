"""What only the lesson optimizer needs."""
