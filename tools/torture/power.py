"""R4: power cuts. A run is recorded call by call; after every call, states that a power cut may leave are tried."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

from consist_es.errors import LogError
from consist_es.log.local import LocalLog
from torture.faulty_storage import Died, FaultyStorage, Plan
from torture.invariants import FOLDER, SMALL, check_memory, ids_of, some_batch
from torture.memory_disk import STATES, Disk, Memory
from torture.trial import Trial

POLICIES = ("commit", "always", "os")


class Power:
    """A workload on a machine that is switched off before each of its calls, one after the other."""

    def __init__(self, seed: int, policy: str, *, failing_sync: bool) -> None:
        self.seed, self.policy = seed, policy
        self.disk = Disk()
        self.promised: list[str] = []
        """What the policy says survives."""
        self.written: list[str] = []
        self._pending: list[str] = []
        self._chance = random.Random(seed)
        self._failing_sync = failing_sync

    def run(self, plan: Plan) -> None:
        """The workload: batches of any size, several segments, blobs; now and then a new process."""
        faulty = FaultyStorage(Memory(self.disk, chance=random.Random(self.seed)), plan)
        log = LocalLog(FOLDER, sync=self.policy, storage=faulty, segment_size=SMALL)
        chance = random.Random(self.seed)
        for number in range(12):
            drafts, commit = some_batch(str(number), chance), chance.random() < 0.4
            self.written += ids_of(drafts)
            if chance.random() < 0.15:
                log.close()
                log = LocalLog(FOLDER, sync=self.policy, storage=faulty, segment_size=SMALL)
            try:
                log.append(drafts, commit=commit)
            except LogError:
                continue
            self._pending += ids_of(drafts)
            if self.policy == "always" or (self.policy == "commit" and commit):
                self.promised, self._pending = self.promised + self._pending, []

    def plan(self, at: int) -> Plan:
        """Die at this call; where syncs are to fail, every third does so before that."""
        return Deadly(at, self._chance.randint(1, 6) if self._failing_sync else 0)


class Deadly(Plan):
    """Dies at a call, after one sync has failed."""

    def __init__(self, at: int, failing_sync: int) -> None:
        super().__init__()
        self._deadly_at, self._failing_sync, self._syncs = at, failing_sync, 0

    def due(self, name: str) -> bool:
        self.calls += 1
        if name == "datasync":
            self._syncs += 1
        self.error = 5 if name == "datasync" and self._syncs == self._failing_sync else None
        self.deed = self.die if self.calls == self._deadly_at else None
        self.reached = self.reached or self.deed is not None
        return self.deed is not None or self.error is not None


def _runs(trial: Trial) -> Iterator[Power]:
    """One workload after the other, each up to one call further than the last."""
    seed = trial.seed
    while True:
        policy = POLICIES[seed % 3]
        failing = (seed // 3) % 3 == 2
        at = 1
        while True:
            power = Power(seed, policy, failing_sync=failing)
            plan = power.plan(at)
            with contextlib.suppress(Died):
                power.run(plan)
            yield power
            if not plan.reached:
                break
            at += trial.random.choice([1, 2, 3]) if trial.count < 50_000 else 1
        seed += 1


def power_cuts(trial: Trial) -> None:
    """R4."""
    runs, seeds = _runs(trial), set()
    power = next(runs)
    for number in trial.cases():
        how = STATES[number % len(STATES)]
        if number % len(STATES) == 0:
            power = next(runs)
            seeds.add(power.seed)
        with trial.case(f"seed {power.seed}, policy {power.policy}, state {how}", f"states ({how})"):
            after = power.disk.cut(how, trial.random)
            check_memory(after, power.promised, power.written)
    trial.notes["workloads"] = len(seeds)
