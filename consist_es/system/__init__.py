"""The operating system, behind one interface."""
