"""Fuzz what turns texts into paths: every text is refused in our own words, or leads below its root.

::

    python tools/hostile/fuzz.py [--count 100000] [--seed 1]

The long form of the properties in tests/hostile/test_hostile_paths.py. Prints what was tried; exit code 1 where a text
escaped or something else than a PathError was raised, and the text is printed with its seed.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))

from consist_es.artifacts.uris import UriMap, below, inside
from consist_es.errors import PathError

URIS = UriMap(run_dir="/srv/project/runs", mounts={"data": "/srv/data", "d2": "/srv/data/below"})
PIECES = (
    "..", ".", "/", "//", "\\", "%2e", "%2E%2e", "%2f", "%5c", "%00", "%252e", "\0", "a", "b.csv", " ", "~", ":",
    "://",
    "data", "d2", "file", "http", "./", "../", "/..", "C:", "\\\\", "\n", "\x1b", "\u202e", "\uff0e", "\udcff",
    "\ud800", "x" * 255, "x" * 256, "\U0001f4a3",
)  # fmt: skip
PREFIXES = ("", "./", "/", "data://", "d2://", "file://", "file:///", "other://")


def text_of(chance: random.Random) -> str:
    """A text made of pieces that matter, now and then of any characters."""
    if chance.random() < 0.2:
        return "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randrange(20)))
    return "".join(chance.choice(PIECES) for _ in range(chance.randrange(12)))


def resolved(uri: str) -> str | None:
    """What is wrong with what a URI resolves to, or None."""
    found = URIS.resolve(uri)
    if not found.is_absolute() or ".." in found.parts or "\0" in str(found):
        return f"no sound path: {found!a}"
    scheme = uri.partition("://")[0]
    root = URIS.run_dir if uri.startswith("./") else URIS.mounts.get(scheme) if "://" in uri else None
    return None if root is None or below(str(found), root) is not None else f"outside {root}: {found!a}"


def joined(text: str) -> str | None:
    """What is wrong with a name joined to a root, or None."""
    found = inside("/srv/root", text, text)
    return None if below(os.path.normpath(found), "/srv/root") is not None else f"outside: {found!a}"


Check = Callable[[str], str | None]
CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = ((resolved, PREFIXES), (joined, ("",)))


def chosen(chance: random.Random) -> tuple[Check, str]:
    """What to try next, and with which text."""
    check, prefixes = chance.choice(CHECKS)
    return check, chance.choice(prefixes) + text_of(chance)


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance, outcome, began = random.Random(given.seed), Counter[str](), time.monotonic()
    for _ in range(given.count):
        check, text = chosen(chance)
        try:
            problem = check(text)
        except PathError:
            outcome["refused"] += 1
            continue
        except Exception as error:  # noqa: BLE001  anything else is what is looked for
            problem = f"{type(error).__name__}: {error}"
        if problem is not None:
            sys.exit(f"seed {given.seed}: {check.__name__}({text!a}): {problem}")
        outcome["led below the root"] += 1
    seconds = time.monotonic() - began
    print(f"{given.count:,} texts, seed {given.seed}, {seconds:.1f} s: {dict(outcome)}, 0 escapes, 0 other errors")


if __name__ == "__main__":
    main()
