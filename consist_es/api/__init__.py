"""Tracker, scenario, coupler and the module-level functions: the API for model code."""
