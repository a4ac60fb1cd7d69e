"""Locates code, and finds the distribution it is from."""
