"""What only 07_training_loop needs: words beside the loop, exercise checks, charts, the live monitor."""
