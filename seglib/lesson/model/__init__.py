"""What only the lesson model needs."""
