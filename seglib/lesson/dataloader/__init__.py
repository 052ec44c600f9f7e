"""What only the lesson dataloader needs."""
