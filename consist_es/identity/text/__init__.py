"""Analyses the text of code, without running it."""
