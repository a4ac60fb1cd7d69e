"""Checks of the config adapters against the models' own readers."""
