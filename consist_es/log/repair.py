"""Goes on after damage that no copy can mend: a new segment takes over, and the damaged lines stay in place.

The new segment begins behind the last whole batch before the damage. It has every later record that the chain proves,
and a `record_lost` for each of the others, so that all positions stay. It gets its name when it is whole and safe on
disk; from then on it supersedes the lines of earlier segments from its first position on, as after a failed sync.
Nothing is cut or changed. The chain values from the first lost record on are new: older tree heads no longer fit the
log, and should not.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from consist_es.errors import LogCorruptError, LogError, LogReadError
from consist_es.events import Draft, LogRepaired, RecordLost
from consist_es.log.files import create_segment
from consist_es.log.record import Prepared, chain_of, encode_line, genesis, join_line, prepare
from consist_es.log.salvage import Lost, Survivor, stated_chain, survivors
from consist_es.log.segment import (
    FORMAT,
    VERSION,
    Header,
    Opened,
    Place,
    Rest,
    Walk,
    header_of,
    line_at,
    replacement,
    segment_name,
    segment_numbers,
)
from consist_es.log.watermark import VERIFIED_FILE, Watermark, read_watermark
from consist_es.system.storage import Storage
from consist_es.version import __version__

MOST_LOST = 1_000_000
"""Largest gap in positions: a line that claims more counts as damaged itself."""

MOST_MISSING = 1000
"""Most segments that may be missing: if more seem to be, a stray file is there."""


class Damage(NamedTuple):
    """The first damaged place in a log."""

    project: str
    before: Place
    """Behind the last whole batch that can be read."""
    segment: int
    offset: int
    problem: str
    synced: int
    """Position up to which the log was synced."""


Piece = tuple[int, Lost]
"""(segment, bytes that are not a record)."""


class Gap(NamedTuple):
    """A position with a lost record."""

    position: int
    segment: int
    """Where its bytes were, if known."""
    lost: Lost | None


# ---------------------------------------------------------------- finding


def find_damage(storage: Storage, folder: Path) -> Damage | None:
    """The first damaged place, or None. An unfinished batch at the end is no damage.

    Raises:
        LogFormatError: a segment is of a newer version, or the first one is not ours.
        LogCorruptError: no segment shows the project.
    """
    numbers = segment_numbers(storage, folder)
    opened = {number: header_of(storage, folder, number) for number in _due(numbers)}
    readable = {number: found for number, found in opened.items() if isinstance(found, Opened)}
    if not readable:
        if not opened:
            return None
        raise next(found for found in opened.values() if isinstance(found, LogError))
    first = next(iter(readable.values())).header
    mark = read_watermark(storage, folder)
    place = Place(0, 0, 0, genesis(first.project), first.at)
    damage = _Search(storage, folder, opened, first.project, mark.seq if mark else 0).run(place)
    if damage is not None:
        _require_reachable(storage, folder, numbers)
    return damage


def _due(numbers: list[int]) -> list[int]:
    """The existing segments, and the first missing one of each gap: a stray file may have any number."""
    expected = {1, *(number + 1 for number in numbers[:-1])} if numbers else set[int]()
    return sorted({*numbers, *expected})


def _require_reachable(storage: Storage, folder: Path, numbers: list[int]) -> None:
    """Fail if a segment cannot be opened: an archived one's disk may be absent, which does not mean it is lost."""
    for number in numbers:
        try:
            storage.close(storage.open(folder / segment_name(number), os.O_RDONLY))
        except OSError as error:
            raise LogReadError(folder, error) from error


def _why(fault: LogError) -> str:
    return fault.problem if isinstance(fault, LogCorruptError) else "it does not begin like a segment"


