"""The append-only log: the only truth of a project. Its format: docs/log-format.md."""
