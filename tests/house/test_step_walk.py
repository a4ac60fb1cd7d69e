"""How long the way of a step is: the files it crosses, the hops between them, and its looks at the log and the views.

Ceilings, lowered when the way gets shorter, and raised only with a reason here. What a step costs a reader is how often
the story goes on in another file, so that is what is counted: calls and returns that lead from one of our files to
another. Counted apart are the identity of the code (`identity`) and the watch for what the function reads (`observe`),
with all that they call: these are stories of their own, entered at one place each, and as long as the user's code.
"""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

import consist_es
from consist_es import Tracker
from consist_es.log.local import LocalLog
from consist_es.views.projector import Projector

HOPS = {"miss": 784, "hit": 612}
"""Between files, without what is counted apart. A quarter of them are system calls, each of which goes through
`system/storage`, so that tests can have any of them fail; another quarter is the fold of the step's events. Of a
miss 57 are for what the step prints and takes: proxies put in place and taken away, two readings."""
WATCHING = {"miss": 156, "hit": 0}
"""Hops of the watch, 148 to 152 with what other programs do meanwhile. A hit is not watched; it is only compared with
what the earlier run read, here nothing."""
FILES = {"miss": 77, "hit": 68}
"""Nine more than at first, and 20 hops: signatures stand once, in `api/surface`; the run table is in four files, the
lineage in two, and many lines are read by `log/quick`. A
miss is explained by the run that `near` finds, in the words of `runs/differences`, which `why` uses too; and the source
text of its code is recorded if no run had it, by `execution/sources`. Five of a miss keep what it prints and measure
what it takes: `execution/witness` leads to the other four."""
LEADING = {"miss": 20, "hit": 20}
"""Files from which the way leads to three others or more: the spine. From all others one comes straight back. One of a
miss is `execution/witness`."""
CATCH_UPS = {"miss": 2, "hit": 2}
"""Once to look the step up, once for the run as it ended."""
HEADS = {"miss": 2, "hit": 1}
"""Looks at the end of the log: for the look-up, and with the turn in hand."""

_PACKAGE = str(Path(consist_es.__file__).parent)
_VIEWS = str((Path(consist_es.__file__).parent / "projections").resolve())
_APART = ("identity", "observe")


def step() -> None:
    """Reads nothing and makes nothing."""


class Place(NamedTuple):
    """A frame of ours: its file, and to which story it belongs."""

    file: str
    story: str


class Walk:
    """What one call crosses."""

    def __init__(self) -> None:
        self.hops: Counter[str] = Counter()
        self.files: defaultdict[str, set[str]] = defaultdict(set)
        self.leads_to: defaultdict[str, set[str]] = defaultdict(set)
        self.calls: Counter[object] = Counter()
        self._stack: list[Place] = []
        self._last = ""

    def take(self, work: Callable[[], object]) -> "Walk":
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            work()
        finally:
            sys.setprofile(before)
        return self

    @property
    def leading(self) -> list[str]:
        """The spine."""
        return sorted(file for file, others in self.leads_to.items() if len(others) >= 3)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event not in ("call", "return") or not file.startswith((f"{_PACKAGE}/", f"{_VIEWS}/")):
            return
        if event == "call":
            self.calls[frame.f_code] += 1
            self._enter(file)
        else:
            left = self._stack.pop() if self._stack else None
            if left is not None and self._stack:
                self._go(self._stack[-1].file, left.story)

    def _enter(self, file: str) -> None:
        caller = self._stack[-1] if self._stack else None
        room = file.removeprefix(f"{_PACKAGE}/").split("/")[0]
        story = room if room in _APART else "step"
        if caller is not None and caller.story in _APART:
            story = caller.story
        if caller is not None and caller.story == "step" and caller.file != file:
            self.leads_to[caller.file].add(file if story == "step" else story)
        self.files[story].add(file)
        self._go(file, story)
        self._stack.append(Place(file, story))

    def _go(self, file: str, story: str) -> None:
        if self._last and self._last != file:
            self.hops[story] += 1
        self._last = file


class Counts(NamedTuple):
    """What the shortest of some walks came to."""

    step: int
    """Hops."""
    observe: int
    files: list[str]
    leading: list[str]
    catch_ups: int
    heads: int


def counts(outcome: str, folder: Path) -> Counts:
    """Of a step of a process that has run some already."""
    tracker = Tracker(run_dir=folder / "runs", db_path=folder / "provenance.db")
    with tracker.scenario("first") as sc:
        for count in range(3):
            sc.run(step, config={"n": count})
    results: list[Any] = []
    walks: list[Walk] = []

    def run(config: dict[str, int]) -> None:
        results.append(sc.run(step, config=config))

    with tracker.scenario("second") as sc:
        sc.run(step, config={"n": 3})
        for n in range(3):  # one of them may be looked at twice because a second has passed since the last look
            config = {"n": n if outcome == "hit" else 4 + n}
            walks.append(Walk().take(partial(run, config)))
    assert [result.cache_hit for result in results] == [outcome == "hit"] * 3
    walk = min(walks, key=lambda walk: walk.hops["step"])
    return Counts(
        step=walk.hops["step"],
        observe=walk.hops["observe"],
        files=sorted(walk.files["step"]),
        leading=walk.leading,
        catch_ups=walk.calls[Projector.catch_up.__code__],
        heads=walk.calls[LocalLog.head.__code__],
    )


@pytest.fixture(params=["miss", "hit"])
def outcome(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def walk(outcome: str, tmp_path: Path) -> Counts:
    """In a process of its own, for packages that other tests have loaded lead over more files; and in a folder of its
    own, for the folder where a process runs is watched."""
    code = "import json, sys, pathlib; from tests.house.test_step_walk import counts; "
    code += "print(json.dumps(counts(sys.argv[1], pathlib.Path(sys.argv[2]))))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, outcome, str(tmp_path)],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    return Counts(*json.loads(done.stdout))


def test_a_step_crosses_few_files(outcome: str, walk: Counts) -> None:
    assert 0 < len(walk.files) <= FILES[outcome]
    assert 0 < len(walk.leading) <= LEADING[outcome], walk.leading


def test_a_step_does_not_hop_from_file_to_file(outcome: str, walk: Counts) -> None:
    assert 0 < walk.step <= HOPS[outcome]
    assert walk.observe <= WATCHING[outcome]


def test_a_step_looks_at_the_log_and_the_views_but_a_few_times(outcome: str, walk: Counts) -> None:
    assert 0 < walk.catch_ups <= CATCH_UPS[outcome]
    assert 0 < walk.heads <= HEADS[outcome]


def test_a_detour_is_counted(tmp_path: Path) -> None:
    tracker = Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "provenance.db")
    tracker.find_runs(limit=1)  # the first one imports what it needs
    once = Walk().take(lambda: tracker.find_runs(limit=1))
    twice = Walk().take(lambda: [tracker.find_runs(limit=1), tracker.find_runs(limit=1)])
    assert twice.hops["step"] > once.hops["step"] > 0
