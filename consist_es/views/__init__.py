"""SQLite views that follow the log."""
