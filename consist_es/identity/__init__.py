"""What makes two runs the same."""
