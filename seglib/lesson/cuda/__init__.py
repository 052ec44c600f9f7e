"""What only the lesson 08_cuda needs."""
