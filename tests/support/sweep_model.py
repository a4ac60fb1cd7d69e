"""Steps for tests of sweeps: what a row may do."""

import os
import signal
from pathlib import Path
from typing import Any

import consist_es as consist


def assign(toll: float) -> Path:
    """Write a file."""
    path = consist.output_path("flows", "txt")
    path.write_text(f"{toll * 2}\n")
    return path


class OddError(Exception):
    """Does not unpickle: its constructor takes other arguments than it keeps."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"odd {first} and {second}")


def assign_unless_odd(toll: float) -> Path:
    """Raise for odd rows what no pool could hand back."""
    if toll % 2:
        raise OddError(1, 2)
    return assign(toll)


def killed_once(toll: float, mark: str) -> Path:
    """Kill the worker at the first call for this row."""
    if toll == 1 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return assign(toll)


def leaves(toll: float) -> Path:
    """End the worker as a script would."""
    raise SystemExit(f"leaving at {toll}")


def price(fares: Path, toll: float) -> Path:
    """Read an input."""
    path = consist.output_path("prices", "txt")
    path.write_text(f"{float(fares.read_text()) + toll}\n")
    return path


def policy(sc: Any, row: dict[str, Any]) -> None:
    """A scenario of one step."""
    sc.run(assign, config=row, outputs=["flows"])
