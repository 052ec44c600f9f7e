"""What only 05_loss needs."""
