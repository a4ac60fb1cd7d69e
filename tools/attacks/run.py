"""Run the attacks against this library and print each case's verdict; exit 1 on any wrong hit or broken case.

::

    python tools/attacks/run.py [words that the names of cases must contain]
    python tools/attacks/run.py --fresh N [--seed S] [--only K] [--about WORDS] [--jobs J]

The second form makes up N programs instead, see `attacks.fresh`.
"""

import sys
import tempfile
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from attacks import bench  # noqa: E402
from attacks.cases import CASES  # noqa: E402
from attacks.fresh import command  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = bench.Tool("ours", Path(sys.executable), str(ROOT))


def main(words: list[str]) -> int:
    """Run the cases whose names contain any of the words, all without words."""
    cases = [case for case in CASES if not words or any(word in case.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        version, results = bench.attack_all(OURS, cases, Path(folder))
    for result in results:
        print(f"{result.score:15} {result.case.verdict:4}  {result.case.name}  {result.note}".rstrip())
    counts = bench.counted(results)
    print(f"consist-es {version}: {len(results)} cases, " + ", ".join(f"{counts[s]} {s}" for s in bench.SCORES))
    return 1 if counts[bench.WRONG] or counts[bench.BROKEN] else 0


if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]) if "--fresh" in sys.argv else main(sys.argv[1:]))
