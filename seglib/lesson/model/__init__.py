"""What only 04_model needs: its exercise checks, the drawing of a DeepLab, the auxiliary head, a slider."""
