"""The promises, as checks on a log: what must hold whatever happened to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from consist_es.events import Draft, Recorded, StepAbandoned
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.system.storage import Storage
from torture.memory_disk import Disk, Memory
from torture.trial import require

FOLDER = Disk.ROOT / "x.events"
"""Where logs in memory lie."""
SMALL = 2600
"""Segment size of logs in memory, so that a dozen batches need several."""
BLOB = 1 << 20


def batch(name: str, size: int, padding: int = 0) -> list[Draft]:
    """Events whose ids say which batch they belong to, which of how many they are."""
    text = "x" * padding
    return [Draft(StepAbandoned(reason=text), "s", "r", id=f"{name}:{number}:{size}") for number in range(size)]


def ids_of(drafts: Iterable[Draft]) -> list[str]:
    return [str(draft.id) for draft in drafts]


def some_batch(name: str, chance: random.Random) -> list[Draft]:
    """A batch of any size; one in forty is so large that it lies in a blob."""
    if chance.random() < 0.025:
        return batch(name, 1, BLOB)
    return batch(name, chance.randint(1, 4), chance.choice([0, 0, 30, 400, 1500]))


def check_events(
    events: list[Recorded], promised: Collection[str] = (), allowed: Collection[str] | None = None
) -> None:
    """Gapless, none twice, no half batch, time in order, everything promised there and nothing unheard-of."""
    numbers = [event.seq for event in events]
    require(numbers == list(range(1, len(events) + 1)), lambda: f"positions {numbers[:5]} … {numbers[-5:]}")
    times = [event.at for event in events]
    require(times == sorted(times), "time went backwards")
    ids = [event.id for event in events if event.type == "step_abandoned" and event.id.count(":") == 2]
    require(len(set(ids)) == len(ids), lambda: f"twice: {[one for one in set(ids) if ids.count(one) > 1][:5]}")
    check_whole(ids)
    lost = set(promised) - set(ids)
    require(not lost, lambda: f"lost: {sorted(lost)[:5]} ({len(lost)} of {len(promised)})")
    if allowed is not None:
        odd = set(ids) - set(allowed)
        require(not odd, lambda: f"never written: {sorted(odd)[:5]}")
    require(not events or events[-1].end, "the last event shown is not the end of its batch")


def check_whole(ids: list[str]) -> None:
    """No batch has fewer events than it began with, and none lies inside another."""
    place = 0
    while place < len(ids):
        name, _, size = ids[place].split(":")
        members = ids[place : place + int(size)]
        whole = [f"{name}:{number}:{size}" for number in range(int(size))]
        require(members == whole, lambda found=members, name=name: f"half a batch {name}: {found}")
        place += int(size)


def check_log(
    folder: Path,
    open_storage: Callable[[], Storage],
    promised: Collection[str] = (),
    allowed: Collection[str] | None = None,
    *,
    segment_size: int = SMALL,
    quiet: bool = True,
) -> list[Recorded]:
    """The next process goes on, what it sees keeps the promises, the chain is whole, nothing is left lying about.

    With `quiet` the log is not written to before a first look, so that what a reader sees is checked too.
    """
    if quiet:
        check_events(list(LocalLog(folder, storage=open_storage()).read()), promised, allowed)
    storage = open_storage()
    log = LocalLog(folder, storage=storage, segment_size=segment_size)
    log.append(batch("after", 2), commit=True)
    log.close()
    storage = open_storage()
    events = list(LocalLog(folder, storage=storage).read())
    check_events(events, promised, None if allowed is None else {*allowed, "after:0:2", "after:1:2"})
    require(events[-1].id == "after:1:2", "the next process's events are not the last")
    report = verify(folder, storage)
    require(report.ok, lambda: f"verify: {report.problems[:3]}, torn {report.torn_bytes}")
    require(report.head == events[-1].seq, "verify and reader differ on the head")
    head = LocalLog(folder, storage=storage).head()
    require((head.seq, head.chain) == (events[-1].seq, events[-1].chain), f"head {head}")
    strays = [name for name in storage.listdir(folder) if name.endswith(".tmp")]
    require(not strays, lambda: f"left behind: {strays}")
    return events


def check_memory(disk: Disk, promised: Collection[str] = (), allowed: Collection[str] | None = None) -> list[Recorded]:
    """`check_log` of the log on a disk in memory."""
    disk.locks.clear()
    return check_log(FOLDER, lambda: Memory(disk), promised, allowed)
