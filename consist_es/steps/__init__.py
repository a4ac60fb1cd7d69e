"""A step before it runs: its arguments, checks and identity."""
