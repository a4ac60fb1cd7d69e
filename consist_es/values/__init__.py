"""Turns a user's values into plain JSON, without secrets."""
