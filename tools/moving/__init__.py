"""How much of LBNL's consist is provided, measured against its own source and its own tests."""
