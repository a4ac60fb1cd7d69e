"""Place of the submodules of ``consist.core``."""
