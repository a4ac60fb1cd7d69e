"""R5 to R7: every prefix of a log, every flipped bit, and records that somebody moved about."""

from __future__ import annotations

import random
from collections.abc import Callable

from consist_es.errors import LogCorruptError, LogError, LogFormatError
from consist_es.events import Recorded
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from torture.invariants import FOLDER, batch
from torture.memory_disk import Disk, Memory
from torture.trial import Trial, require

SEGMENT = FOLDER / "00000001.jsonl"


def make_log(events: int, *, commit: bool, chance: random.Random, boot: str = "boot-1") -> Disk:
    """A log of one segment in memory, in batches of one to four."""
    disk = Disk()
    disk.boot = boot
    log = LocalLog(FOLDER, storage=Memory(disk, chance=chance), sync="commit")
    done = 1  # the writer's introduction
    while done < events:
        size = min(chance.randint(1, 4), events - done)
        log.append(batch(f"{done}", size), commit=False)
        done += size
    if commit:
        log.append(batch("last", 1), commit=True)
    return disk


def read_all(disk: Disk) -> tuple[list[Recorded], LogError | None]:
    """What a reader gets before it refuses."""
    found: list[Recorded] = []
    try:
        found.extend(LocalLog(FOLDER, storage=Memory(disk)).read())
    except LogError as error:
        return found, error
    return found, None


# ---------------------------------------------------------------- R5


def prefixes(trial: Trial) -> None:
    """R5: `count` events; a reader at every byte, a writer at every seventh."""
    disk = make_log(trial.count, commit=False, chance=trial.random)
    data, whole = disk.bytes_of(SEGMENT), read_all(disk)[0]
    names = disk.names(FOLDER)
    ends = [whole[0].offset, *(event.offset + event.size for event in whole if event.end)]
    counts = [0, *(event.seq for event in whole if event.end)]
    place = 0
    for size in trial.cases(len(data) + 1):
        if size < ends[0]:  # a segment gets its name when its header is safe: half a header is no crash
            continue
        while place + 1 < len(ends) and ends[place + 1] <= size:
            place += 1
        disk.overwrite(SEGMENT, data[:size])
        with trial.case(f"prefix of {size} bytes", "prefixes read"):
            found, error = read_all(disk)
            require(error is None and found == whole[: counts[place]], f"{len(found)} events, {error}")
            require(LocalLog(FOLDER, storage=Memory(disk)).head().seq == counts[place], "head")
            require(disk.bytes_of(SEGMENT) == data[:size] and disk.names(FOLDER) == names, "a reader wrote")
        if size % 7 == 0 or size in (ends[place], ends[place] + 1):
            with trial.case(f"writer after a prefix of {size} bytes", "prefixes continued"):
                _continued(disk.copy(), whole[: counts[place]], data[ends[place] : size])


def _continued(disk: Disk, kept: list[Recorded], cut: bytes) -> None:
    """A writer goes on after the whole batches, and keeps the bytes that it cuts."""
    LocalLog(FOLDER, storage=Memory(disk), sync="os").append(batch("new", 1))
    found, error = read_all(disk)
    require(error is None and found[: len(kept)] == kept, f"{error}")
    require(found[-1].id == "new:0:1", "the new event is not the last")
    aside = [disk.bytes_of(FOLDER / "quarantine" / name) for name in disk.names(FOLDER / "quarantine")]
    require(aside == ([cut] if cut else []), "the cut bytes were not kept")
    repaired = [event for event in found if event.type == "log_repaired"]
    require(len(repaired) == bool(cut), "the repair is not in the log")


# ---------------------------------------------------------------- R6


