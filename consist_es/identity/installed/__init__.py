"""Where code lies, and which distribution it is from."""
