"""What only the lesson silent_bugs needs."""
