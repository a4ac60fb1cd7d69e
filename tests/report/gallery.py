"""One project with something of everything: what the tests of the report look at."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import consist_es as consist
from tests.reading.model import Edit, Model
from tests.support.api import PATHS, made

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u05d0\u200f&amp; $&"
SECRET = "hunter2-not-for-the-report"
REDACTED = "redacted-not-for-the-report"
FOLDER = "secret_folder_of_somebody"


@dataclasses.dataclass
class Policy:
    """A config as an object."""

    price: float
    zones: list[int]


def shape(level: int = 0) -> Path:
    return made("shape", f"{level % 2}\n")


def fail(secret: str = "") -> None:
    raise ValueError(f"no zone in {Path(__file__).parent / FOLDER / 'zones.csv'}, password={SECRET}")


SHAPES: tuple[dict[str, Any] | None, ...] = (
    None,
    {"a": 1, "list": [1, 2, 3], "deep": {"x.y": {"z": 1.0}}, "big": 10**30, "policy": Policy(1.0, [1, 2])},
    {"a": 1.0, "list": [1, 5, 3], "deep": {"x.y": {"z": 2.0}}, "big": 10**30 + 1, "policy": Policy(2.0, [1, 2])},
    {"list": [1, 2], "deep": {"x.y": 3}, "nan": float("nan"), "api_key": SECRET, "policy": Policy(2.0, [1])},
    {"years": {2025: 1.0, 2030: 2.0}, "path": Path("a/b.csv"), "api_key": SECRET + "2", "none": None},
    {"years": {2025: 1.5, 2030: 2.0}, "text": HOSTILE, "__proto__": 1, "none": 0},
    {f"key_{number:02}": number for number in range(30)},
    {f"key_{number:02}": number + 1 for number in range(30)},
)
"""Configs of one step: every way in which two of them can differ."""


def record(folder: Path) -> Path:
    """The project, recorded in a folder. Gives its database."""
    model = Model(folder)
    model.play("base")
    model.play("base")
    model.play("config", Edit("demand", "config", "a"), Edit("report", "config", "b"))
    model.play("code", Edit("assign", "code", ""))
    model.play("input", Edit("supply", "input", ""))
    model.play("shorter", skip="report")
    for number, config in enumerate(SHAPES):
        with model.tracker.scenario(f"shape_{number}", config=config, tags=["shapes"], description=HOSTILE) as sc:
            sc.run(shape, config=config, outputs=["shape"], year=2030, phase=HOSTILE)
            sc.run(partial(shape, number % 3), name="part", outputs=["shape"])
    with contextlib.suppress(ValueError), model.tracker.scenario("broken", description=f"reads {folder}") as sc:
        sc.run(shape, config={"lost": REDACTED}, outputs=["shape"], year=2040)
        sc.run(fail)
    model.tracker.run(shape, outputs=["shape"], execution_options=PATHS)
    _redact(model.tracker)
    model.tracker.close()
    return folder / "p.db"


def _redact(tracker: consist.Tracker) -> None:
    project = tracker.project
    (position,) = [row[0] for row in project.connection().execute(_LOST)]
    project.redact([position], "for the test")


_LOST = f"SELECT started_seq FROM runs WHERE config LIKE '%{REDACTED}%' AND kind <> 'scenario'"


def damage(folder: Path) -> None:
    """Change one byte of an event in the middle of the log."""
    (segment,) = (folder / "p.events").glob("*.jsonl")
    blob = bytearray(segment.read_bytes())
    blob[blob.index(b"model_steps", len(blob) // 2)] ^= 1
    segment.write_bytes(bytes(blob))
