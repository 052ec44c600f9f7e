"""What only 03_dataloader needs: its exercise checks, its charts, random numbers in workers, a leaking split."""
