"""What only the lesson many_gpus needs."""
