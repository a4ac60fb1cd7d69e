"""Our merged HOCON values against pyhocon's, over texts made by chance: part of ``tools/dev.py external adapters``."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from adapters.hocons import make  # noqa: E402
from consist_es.adapters.hocon import Source, read_tree  # noqa: E402
from consist_es.adapters.hocon_resolved import Resolved  # noqa: E402
from consist_es.errors import ConsistError  # noqa: E402

VARIABLES = {"MADE_VARIABLE": "/made"}
THEIRS = """
import json, os, signal, sys
os.environ["MADE_VARIABLE"] = "/made"
from pyhocon import ConfigFactory
def read(text):
    signal.alarm(3)  # some texts take it minutes
    try:
        return json.loads(json.dumps(ConfigFactory.parse_string(text)))
    except Exception:
        return "refused"
    finally:
        signal.alarm(0)
def stop(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, stop)
json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
"""


def ours(text: str) -> Any:
    """The values by our reader."""
    try:
        return plain(Resolved(read_tree(Source("made", text, lambda name: Source(name, "", None))), VARIABLES).data())  # type: ignore[arg-type]
    except ConsistError:
        return "refused"


def plain(value: Any) -> Any:
    """Values as JSON has them: numbers that are kept as text too."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return float(value[1])
    return value


def same(one: Any, other: Any) -> bool:
    """True for equal values; numbers by value."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other)
    return bool(one == other)


def compare(python: Path, count: int, seed: int) -> int:
    """Differences, shown."""
    texts = [make(seed + number) for number in range(count)]
    answered = subprocess.run(
        [python, "-c", THEIRS], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    differences = 0
    both = 0
    for text, theirs in zip(texts, json.loads(answered.stdout), strict=True):
        mine = ours(text)
        both += mine != "refused" and theirs != "refused"
        if mine != "refused" and theirs != "refused" and not same(mine, theirs):
            differences += 1
            print(f"DIFFERENT:\n{text}\n  ours:   {mine}\n  theirs: {theirs}")
    print(f"{count} HOCON texts, {both} read by both: {differences} differences")
    return differences


if __name__ == "__main__":
    sys.exit(1 if compare(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])) else 0)
