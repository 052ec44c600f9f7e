"""What only the lesson start_here needs."""
