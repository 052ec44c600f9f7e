"""What only the lesson checkpoints needs."""
