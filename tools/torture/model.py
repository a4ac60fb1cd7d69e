"""R20 and R22: programs of calls on one log with faults, against a list; and faults while recovering from faults."""

from __future__ import annotations

import random

from consist_es.errors import LogError, LogFullError, LogMismatchError, LogReadError
from consist_es.events import Draft, Recorded
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from torture.faulty_storage import ERRORS, Chances, Died, FaultyStorage, Plan
from torture.invariants import FOLDER, SMALL, check_events, check_memory, ids_of, some_batch
from torture.memory_disk import STATES, Disk, Memory
from torture.trial import Trial, require

STEPS = 50


class Program:
    """One log, and what must be in it: a list of ids, and for calls that failed, what may be in it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk = Disk()
        self.known: list[str] = []
        """Ids in the order of the log."""
        self.open: list[str] = []
        """Ids of a call that failed or was cut short: there as a whole, or not at all."""
        self.safe = 0
        """How many of the known ids survive a power cut."""
        self.number = 0
        self.torn = False
        """Whether nothing was appended since a power cut."""
        self.unfinished = 0
        """Bytes of an earlier call that was cut short, at the end of the log before the present one."""
        self.seen: list[Recorded] = []
        self.plan = Plan()
        self.log = self._opened()

    def _opened(self) -> LocalLog:
        faulty = FaultyStorage(Memory(self.disk, chance=random.Random(self.chance.random())), self.plan)
        return LocalLog(FOLDER, storage=faulty, segment_size=SMALL)

    def _new_process(self) -> None:
        self.disk.locks.clear()
        self.plan = Plan()
        self.log = self._opened()

    # ------------------------------------------------------------ calls

    def step(self) -> None:
        """One call of the program, chosen by chance."""
        actions = [self.append] * 6 + [self.read, self.read, self.follow, self.look_at, self.reopen, self.power_cut]
        self.chance.choice(actions)()

    def append(self) -> None:
        """Append; on an error mostly try again."""
        self.number += 1
        drafts, commit = some_batch(str(self.number), self.chance), self.chance.random() < 0.3
        since = self._last()
        self.unfinished = verify(FOLDER, Memory(self.disk)).torn_bytes
        self._arm()
        try:
            self._appended(drafts, self.log.append(drafts, commit=commit, since=since), commit)
        except Died:
            self.open = ids_of(drafts)
            self._new_process()
            self._settle()
        except LogError as error:
            self.plan.lift()
            self._after_error(drafts, commit, since, error)
        self.plan.lift()

    def _arm(self) -> None:
        if self.chance.random() < 0.4:
            self.plan.at = self.plan.calls + self.chance.randint(1, 25)
            self.plan.after, self.plan.short = self.chance.random() < 0.3, self.chance.random() < 0.5
            deadly = self.chance.random() < 0.3
            self.plan.deed = self.plan.die if deadly else None
            self.plan.error = None if deadly else self.chance.choice(ERRORS)

    def _after_error(self, drafts: list[Draft], commit: bool, since: int, error: LogError) -> None:
        self.open = ids_of(drafts)
        if isinstance(error, LogFullError) and self.plan.name == "write_at" and not self.plan.after:
            shown = [event.id for event in self._read()]
            require(drafts[0].id not in shown, "nothing of a batch may be there after LogFullError")
            report = verify(FOLDER, Memory(self.disk))
            as_it_was = report.torn_bytes in (0, self.unfinished)
            require(self.torn or as_it_was, "after LogFullError the log is not as it was")
        if self.chance.random() < 0.8:
            positions = self.log.append(drafts, commit=commit, since=since)
            self.open = []
            self._appended(drafts, positions, commit)
        else:
            self._settle()

    def _appended(self, drafts: list[Draft], positions: list[int], commit: bool) -> None:
        require(len(positions) == len(drafts) and positions == sorted(positions), f"{positions}")
        self.torn = False
        self.known += ids_of(drafts)
        if commit:
            self.safe = len(self.known)
        events = {event.seq: event.id for event in self._read()}
        require([events.get(position) for position in positions] == ids_of(drafts), "the positions are of other events")

    def _settle(self) -> None:
        """What a failed call left is there whole, or it is not."""
        shown = [event.id for event in self._read()]
        if self.open and self.open[0] in shown:
            self.known += self.open
        self.open = []
        self.check()

    def _last(self) -> int:
        events = self._read()
        return events[-1].seq if events else 0

    def _read(self) -> list[Recorded]:
        return list(LocalLog(FOLDER, storage=Memory(self.disk)).read())

    def read(self) -> None:
        """Read from some earlier place."""
        events = self._read()
        if not events:
            return
        place = self.chance.randrange(len(events))
        rest = list(self.log.read(self.log.cursor_after(events[place])))
        require(rest == events[place + 1 :], f"reading after position {place + 1} gives {len(rest)} events")
        if not self.torn:  # behind a hole that a power cut left, the head is further on, until the next append
            head = self.log.head()
            require((head.seq, head.chain) == (events[-1].seq, events[-1].chain), f"head {head}")

    def follow(self) -> None:
        """Read what came since the last time; what was seen never changes but by a power cut."""
        after = self.log.cursor_after(self.seen[-1]) if self.seen else None
        try:
            self.seen += self.log.read(after)
        except LogMismatchError:
            self.seen = []
            return
        events = self._read()
        same = [(event.seq, event.id, event.chain) for event in self.seen]
        require(same == [(event.seq, event.id, event.chain) for event in events], "a follower saw other events")

    def look_at(self) -> None:
        """One event by its place; with a failing read, an error or the event."""
        events = self._read()
        if not events:
            return
        event = self.chance.choice(events)
        self._arm()
        self.plan.deed = None
        self.plan.error = self.plan.error or 5
        try:
            require(self.log.read_at(event.segment, event.offset) == event, "another event lies there")
        except LogReadError:
            require(self.plan.reached, "a read failed for no reason")
        self.plan.lift()

    def reopen(self) -> None:
        """The process ends and another one goes on."""
        self.log.close()
        self._new_process()

    def power_cut(self) -> None:
        """The machine is switched off; what was synced is still there, in the same order."""
        if self.chance.random() < 0.7:
            return
        self.disk = self.disk.cut(self.chance.choice(STATES), self.chance)
        self.seen, self.torn = [], True
        self._new_process()
        shown = [event.id for event in self._read() if event.type == "step_abandoned"]
        require(shown == self.known[: len(shown)], "after a power cut the log is no beginning of what it was")
        require(len(shown) >= self.safe, f"{self.safe - len(shown)} synced events are gone")
        self.known = shown

    def check(self) -> None:
        """The log and the list are the same."""
        events = self._read()
        check_events(events)
        ids = [event.id for event in events if event.type == "step_abandoned"]
        require(ids == self.known, lambda: f"log {ids[-6:]} ({len(ids)}), model {self.known[-6:]} ({len(self.known)})")


def programs(trial: Trial) -> None:
    """R20."""
    for number in trial.cases():
        seed = trial.seed * 1_000_003 + number
        with trial.case(f"program {seed}", "programs"):
            program = Program(seed)
            for _ in range(STEPS):
                program.step()
            program.check()
            check_memory(program.disk, program.known)
        trial.tell("steps", STEPS)


# ---------------------------------------------------------------- R22


def compound(trial: Trial) -> None:
    """R22: three to five faults, each of them while the log recovers from the one before."""
    for number in trial.cases():
        seed = trial.seed * 1_000_003 + number
        with trial.case(f"seed {seed}", "chains of faults"):
            _one_chain(trial, random.Random(seed))


def _one_chain(trial: Trial, chance: random.Random) -> None:
    disk, written, safe = Disk(), [], set[str]()
    for link in range(chance.randint(3, 5)):
        plan = Chances(chance, chance.choice([3, 6, 12, 25]))
        log = LocalLog(FOLDER, storage=FaultyStorage(Memory(disk, chance=chance), plan), segment_size=SMALL)
        done: list[str] = []
        try:
            for number in range(3):
                drafts, commit = some_batch(f"{link}-{number}", chance), chance.random() < 0.6
                written += ids_of(drafts)
                try:
                    log.append(drafts, commit=commit)
                except LogError:
                    continue
                done += ids_of(drafts)
                safe |= set(done) if commit else set()
        except Died:
            pass
        trial.tell("faults", int(plan.reached))
        disk.locks.clear()
        if chance.random() < 0.4:
            disk = disk.cut(chance.choice(STATES), chance)
    check_memory(disk, safe, written)
