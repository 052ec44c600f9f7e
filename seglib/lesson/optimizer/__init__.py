"""What only 06_optimizer needs."""
