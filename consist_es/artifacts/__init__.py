"""Files: where they lie, what they hold, what their bytes are."""
