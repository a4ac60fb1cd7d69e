"""A step run over many rows: on an executor, or by a script for a batch system."""
