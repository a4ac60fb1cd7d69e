"""A step before it runs: what was asked, checked and identified."""
