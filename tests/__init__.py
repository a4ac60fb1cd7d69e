"""Tests are a package so that they can share their helpers."""
