"""Identity of a run: what must be equal for two runs to count as the same."""
