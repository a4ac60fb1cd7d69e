"""Tree heads of a log: made, stored below ``<log>/checkpoints``, and compared with the log.

For a head with n events, ``<n>.checkpoint`` is its text, ``<n>.checkpoint.sig`` its signature if it has one, and
``<n>.frontier`` the state to go on from without reading the first n events again. The frontier is no proof: one that
does not match its head, or has a place that is not in the log, is not used.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from consist_es.errors import LogError, LogFormatError, LogMismatchError, LogReadError, LogTamperedError, TreeHeadError
from consist_es.events import Cursor
from consist_es.log.evidence.merkle import HASH_SIZE, fold, peak_count
from consist_es.log.evidence.survey import Progress, Survey
from consist_es.log.evidence.tree_head import TreeHead, origin_of, read_head_file
from consist_es.log.segment import open_segment
from consist_es.system.storage import Storage, make_folder, write_all
from consist_es.text import counted

FOLDER = "checkpoints"
SIGNATURE = ".sig"
"""Suffix of a signature's file name after that of its head."""

_HEAD, _FRONTIER = ".checkpoint", ".frontier"
_NAME = re.compile(r"[0-9]{12,}\.checkpoint")
_PROJECT = re.compile(r"[\w.-]{1,100}", re.ASCII)
_VERSION = 1


class Frontier(msgspec.Struct, frozen=True):
    """State to go on from: the place behind a head's last event, and the tree's peaks in hex."""

    version: int
    place: Cursor
    peaks: list[str]


class Kept(NamedTuple):
    """A tree head below the log's folder."""

    path: Path
    head: TreeHead
    frontier: Frontier | None
    """None if it is missing or does not match the head."""


class Verdict(msgspec.Struct, frozen=True):
    """Result of comparing a tree head with the log."""

    name: str
    size: int
    result: str
    """``extended``, ``rewritten``, ``cut``, ``unknown`` (the log is damaged before it) or ``other log``."""
    what: str
    """The result in words."""

    @property
    def ok(self) -> bool:
        """True if the log still begins with all of the head's events."""
        return self.result == "extended"


def origin_of_log(storage: Storage, folder: Path) -> str:
    """The origin of a log's tree heads.

    Raises:
        LogFormatError: there are no events yet, or the project id is not ours. LogError: the first segment
            cannot be read.
    """
    try:
        fd, opened = open_segment(storage, folder, 1)
    except FileNotFoundError as error:
        raise LogFormatError(
            f"The log {folder} has no first segment: there is nothing to make a tree head of."
        ) from error
    except OSError as error:
        raise LogReadError(folder, error) from error
    storage.close(fd)
    if not _PROJECT.fullmatch(opened.header.project):
        raise LogFormatError(f"The log {folder} is of a project that no tree head can name: {opened.header.project!a}.")
    return origin_of(opened.header.project)


# ---------------------------------------------------------------- stored heads


def kept_heads(storage: Storage, folder: Path) -> list[Kept]:
    """The stored heads, smallest first.

    Raises:
        TreeHeadError: one of them is damaged. LogReadError: it cannot be read.
    """
    place = folder / FOLDER
    try:
        names = sorted(filter(_NAME.fullmatch, storage.listdir(place)), key=lambda name: int(name[: -len(_HEAD)]))
        return [_kept(place / name) for name in names]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LogReadError(place, error) from error


def _kept(path: Path) -> Kept:
    head = read_head_file(path)
    if head.size != int(path.stem):
        raise TreeHeadError(
            path, f"it is the head of {counted(head.size, 'event')}", "Remove the file, or give it its old name."
        )
    return Kept(path, head, _frontier(path.with_suffix(_FRONTIER), head))


def _frontier(path: Path, head: TreeHead) -> Frontier | None:
    try:
        frontier = msgspec.json.decode(path.read_bytes(), type=Frontier)
        peaks = _peaks(frontier)
    except (OSError, msgspec.DecodeError, ValueError, RecursionError):
        return None
    fits = frontier.version == _VERSION and frontier.place.seq == head.size and len(peaks) == peak_count(head.size)
    return frontier if fits and fold(peaks) == head.root else None


def _peaks(frontier: Frontier) -> list[bytes]:
    peaks = [bytes.fromhex(text) for text in frontier.peaks]
    if any(len(peak) != HASH_SIZE for peak in peaks):
        raise ValueError("a peak of another length")
    return peaks


def keep(storage: Storage, folder: Path, survey: Survey, head: TreeHead, signature: str | None) -> Path:
    """Store a head, its own file last, and return its path. May raise OSError."""
    path = folder / FOLDER / f"{head.size:012d}{_HEAD}"
    frontier = Frontier(_VERSION, survey.place, [peak.hex() for peak in survey.tree.peaks])
    make_folder(storage, path.parent)
    _replace(storage, path.with_suffix(_FRONTIER), msgspec.json.encode(frontier) + b"\n")
    if signature is not None:
        _replace(storage, path.with_name(path.name + SIGNATURE), signature.encode())
    _replace(storage, path, head.text.encode())
    storage.sync_folder(path.parent)
    return path


