"""What only 02_transforms needs: its exercise checks, its figure, its widget."""
