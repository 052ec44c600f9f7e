"""What only 09_when_to_stop needs."""