class _Search:
    def __init__(
        self, storage: Storage, folder: Path, opened: dict[int, Opened | LogError], project: str, synced: int
    ) -> None:
        self._storage, self._folder, self._opened = storage, folder, opened
        self._project, self._synced = project, synced
        self._firsts = {n: found.header.first for n, found in opened.items() if isinstance(found, Opened)}

    def run(self, place: Place) -> Damage | None:
        _, following = replacement(0, self._firsts | {1: 1}) or (1, 1)
        while following in self._opened:
            found = self._opened[following]
            if isinstance(found, LogError):
                return self._damage(place, following, 0, _why(found))
            if (found.start.seq, found.start.chain) != (place.seq, place.chain):
                return self._damage(place, following, 0, "it does not go on where the segment before it ended")
            limit, after = replacement(following, self._firsts) or (0, following + 1)
            place, rest = self._walked(found, limit)
            if rest is not None and (not rest.torn or limit or after in self._opened or place.seq < self._synced):
                return self._damage(place, following, rest.offset, rest.problem)
            if limit and place.seq < limit - 1:
                found = self._opened[following + 1]
                missing = f"positions {place.seq + 1} to {limit - 1} are missing"
                return self._damage(place, following + 1, 0, _why(found) if isinstance(found, LogError) else missing)
            following = after
        if place.seq < self._synced:
            problem = f"the log ends here, but position {self._synced} was synced"
            return self._damage(place, place.segment, place.offset, problem)
        return None

    def _walked(self, opened: Opened, limit: int) -> tuple[Place, Rest | None]:
        """The place up to which the segment is whole and counts, and the rest behind it."""
        fd = self._storage.open(self._folder / segment_name(opened.header.segment), os.O_RDONLY)
        try:
            walk = Walk(self._storage, fd, opened.start)
            for _ in walk.batches():
                if limit and walk.place.seq >= limit - 1:
                    return walk.place, None
        finally:
            self._storage.close(fd)
        return walk.place, walk.rest

    def _damage(self, place: Place, segment: int, offset: int, problem: str) -> Damage:
        return Damage(self._project, place, segment, offset, problem, self._synced)


# ---------------------------------------------------------------- recovering


def behind(storage: Storage, folder: Path, damage: Damage) -> Iterator[Survivor | Gap]:
    """Every position behind the last whole batch, in order: its record, or its gap.

    Records of an unfinished batch at the end were never acknowledged. They are left out unless they were synced, or a
    whole line behind them is damaged, which no killed writer leaves.
    """
    safe, held, lost = damage.before.seq, list[Survivor | Gap](), list[Piece]()
    done = safe
    for segment, found in _readable(storage, folder, damage):
        if isinstance(found, Lost):
            lost.append((segment, found))
        elif done < found.head.seq <= done + MOST_LOST:  # else a copy of an earlier line, or nonsense
            held += [*_gaps(range(done + 1, found.head.seq), lost, segment), found]
            done, lost = found.head.seq, []
            if found.head.end:
                yield from held
                safe, held = done, []
    newest = max(segment_numbers(storage, folder))
    if written := [piece for piece in lost if piece[0] == newest and piece[1].whole]:
        held += _gaps(range(done + 1, done + 1 + len(written)), written, newest)
        yield from held
        safe, held, lost = done + len(written), [], []
    synced = [item for item in held if _position(item) <= damage.synced]
    yield from synced
    safe = _position(synced[-1]) if synced else safe
    yield from _gaps(range(safe + 1, damage.synced + 1), lost, damage.segment)


def _position(item: Survivor | Gap) -> int:
    return item.position if isinstance(item, Gap) else item.head.seq


def _gaps(positions: range, lost: list[Piece], segment: int) -> Iterator[Gap]:
    """Each position with the bytes that claim it, else with the first bytes that claim none."""
    said = {found.head.seq: (number, found) for number, found in lost if found.head is not None}
    silent = [piece for piece in lost if piece[1].head is None or piece[1].head.seq not in positions]
    for position in positions:
        number, found = said.get(position) or (silent[0] if silent else (segment, None))
        yield Gap(position, number, found)


def _readable(storage: Storage, folder: Path, damage: Damage) -> Iterator[tuple[int, Survivor | Lost]]:
    """Everything behind the damage, with its segment: lines that the chain proves, and the others."""
    numbers = [number for number in segment_numbers(storage, folder) if number >= max(damage.before.segment, 1)]
    headers = {number: header_of(storage, folder, number) for number in numbers}
    firsts = {number: found.header.first for number, found in headers.items() if isinstance(found, Opened)}
    for number in numbers:
        limit, _ = replacement(number, firsts) or (0, 0)
        fd = storage.open(folder / segment_name(number), os.O_RDONLY)
        try:
            for found in survivors(storage, fd, *_beginning(storage, fd, number, damage.before)):
                if isinstance(found, Lost) or not limit or found.head.seq < limit:
                    yield number, found
        finally:
            storage.close(fd)


def _beginning(storage: Storage, fd: int, number: int, before: Place) -> tuple[int, bytes]:
    if number == before.segment:
        return before.offset, before.chain
    header = line_at(storage, fd, 0)
    return len(header), stated_chain(header)


