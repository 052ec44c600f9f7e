"""What only 00_start_here needs: its exercise checks and its figures."""
