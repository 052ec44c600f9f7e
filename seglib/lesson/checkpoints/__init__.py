"""What only 10_checkpoints needs."""
