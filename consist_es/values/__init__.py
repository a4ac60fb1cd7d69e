"""A user's value as plain JSON, without secrets."""
