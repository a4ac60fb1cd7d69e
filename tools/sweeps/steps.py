"""The model of the check: imported by every worker."""

import time
from pathlib import Path
from typing import Any

import consist_es as consist

FACTOR = 3


def helper(n: int) -> int:
    """What a step calls."""
    return n * FACTOR


def step(n: int) -> Path:
    """Write a file."""
    path = consist.output_path("out", "txt")
    path.write_text(str(helper(n)))
    return path


def made(extra: int) -> Any:
    """A closure of a module."""

    def inner(n: int) -> Path:
        path = consist.output_path("out", "txt")
        path.write_text(str(helper(n) + extra))
        return path

    return inner


def policy(sc: Any, row: dict[str, Any]) -> None:
    """A scenario of one step."""
    sc.run(step, config=row, outputs=["out"])


def bare(n: int, folder: str) -> None:
    """The same work without the library, to time the executor alone."""
    (Path(folder) / f"{n}.txt").write_text(str(helper(n)))


def slow(n: int) -> Path:
    """Say that it began, and wait until it may go on."""
    Path(f"slow-{n}.began").touch()
    while n and not Path("never").exists():
        time.sleep(0.1)
    return step(n)
