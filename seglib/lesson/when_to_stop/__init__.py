"""What only the lesson when_to_stop needs."""
