"""Longer forms of the tests of hostile input: see docs/security.md."""