def _replace(storage: Storage, path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{storage.token(8).hex()}.tmp")
    try:
        fd = storage.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(storage, fd, data, 0)
            storage.datasync(fd)
        finally:
            storage.close(fd)
        storage.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            storage.unlink(temporary)
        raise


# ---------------------------------------------------------------- making one


def make_head(storage: Storage, folder: Path, progress: Progress | None = None) -> tuple[TreeHead, Survey]:
    """Make the head of the current log, with all its events safe on disk.

    Only events after the newest stored head are read.

    Raises:
        LogTamperedError: a stored head contradicts the log.
        LogFormatError: the log is empty. LogError, TreeHeadError: see `kept_heads` and `LocalLog.read`.
    """
    origin = origin_of_log(storage, folder)
    kept = kept_heads(storage, folder)
    survey = Survey(storage, folder, sizes=[item.head.size for item in kept])
    known = [item for item in kept if item.frontier is not None]
    if known and (frontier := known[-1].frontier):
        survey.start_from(frontier.place, _peaks(frontier))
    try:
        survey.run(progress=progress)
    except LogMismatchError as error:
        raise LogTamperedError(folder, f"{known[-1].path.name} was made of another one ({error.problem})") from error
    if survey.tree.size == 0:
        raise LogFormatError(f"The log {folder} has no events yet: there is nothing to make a tree head of.")
    _check_kept(folder, survey, origin, kept)
    _make_safe(storage, folder, survey.place.segment)
    return TreeHead(origin, survey.tree.size, survey.tree.root()), survey


def _check_kept(folder: Path, survey: Survey, origin: str | None, kept: list[Kept]) -> None:
    """Fail if a stored head contradicts the log. Those below the starting point are part of its chain."""
    later = [item for item in kept if item.head.size > survey.start.seq]
    for verdict in judge(survey, origin, [(item.path.name, item.head) for item in later], None):
        if not verdict.ok:
            raise LogTamperedError(folder, f"{verdict.name} {verdict.what}")


def _make_safe(storage: Storage, folder: Path, segment: int) -> None:
    """Sync the segment: a head must not cover events that a power cut can take. Earlier segments are synced."""
    try:
        fd, _ = open_segment(storage, folder, segment)
        try:
            storage.datasync(fd)
        finally:
            storage.close(fd)
    except OSError as error:
        raise LogReadError(folder, error) from error


# ---------------------------------------------------------------- comparing


def compare(
    storage: Storage, folder: Path, heads: Sequence[tuple[str, TreeHead]], progress: Progress | None = None
) -> list[Verdict]:
    """Read the whole log and judge every (name, head). Damage in the log is no error here: heads of events before it
    are still compared.

    Raises:
        LogReadError: the log cannot be read.
    """
    survey = Survey(storage, folder, sizes=[head.size for _, head in heads])
    origin, damage = None, None
    try:
        origin = origin_of_log(storage, folder)
        survey.run(progress=progress)
    except LogReadError:
        raise
    except LogError as error:
        damage = str(error)
    return judge(survey, origin, heads, damage)


def judge(
    survey: Survey, origin: str | None, heads: Iterable[tuple[str, TreeHead]], damage: str | None
) -> list[Verdict]:
    """Judge heads by a survey that noted the roots at their sizes; `damage` is why it ended early."""
    return [Verdict(name, head.size, *_judged(survey, origin, head, damage)) for name, head in heads]


def _judged(survey: Survey, origin: str | None, head: TreeHead, damage: str | None) -> tuple[str, str]:
    if origin is not None and head.origin != origin:
        return "other log", f"is of another log: {head.origin}, and this is {origin}"
    size = survey.tree.size
    if head.size > size and damage is not None:
        return "unknown", f"has {counted(head.size, 'event')}, of which {size} can be read: {damage}"
    if head.size > size:
        return "cut", f"has {counted(head.size, 'event')}, the log only {size}: it was cut or rolled back"
    if survey.roots[head.size] != head.root:
        return "rewritten", f"has another root: the log was rewritten at or before position {head.size}"
    same = counted(head.size, "event")
    return "extended", f"is extended by the log: {same} as they were, {size - head.size} added since"


def changed_between(verdicts: Sequence[Verdict]) -> tuple[int, int] | None:
    """The last position proven unchanged by a head (0 if none), and the smallest size of a contradicting head; None if
    no head contradicts."""
    by_result = {result: [v.size for v in verdicts if v.result == result] for result in ("extended", "rewritten")}
    if not by_result["rewritten"]:
        return None
    bad = min(by_result["rewritten"])
    return max((size for size in by_result["extended"] if size < bad), default=0), bad
