"""Plays a program through its edits, and judges each call by the same call in a project without a past."""

import difflib
import importlib.util
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from attacks.fresh.edits import Edit, planned, project
from attacks.fresh.play import Call, Played, lay, play
from attacks.fresh.programs import Program
from attacks.fresh.rendering import Project, State, initial, names

RIGHT, WRONG, NEEDLESS, EQUAL, REFUSED, UNSTABLE, NEIGHBOUR, FREE, BROKEN = (
    "right", "wrong hit", "needless miss", "result equal", "refused", "said to be unstable", "neighbour ran", "free",
    "broken",
)  # fmt: skip
SELF = "S kept on self"
"""What counts for a step that reads an attribute that another step set."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one call after one edit."""

    edit: str
    relevant: bool
    step: str
    score: str
    sources: tuple[str, ...]
    """Labels that the verdict counts for: the source that was edited, else those of the step."""
    carriers: tuple[str, ...]
    note: str = ""


@dataclass
class Trial:
    """What came of one program."""

    number: int
    label: str
    sources: tuple[str, ...]
    cold: bool
    verdicts: list[Verdict] = field(default_factory=list)
    failure: str = ""
    """One line on the first wrong hit or crash."""
    kept: str = ""
    """Folder with the program, if it failed."""


def fresh(program: Program) -> Trial:
    """The trial of a program before it is played."""
    return Trial(program.number, program.label, tuple(names(program.chains)), program.cold)


def broken(program: Program, why: str) -> Trial:
    """The trial of a program that fails by itself, or crashes."""
    trial = fresh(program)
    trial.failure = f"BROKEN: {why}"
    trial.verdicts.append(Verdict("", False, "", BROKEN, trial.sources, (), why))
    return trial


def without_package(program: Program, why: str) -> Trial | None:
    """The trial of a program that needs a package which is not installed here: it is not judged."""
    missing = re.search(r"No module named '(\w+)'", why)
    if missing is None or importlib.util.find_spec(missing[1]) is not None:
        return None
    trial = fresh(program)
    trial.verdicts.append(Verdict("", False, "", FREE, trial.sources, (), f"{missing[1]} is not installed"))
    return trial


class Broken(Exception):
    """The program itself fails, or the process crashed."""


