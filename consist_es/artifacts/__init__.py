"""Locates, digests, describes, copies and loads files."""
