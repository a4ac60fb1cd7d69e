"""``python -m tools.torture [--short | --night | --release] [--only R1,R5] [--seed N] [--jobs N]``."""

import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOOLS))
sys.path.append(str(TOOLS.parent))  # last: Q1 runs the rows with a changed copy of the library

from torture.runner import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
