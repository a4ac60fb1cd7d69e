"""Notes what a step reads while it runs: files, listings, variables, modules, programs, random state."""
