"""Reads what loaded modules and objects hold beyond their source text."""
