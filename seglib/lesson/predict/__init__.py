"""What only the lesson 11_predict needs."""
