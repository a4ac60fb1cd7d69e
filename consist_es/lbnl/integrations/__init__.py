"""Place of the submodules of ``consist.integrations``."""
