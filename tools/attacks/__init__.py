"""Attacks on cache keys: small cases, each with the verdict it must have, for this library and for others.

``python tools/attacks/run.py`` runs them against this library, ``python tools/attacks/compare.py`` against all.
"""
