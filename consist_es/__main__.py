"""``python -m consist_es`` is the same as ``consist-es``."""

from consist_es.cli import main

if __name__ == "__main__":
    main()
