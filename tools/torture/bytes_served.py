"""R12: whatever happens to an output, a hit never hands out other bytes than those that were recorded."""

from __future__ import annotations

import os
import shutil
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import consist_es as consist
from consist_es import CacheOptions, Tracker
from consist_es.steps.options import HYDRATIONS, VALIDATIONS
from torture import operations
from torture.trial import Trial, require

GOOD = "0\n"


def _same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_text("1\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replaced_by_a_link(path: Path) -> None:
    other = path.with_name("other.txt")
    other.write_text("1\n")
    path.unlink()
    path.symlink_to(other)


def _replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _moved_in_with_its_time(path: Path) -> None:
    other = path.with_name("other.txt")
    other.write_text("1\n")
    shutil.copystat(path, other)
    other.replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "emptied": lambda path: path.write_text(""),
    "cut": lambda path: os.truncate(path, 1),
    "longer": lambda path: path.write_text(GOOD + "1\n"),
    "same size": lambda path: path.write_text("1\n"),
    "same size and time": _same_size_and_time,
    "a link to other bytes": _replaced_by_a_link,
    "a folder": _replaced_by_a_folder,
    "moved in, with the old time": _moved_in_with_its_time,
}


def served(trial: Trial) -> None:
    """Nine changes in every mode; then `count` times a change while the output is being copied."""
    number = 0
    for name, change in CHANGES.items():
        for hydration in HYDRATIONS:
            for validation in VALIDATIONS:
                number += 1
                room = trial.room(f"b{number}")
                with trial.case(f"{name}, {hydration}, {validation}", "changes"), operations.inside(room):
                    _changed(change, hydration, validation)
                shutil.rmtree(room)
    room = trial.room("race")
    with trial.case("race", "races"), operations.inside(room):
        _race(trial)


def _step(n: int) -> Path:
    """Writes where the calls expect it."""
    path = consist.output_dir() / "o.txt"
    path.write_text(f"{n}\n")
    return path


def _run(tracker: Tracker, hydration: str, validation: str = "lazy") -> tuple[bool, Path]:
    options = CacheOptions(cache_hydration=hydration, validate_cached_outputs=validation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked: dict[str, Any] = {"outputs": ["o"]}
        if hydration == "outputs-requested":  # to a place that the caller names
            asked = {"output_paths": {"o": "o.txt"}}
        result = tracker.run(_step, config={"n": 0}, cache_options=options, **asked)
    return result.cache_hit, result.outputs["o"].path


def _changed(change: Callable[[Path], object], hydration: str, validation: str) -> None:
    with operations.opened(sync="os") as tracker:
        _, path = _run(tracker, hydration, validation)
        hit, same = _run(tracker, hydration, validation)
        require(hit and same.read_text() == GOOD, "an unchanged output is no hit")
        for place in {path, same}:
            change(place)
        hit, found = _run(tracker, hydration, validation)
        require(found.read_text() == GOOD, f"BAD: {found.read_bytes()[:20]!r}")
        require(not hit, "a hit on bytes that changed")
        reasons = [event.event for event in tracker.project.log.read() if event.type == "cache_missed"]
        require("candidate_outputs_invalid" in str(reasons[-1]), f"recorded: {str(reasons[-1])[:200]}")


def _race(trial: Trial) -> None:
    """Somebody rewrites the output while it is copied for a hit."""
    with operations.opened(sync="os") as tracker:
        _, path = _run(tracker, "metadata")
        stop = threading.Event()

        def rewrite() -> None:
            while not stop.is_set():
                for text in ("1\n", GOOD, "11\n", GOOD):
                    path.write_text(text)

        thread = threading.Thread(target=rewrite)
        thread.start()
        try:
            for _ in trial.cases():
                hit, found = _run(tracker, "outputs-all")
                trial.tell("copies" if found != path else "served in place")
                if found != path:
                    require(found.read_text() == GOOD, f"BAD copy: {found.read_bytes()[:20]!r} (hit: {hit})")
        finally:
            stop.set()
            thread.join()
        require(trial.tried.get("copies"), "nothing was copied")