def flips(trial: Trial) -> None:
    """R6: every single bit of a log of `count` events; found by verify, and never served by a reader."""
    disk = make_log(trial.count, commit=True, chance=trial.random)
    data, whole = disk.bytes_of(SEGMENT), read_all(disk)[0]
    bits = range(8 * len(data))
    for bit in trial.cases(len(bits)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        disk.overwrite(SEGMENT, bytes(changed))
        with trial.case(f"bit {bit % 8} of byte {bit // 8}", "bits flipped"):
            _found(disk, bit // 8, whole)
            if bit % 101 == 0:
                _refused(disk, bytes(changed), bit // 8, whole)
    trial.notes["bytes"] = len(data)


def _found(disk: Disk, offset: int, whole: list[Recorded]) -> None:
    report = verify(FOLDER, Memory(disk))
    require(not report.ok, "verify found nothing")
    if offset < whole[0].offset:
        return
    record = next(event for event in whole if event.offset + event.size > offset)
    problem = report.problems[0]
    require(problem.file == SEGMENT.name, lambda: f"verify names {problem.file}")
    # a flipped newline joins a record with the next one, and the fault is seen where that begins
    require(record.offset <= problem.offset <= record.offset + record.size, lambda: f"verify names byte {problem}")
    require(problem.position == record.seq, lambda: f"verify names position {problem}")


def _refused(disk: Disk, data: bytes, offset: int, whole: list[Recorded]) -> None:
    """A reader serves what is good and then refuses; a writer refuses and changes nothing."""
    found, error = read_all(disk)
    require(error is not None, "a reader noticed nothing")
    ends = [event.offset + event.size for event in whole if event.end]
    good = [event for event in whole if event.offset < max((end for end in ends if end <= offset), default=0)]
    require(found == good or offset < whole[0].offset, f"{len(found)} of {len(good)} good events were served")
    try:
        LocalLog(FOLDER, storage=Memory(disk)).append(batch("new", 1))
    except (LogCorruptError, LogFormatError):
        pass
    else:
        # A writer starts at the watermark; what lies before it, it does not read again.
        require(verify(FOLDER, Memory(disk)).problems, "the damage is gone")
        return
    require(disk.bytes_of(SEGMENT) == data, "a writer that refused wrote")


# ---------------------------------------------------------------- R7


def moved(trial: Trial) -> None:
    """R7: records swapped, dropped, doubled, taken from another log; two bits; zeros; a cut tail."""
    chance = trial.random
    disk, other = (make_log(30, commit=True, chance=chance, boot=name) for name in ("one", "two"))
    data = disk.bytes_of(SEGMENT)
    lines, theirs = data.splitlines(keepends=True), other.bytes_of(SEGMENT).splitlines(keepends=True)
    for number in trial.cases():
        name, change = CHANGES[number % len(CHANGES)]
        changed = change(list(lines), theirs, chance)
        if changed == data:
            continue
        disk.overwrite(SEGMENT, changed)
        with trial.case(f"{name}, case {number}", name):
            require(not verify(FOLDER, Memory(disk)).ok, "verify found nothing")
            if number % 10 < 3:
                found, error = read_all(disk)
                require(error is not None, f"a reader served all {len(found)} events")


Change = Callable[[list[bytes], list[bytes], random.Random], bytes]


def _swap(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    one, two = chance.sample(range(1, len(lines)), 2)
    lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def _drop(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(1, len(lines))
    del lines[start : start + chance.randint(1, 3)]
    return b"".join(lines)


def _duplicate(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(1, len(lines))
    lines.insert(chance.randrange(1, len(lines) + 1), lines[start])
    return b"".join(lines)


def _splice(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(1, len(lines))
    stop = min(start + chance.randint(1, 5), len(lines))
    lines[start:stop] = theirs[start : min(stop, len(theirs))]
    return b"".join(lines)


def _tail(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    """Everything from some record on is another log's."""
    start = chance.randrange(1, len(lines))
    return b"".join(lines[:start] + theirs[start:])


def _cut(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    """A synced tail is gone, exactly between two records."""
    return b"".join(lines[: chance.randrange(1, len(lines))])


def _two_bits(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(b"".join(lines))
    for bit in chance.sample(range(8 * len(data)), 2):
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def _zeros(lines: list[bytes], theirs: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(b"".join(lines))
    start = chance.randrange(0, len(data))
    stop = min(start + 512, len(data))
    data[start:stop] = bytes(stop - start)
    return bytes(data)


CHANGES: list[tuple[str, Change]] = [
    ("swapped", _swap),
    ("dropped", _drop),
    ("doubled", _duplicate),
    ("spliced", _splice),
    ("another's tail", _tail),
    ("cut tail", _cut),
    ("two bits", _two_bits),
    ("zeros", _zeros),
]
