"""What only the lesson 14_many_gpus needs."""
