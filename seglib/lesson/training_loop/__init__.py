"""What only the lesson training_loop needs."""
