"""Speeds and sizes of the log and the views, as ratios and figures of one run on one machine.

``python -m tools.bench`` prints them; docs/performance.md has those of one run.
"""
