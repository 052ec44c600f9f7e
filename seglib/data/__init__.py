"""From two folders of files to batches. Explained in 01_dataset to 03_dataloader."""
