"""Tracker, scenario, coupler and the module-level functions: what model code calls."""
