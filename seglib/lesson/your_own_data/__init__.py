"""What only the lesson 13_your_own_data needs."""
