"""What model code holds in its hands."""
