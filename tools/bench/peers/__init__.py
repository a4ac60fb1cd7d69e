"""Contestants: each is a script that does the same steps in one library."""
