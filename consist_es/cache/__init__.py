"""Cache lookups: whether an earlier run is a hit, and why not."""
