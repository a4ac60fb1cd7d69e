"""Keeps facts and drops bytes: evictions, pins, and the collection of what nothing needs."""
