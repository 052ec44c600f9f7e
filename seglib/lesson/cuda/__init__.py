"""What only the lesson cuda needs."""
