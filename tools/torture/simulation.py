"""R21: several processes on one machine, run one call at a time in an order that a seed decides.

Every actor is a thread, but only one of them runs: before each call of its storage it gives the turn back, and the
scheduler draws the next. So a failing seed fails again, at the same call.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from consist_es.errors import LogError, LogMismatchError
from consist_es.events import Recorded
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from torture.faulty_storage import Chances, Died, FaultyStorage
from torture.invariants import FOLDER, SMALL, check_events, check_memory, ids_of, some_batch
from torture.memory_disk import STATES, Disk, Memory
from torture.trial import Trial, require


class Actor:
    """A process of the simulation."""

    def __init__(self, world: World, work: Callable[[Actor], None]) -> None:
        self.world = world
        self.turn = threading.Semaphore(0)
        self.done = False
        self.doomed = False
        self.problem: BaseException | None = None
        self.memory = Memory(world.disk, chance=random.Random(world.chance.random()))
        self.memory.wait = self.give_way
        self.plan = Chances(world.chance, world.rate)
        self.storage = FaultyStorage(self.memory, self.plan, pause=self.pause)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[Actor], None]) -> None:
        self.turn.acquire()
        try:
            work(self)
        except Died:
            pass
        except Exception as error:  # noqa: BLE001  whatever it is, the run reports it
            self.problem = error
        self.memory.end()
        self.plan.dead = True
        self.done = True
        self.world.back.release()

    def pause(self) -> None:
        """Before a call: maybe somebody else's turn."""
        if self.world.chance.random() < 0.3:
            self.give_way()
        elif self.doomed:
            self._die()

    def give_way(self) -> None:
        """Somebody else's turn."""
        self.world.back.release()
        self.turn.acquire()
        if self.doomed:
            self._die()

    def _die(self) -> None:
        self.plan.dead = True
        raise Died

    def step(self) -> None:
        """Let it run until it gives way or ends."""
        self.turn.release()
        self.world.back.acquire()


class World:
    """The machine, its processes, and what was acknowledged."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rate = self.chance.choice([0, 400, 120, 50])
        self.disk = Disk()
        self.back = threading.Semaphore(0)
        self.written: list[str] = []
        self.acknowledged: list[str] = []
        self.safe: set[str] = set()
        self.policy = self.chance.choice(["commit", "commit", "always", "os"])
        self.names = 0

    def run(self) -> None:
        """Two phases, and mostly a power cut between them."""
        for phase in range(2):
            works = [self._write] * self.chance.randint(2, 3) + [self._follow, self._inspect]
            self._play([Actor(self, work) for work in works], power=phase == 0 and self.chance.random() < 0.7)
        check_memory(self.disk, self.acknowledged, self.written)

    def _play(self, actors: list[Actor], *, power: bool) -> None:
        budget = self.chance.randint(50, 900) if power else 1_000_000
        while (living := [actor for actor in actors if not actor.done]) and budget:
            self.chance.choice(living).step()
            budget -= 1
            if not budget or self.chance.random() * 600 < 1:
                self._kill(living if not budget else [self.chance.choice(living)])
        if living and not budget:
            self._kill(living)
        problems = [actor.problem for actor in actors if actor.problem is not None]
        if problems:
            raise problems[0]
        if power:
            self._cut()

    def _kill(self, actors: list[Actor]) -> None:
        for actor in actors:
            actor.doomed = True
            while not actor.done:
                actor.step()

    def _cut(self) -> None:
        self.disk = self.disk.cut(self.chance.choice(STATES), self.chance)
        shown = {event.id for event in LocalLog(FOLDER, storage=Memory(self.disk)).read()}
        require(self.safe <= shown, lambda: f"synced and lost: {sorted(self.safe - shown)[:5]}")
        self.acknowledged = [one for one in self.acknowledged if one in shown]

    # ------------------------------------------------------------ what the processes do

    def _write(self, actor: Actor) -> None:
        """Append batches, trying again after errors."""
        log = LocalLog(FOLDER, sync=self.policy, storage=actor.storage, segment_size=SMALL)
        for _ in range(self.chance.randint(2, 7)):
            self.names += 1
            drafts, commit = some_batch(str(self.names), self.chance), self.chance.random() < 0.4
            self.written += ids_of(drafts)
            since = 0
            for _attempt in range(4):
                try:
                    positions = log.append(drafts, commit=commit, since=since)
                except LogMismatchError:
                    return
                except LogError:
                    continue
                require(len(set(positions)) == len(drafts), f"positions {positions}")
                self.acknowledged += ids_of(drafts)
                if self.policy == "always" or (commit and self.policy == "commit"):
                    self.safe |= set(self.acknowledged[-len(drafts) :])
                break

    def _follow(self, actor: Actor) -> None:
        """Read what is new, again and again; what was read stays as it was.

        With one exception: where the system reports an error for a write that it has made, a reader may see the batch
        before its writer takes it back. The next read says so, and everything is read again.
        """
        actor.plan.lift()
        log = LocalLog(FOLDER, storage=actor.storage)
        seen: list[Recorded] = []
        for _ in range(8):
            acknowledged = list(self.acknowledged)
            try:
                seen += log.read(log.cursor_after(seen[-1]) if seen else None)
            except LogMismatchError:
                require(self.rate, "what was read is gone")
                seen = []
                continue
            check_events(seen, acknowledged, self.written)
            head = log.head()
            require(self.rate or not seen or head.seq >= seen[-1].seq, "the head lies before what was read")

    def _inspect(self, actor: Actor) -> None:
        """`verify` while others write finds no damage."""
        actor.plan.lift()
        for _ in range(3):
            report = verify(FOLDER, actor.storage)
            # the watermark's file is never synced: after a power cut verify says that it is of no use, until the next
            problems = [one for one in report.problems if one.file != "head" or self.disk.boot == "boot-1"]
            require(not problems, lambda found=problems: f"verify, while others write: {found[:2]}")


def simulations(trial: Trial) -> None:
    """R21."""
    for number in trial.cases():
        seed = trial.seed * 1_000_003 + number
        with trial.case(f"seed {seed}", "seeds"):
            world = World(seed)
            world.run()
            trial.tell("events", len(world.written))
