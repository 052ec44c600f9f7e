"""The training loop, and what stands around it. Explained in 07_training_loop."""
