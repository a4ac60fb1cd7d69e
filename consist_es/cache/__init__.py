"""Whether an earlier run answers, and why not."""
