"""What only 01_dataset needs: its exercise checks, its figure, its slider."""