class Player:
    """Plays one program."""

    def __init__(self, program: Program, work: Path) -> None:
        self.program, self.work = program, work
        self.root, self.truth = work / "project", work / "truth" / "project"
        self.runs = 0
        self.known: dict[tuple[int, ...], dict[str, Call]] = {}
        """Values -> what each step gives, in a project without a past."""
        self.trial = fresh(program)

    def play(self) -> Trial:
        """Everything; the first wrong hit ends it, for what comes after one is wrong because of it."""
        state = initial(self.program)
        try:
            self._within() if self.program.within else self._edits(state)
        except Broken as error:
            return without_package(self.program, str(error)) or broken(self.program, str(error))
        return self.trial

    # ------------------------------------------------------------ between processes

    def _edits(self, state: State) -> None:
        laid = project(self.program, state)
        lay(self.root, laid)
        first = self._steps(self._run(self.root, laid))
        self._check(first, "first call")
        if any(call.refused for call in first.values()):
            self._refused(first)
            return
        self.known[state.values] = first
        for edit in planned(self.program):
            made = project(self.program, edit.after)
            lay(self.root, made, laid)
            old, laid = laid, made
            calls = self._steps(self._run(self.root, made))
            last = self.known[state.values]
            if self._judge(edit, calls, self._expected(edit), last):
                keep_diff(self.work / "edit.diff", old, made)
                return
            state = edit.after

    def _expected(self, edit: Edit) -> dict[str, Call]:
        """What each step gives in a project without a past; asked once for each set of values."""
        values = edit.after.values
        if values not in self.known:
            self.known[values] = self._without_past(project(self.program, edit.after))
        return self.known[values]

    def _without_past(self, made: Project) -> dict[str, Call]:
        shutil.rmtree(self.truth.parent, ignore_errors=True)
        lay(self.truth, made)
        calls = self._steps(self._run(self.truth, made))
        self._check(calls, "truth")
        return calls

    # ------------------------------------------------------------ within one process

    def _within(self) -> None:
        for edit in planned(self.program):
            shutil.rmtree(self.root, ignore_errors=True)
            made = project(self.program, edit.after)
            lay(self.root, made)
            first, second = self._rounds(self._run(self.root, made))
            self._check(first, "first call")
            if any(call.refused for call in first.values()):
                self._refused(first)
                return
            alone = project(self.program, replace(edit.after, alone=True))
            shutil.rmtree(self.truth.parent, ignore_errors=True)
            lay(self.truth, alone)
            truth = self._rounds(self._run(self.truth, alone))[1]
            self._check(truth, "truth")
            if self._judge(edit, second, truth, first):
                return

    # ------------------------------------------------------------ judging

    def _judge(self, edit: Edit, calls: dict[str, Call], truth: dict[str, Call], last: dict[str, Call]) -> str:
        """Note the verdict on each step; the first wrong one in words."""
        program, wrong = self.program, ""
        chain = None if edit.chain is None else program.chains[edit.chain]
        touched = set() if chain is None else program.after(set(chain.users))
        for step in program.steps:
            call, right = calls.get(step.name), truth[step.name]
            blamed = [chain] if chain else program.uses(step)
            score = self._score(edit, call, right, last[step.name], step.number in touched)
            if score == WRONG and not (call and call.hit):
                # It ran, on what an earlier hit had left out: not the edited value, but what steps share.
                blamed = [one for one in program.uses(step) if one is not chain] or blamed
            ways = tuple(link.carrier.name for one in blamed for link in one.links)
            labels = (SELF,) if score == WRONG and step.recalls else tuple(names(blamed))
            said = f"got {call.text if call else 'nothing'!r}, truth {right.text!r}" if score == WRONG else ""
            verdict = Verdict(edit.name, chain is not None, step.name, score, labels, ways, said)
            if score == NEEDLESS:
                verdict = replace(verdict, note=f"{edit.name}: {call.reason if call else ''}")
            self.trial.verdicts.append(verdict)
            if score == WRONG and not wrong:
                hit = "a hit" if call and call.hit else "no hit, but another result" if call else "no call at all"
                wrong = f"WRONG HIT {', '.join(labels)}: after {edit.name!r}, {step.name} was {hit}: {said}"
        self.trial.failure = wrong
        return wrong

    def _score(self, edit: Edit, call: Call | None, right: Call, last: Call, touched: bool) -> str:
        """The score of one call."""
        if call is not None and call.refused:
            return REFUSED
        if call is None or call.text != right.text:
            return WRONG
        if edit.chain is None:
            step = int(call.step.removeprefix("step_"))
            score = FREE if step in edit.excused else RIGHT if call.hit else NEEDLESS
        elif touched:
            score = EQUAL if right.text == last.text else RIGHT
        elif self.program.chains[edit.chain].source.spreads:
            score = FREE
        else:
            score = RIGHT if call.hit else NEIGHBOUR
        return UNSTABLE if score in (NEEDLESS, NEIGHBOUR) and call.unstable else score

    def _refused(self, calls: dict[str, Call]) -> None:
        """Note a program whose first calls were refused."""
        for step in self.program.steps:
            if (call := calls.get(step.name)) and call.refused:
                own = tuple(names(self.program.uses(step)))
                self.trial.verdicts.append(Verdict("first call", False, step.name, REFUSED, own, (), call.text))

    # ------------------------------------------------------------ running

    def _run(self, root: Path, made: Project) -> Played:
        self.runs += 1
        log = self.work / f"run-{self.runs:02}.txt"
        return play(root, made.env, log, cold=self.program.cold)

    def _steps(self, played: Played) -> dict[str, Call]:
        self._ended(played)
        return {call.step: call for call in played.calls}

    def _rounds(self, played: Played) -> tuple[dict[str, Call], dict[str, Call]]:
        self._ended(played)
        half = len(played.calls) // 2
        first, second = ({call.step: call for call in part} for part in (played.calls[:half], played.calls[half:]))
        return first, second

    def _ended(self, played: Played) -> None:
        """Raise Broken if the process did not come to its end."""
        if played.code != 0:
            raise Broken(f"run {self.runs} ended with {played.code}: {played.log.strip()[-500:]}")

    def _check(self, calls: dict[str, Call], what: str) -> None:
        """Raise Broken if a step of a project without a past failed by itself."""
        bad: Iterable[Call] = [call for call in calls.values() if call.hit is None and not call.refused]
        missing = [step.name for step in self.program.steps if step.name not in calls]
        refused = any(call.refused for call in calls.values())
        if missing or (bad and not refused):
            raise Broken(f"{what}: {missing or [f'{call.step}: {call.text}' for call in bad]}")


def keep_diff(path: Path, old: Project, new: Project) -> None:
    """Write the edit as a diff."""
    lines: list[str] = []
    for name in sorted(old.files.keys() | new.files.keys()):
        one, other = (made.files.get(name, b"").decode(errors="replace").splitlines() for made in (old, new))
        lines += difflib.unified_diff(one, other, f"before/{name}", f"after/{name}", lineterm="")
    for name in sorted(old.env.keys() | new.env.keys()):
        if old.env.get(name) != new.env.get(name):
            lines.append(f"environment: {name} {old.env.get(name)!r} -> {new.env.get(name)!r}")
    path.write_text("\n".join(lines) + "\n")
