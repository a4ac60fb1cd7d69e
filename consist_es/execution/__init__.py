"""A step while it runs."""