# ---------------------------------------------------------------- taking over


def take_over(
    storage: Storage,
    folder: Path,
    damage: Damage,
    by: str,
    own: Callable[[list[Gap]], list[Prepared]],
    new_id: Callable[[], str],
) -> tuple[Watermark, list[Gap]]:
    """Make the segment that goes on, with the events `own` as its last batch; return the new watermark and the lost
    positions. Under the lock. May raise OSError; then nothing has changed."""
    with contextlib.suppress(FileNotFoundError):
        storage.unlink(folder / VERIFIED_FILE)  # the earlier result no longer holds
    number, before = _next_number(storage, folder), damage.before
    if before.segment == 0:  # the log's creation time is lost
        kept = (item.head.at for item in behind(storage, folder, damage) if isinstance(item, Survivor))
        before = msgspec.structs.replace(before, at=next(kept, before.at))
    header = Header(FORMAT, VERSION, damage.project, number, before.seq + 1, before.at, "blake3", __version__)
    lines = _Lines(before, by, new_id)
    fd, opened = create_segment(storage, folder, header, before.chain, lines.all(behind(storage, folder, damage), own))
    storage.close(fd)
    offset = opened.start.offset + lines.size
    return Watermark(lines.seq, number, offset, lines.chain.decode()), lines.gaps


def _next_number(storage: Storage, folder: Path) -> int:
    """The number of the new segment. Each missing one is replaced by an empty file: a process with an older segment
    open looks for the next number to learn that the log has gone on."""
    numbers, mark = segment_numbers(storage, folder), read_watermark(storage, folder)
    newest = max(numbers[-1], mark.segment if mark else 0)  # the watermark may be in a missing one
    if newest - len(numbers) > MOST_MISSING:
        raise LogCorruptError(segment_name(newest), 0, f"{newest - len(numbers)} of the segments before it are missing")
    for missing in sorted({*range(1, newest + 1)} - {*numbers}):
        storage.close(storage.open(folder / segment_name(missing), os.O_WRONLY | os.O_CREAT))
    return newest + 1


class _Lines:
    """The lines of the new segment, with their new chain values."""

    def __init__(self, before: Place, by: str, new_id: Callable[[], str]) -> None:
        self._by, self._new_id = by, new_id
        self.seq, self.chain, self._at = before.seq, before.chain, before.at
        self.size = 0
        self.gaps: list[Gap] = []

    def all(self, items: Iterator[Survivor | Gap], own: Callable[[list[Gap]], list[Prepared]]) -> Iterator[bytes]:
        """Yield the survivors and gaps, then the events `own`."""
        for item in items:
            yield self._lost(item) if isinstance(item, Gap) else self._kept(item)
        last = own(self.gaps)
        for prepared in last:
            yield self._new(prepared, end=prepared is last[-1])

    def _kept(self, item: Survivor) -> bytes:
        self.chain = chain_of(self.chain, item.head_bytes, item.data)
        self.seq, self._at = item.head.seq, max(self._at, item.head.at)
        return self._counted(join_line(item.head_bytes, item.data, self.chain))

    def _lost(self, gap: Gap) -> bytes:
        self.gaps.append(gap)
        said = gap.lost.head if gap.lost is not None and gap.lost.head and gap.lost.head.seq == gap.position else None
        event = RecordLost(
            segment=gap.segment,
            offset=gap.lost.offset if gap.lost else None,
            size=gap.lost.size if gap.lost else 0,
            said=said.type if said else None,
        )
        draft = Draft(event, said.scenario if said else None, said.run if said else None)
        return self._new(prepare(draft, self._new_id()), end=True)

    def _new(self, item: Prepared, *, end: bool) -> bytes:
        self.seq += 1
        line, self.chain = encode_line(item, self.seq, end, self._at, self._by, self.chain)
        return self._counted(line)

    def _counted(self, line: bytes) -> bytes:
        self.size += len(line)
        return line


def told(damage: Damage, gaps: list[Gap]) -> LogRepaired:
    """The event that records a repair."""
    name, what = segment_name(damage.segment), "no record is lost"
    if gaps:
        what = f"lost: {len(gaps)} of the records from position {gaps[0].position} to {gaps[-1].position}"
    return LogRepaired(
        segment=damage.segment,
        offset=damage.offset,
        length=sum(gap.lost.size for gap in gaps if gap.lost is not None),
        quarantine=name,
        reason=f"{damage.problem}; {what}",
    )
