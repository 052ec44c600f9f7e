"""What only the lesson 12_silent_bugs needs."""
