"""What only the lesson your_own_data needs."""
