"""S3 and S4: texts that somebody wants taken for a path, and a folder that is swapped for a link while copies are made.

The rest of the threats is tried in full by tests/test_hostile_*.py, see docs/security.md; these two have long forms.
"""

from __future__ import annotations

from pathlib import Path

from hostile import fuzz

from consist_es.artifacts.describe import Digester, artifact_of_event, describe
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.uris import UriMap
from consist_es.errors import MaterializeError, PathError
from tests.support.hostile import everything, swapping
from torture.trial import Trial, require

ROUND = 500
"""Copies made while one process swaps."""
MORE = 80
"""Rounds that are added on a busy machine, where the swapper may get no turn."""


def fuzzed_paths(trial: Trial) -> None:
    """Every text leads below its root or is refused as a PathError; both have to come up."""
    for number in trial.cases():
        with trial.case(f"text {number}", "texts"):
            check, text = fuzz.chosen(trial.random)
            try:
                problem = check(text)
            except PathError:
                trial.tell("refused")
                continue
            require(problem is None, f"{check.__name__}({text!a}): {problem}")
    require(trial.tried.get("refused", 0) not in (0, trial.count), f"{trial.tried}")


def swapped_folders(trial: Trial) -> None:
    """Nothing lands outside, however often the folder is swapped; some copies succeed and some are refused."""
    top = trial.room("swaps")
    for name in ("runs/in/sub", "outside/sub"):
        (top / name).mkdir(parents=True)
    (top / "runs" / "source.txt").write_text("bytes")
    (top / "runs" / "in" / "link").symlink_to(top / "outside" / "sub")
    rounds = -(-trial.count // ROUND)
    for number in trial.cases(rounds + MORE):
        if number >= rounds and trial.tried.get("copied") and trial.tried.get("refused"):
            break
        _swapped(trial, top, number)
        with trial.case(f"round {number}", "rounds"):
            require(everything(top / "outside") == {"sub": "folder"}, lambda: f"{everything(top / 'outside')}")
    require(trial.tried.get("copied") and trial.tried.get("refused"), f"no race: {trial.tried}")


def _swapped(trial: Trial, top: Path, number: int) -> None:
    """Some copies while another process swaps the folder that they go to for a link that leads outside."""
    runs, digester = top / "runs", Digester("full", None)
    copier = Copier(UriMap(run_dir=str(runs)), digester)
    event = describe(runs / "source.txt", key="k", direction="output", uris=copier.uris, digester=digester)
    artifact = artifact_of_event(event, copier.uris, run_id=None)
    with swapping(runs / "in" / "sub", runs / "in" / "link"):
        for copy in range(ROUND):
            target = runs / "in" / "sub" / f"deep{copy % 7}" / f"{number}-{copy}"
            try:
                copier.copy(artifact, target, reason="test")
                trial.tell("copied")
            except (PathError, MaterializeError):
                trial.tell("refused")
