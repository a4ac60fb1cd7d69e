"""Torture of log, views and steps: every row of the reliability matrix as a program that tries to break a promise.

``python -m tools.torture`` runs it; docs/reliability.md says what was found.
"""
