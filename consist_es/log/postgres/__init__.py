"""The log of a project in a PostgreSQL database, for processes of many machines; see docs/postgresql.md."""
