"""What the text of code says, without running it."""
