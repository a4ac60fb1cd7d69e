"""Generated programs with random edits: `python tools/attacks/run.py --fresh N`, see docs/attacks.md."""
