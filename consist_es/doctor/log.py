"""Checks of a project's log folder, and of its machine. None of them changes anything.

The SQLite bug: sqlite.org/wal.html, section "The WAL-Reset Bug". The types of file systems: proc_pid_mountinfo(5).
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from consist_es.doctor.finding import ERROR, NOTE, OK, WARNING, Finding, listed
from consist_es.log.blobs import BLOB_FOLDER
from consist_es.log.files import QUARANTINE, REDACTION
from consist_es.log.report import VerifyReport
from consist_es.log.segment import is_sealed, open_segment, segment_name, segment_numbers
from consist_es.system.storage import Storage
from consist_es.text import counted

NETWORK = re.compile(
    r"nfs4?|cifs|smb3|smbfs|lustre|gpfs|beegfs|fhgfs|ceph|glusterfs|afs|coda|9p|panfs|pvfs2|orangefs|wekafs|virtiofs"
    r"|fuse\.(?:sshfs|ceph|glusterfs|s3fs|rclone|davfs2?|gcsfuse|mountpoint-s3|goofys|lustre|juicefs|cephfs)|davfs"
)
"""Types of file systems shared by several machines, with their own locks and caches."""
AHEAD = timedelta(hours=1)
"""Tolerated lead of the last event over our clock: clocks differ, but not by this."""
STALE = timedelta(days=1)
"""Age from which an unfinished blob is abandoned."""

# ---------------------------------------------------------------- the log


def check_chain(report: VerifyReport) -> Iterator[Finding]:
    """Every problem found by `verify`, or the size of the whole log."""
    synced = "nothing is known to be synced" if report.watermark is None else f"synced up to {report.watermark}"
    again = f" (up to {report.since} as an earlier check found it)" if report.since else ""
    whole = f"{counted(report.events, 'event')} in {counted(report.segments, 'segment')}, chain whole{again}, {synced}"
    found = (
        Finding(
            ERROR,
            "log",
            problem.what if problem.position is None else f"position {problem.position}: {problem.what}",
            f"{problem.file}, byte {problem.offset}",
            "Stop writing to this project and restore the file from a copy; what lies before it is good. If "
            "there is no copy, `consist-es repair` shows what can be kept.",
        )
        for problem in report.problems
    )
    yield from listed(found, Finding(OK, "log", whole))


def check_tail(report: VerifyReport) -> Iterator[Finding]:
    """Bytes after the last whole batch."""
    if not report.torn_bytes:
        return
    yield Finding(
        WARNING,
        "tail",
        f"{counted(report.torn_bytes, 'byte')} after the last event: a writer was killed there, or is writing now",
        f"last segment, byte {report.torn_offset}",
        "The next writer, or doctor --fix, moves them to quarantine; no recorded event is lost.",
        mends=True,
    )


def check_redaction(report: VerifyReport) -> Iterator[Finding]:
    """An unfinished redaction."""
    if report.redacting:
        what = "a redaction was begun and not finished: the payload may still be there"
        todo = "The next writer, or doctor --fix, finishes it."
        yield Finding(WARNING, "redaction", what, REDACTION, todo, mends=True)


def check_quarantine(folder: Path, report: VerifyReport) -> Iterator[Finding]:
    """Bytes cut off by earlier repairs."""
    for name in report.quarantined:
        try:
            size = (folder / QUARANTINE / name).stat().st_size
        except OSError:
            size = 0
        what = f"{size} bytes that an earlier repair cut off: of an event that was never acknowledged"
        yield Finding(NOTE, "quarantine", what, f"{QUARANTINE}/{name}", "Keep it as evidence, or remove it.")


def leftovers(folder: Path, storage: Storage) -> list[Path]:
    """Unfinished files of killed processes."""
    oldest = storage.now().timestamp() - STALE.total_seconds()
    begun = sorted(folder.glob("*.jsonl.tmp"))  # made under the lock, so a later writer may remove them at once
    for path in sorted(folder.glob(f"{BLOB_FOLDER}/*.tmp")):
        try:
            if path.stat().st_mtime < oldest:
                begun.append(path)
        except FileNotFoundError:
            continue
    return begun


def check_leftovers(folder: Path, storage: Storage) -> Iterator[Finding]:
    """Unfinished files, and a sealed last segment without a successor."""
    for path in leftovers(folder, storage):
        what = "an unfinished file of a killed process, which nothing needs"
        yield Finding(WARNING, "leftovers", what, str(path.relative_to(folder)), "doctor --fix removes it.", mends=True)
    numbers = segment_numbers(storage, folder)
    if numbers and _ends(folder, numbers[-1], storage):
        what = "the last segment is sealed and the next one was never begun"
        todo = "The next writer, or doctor --fix, begins it."
        yield Finding(WARNING, "leftovers", what, segment_name(numbers[-1]), todo, mends=True)


def _ends(folder: Path, number: int, storage: Storage) -> bool:
    fd, _ = open_segment(storage, folder, number)
    try:
        return is_sealed(storage, fd)
    finally:
        storage.close(fd)


# ---------------------------------------------------------------- who may write, and who did


def check_permissions(paths: Sequence[Path], storage: Storage) -> Iterator[Finding]:
    """Files and folders that every user of the machine can change."""
    for path in paths:
        try:
            mode = storage.mode(path)
        except OSError:
            continue
        if mode & 0o002:
            what = "every user of this machine can change it"
            yield Finding(WARNING, "permissions", what, str(path), "Run chmod o-w on it, and set a stricter umask.")


def check_clock(last: str | None, now: datetime) -> Iterator[Finding]:
    """`last`: time of the newest event."""
    if last is not None and datetime.fromisoformat(last) > now + AHEAD:
        what = f"the newest event says {last}, the clock here {now:%Y-%m-%dT%H:%M:%SZ}"
        todo = "Set the clock. Times in a log never go back: until then all further events will have the same time."
        yield Finding(WARNING, "clock", what, "", todo)


def check_hosts(hosts: Sequence[str], kind: str) -> Iterator[Finding]:
    """More than one machine wrote; `kind`: type of the log's file system."""
    if len(hosts) < 2:
        return
    names = ", ".join(sorted(hosts)[:10])
    what = f"{len(hosts)} hosts wrote to this log: {names}"
    if NETWORK.fullmatch(kind):
        todo = "Let one machine write at a time: locks between machines are not reliable here."
        yield Finding(WARNING, "hosts", what, "", todo)
    else:
        todo = "Runs of a dead process are noticed on its own host only."
        yield Finding(NOTE, "hosts", what, "", todo)


# ---------------------------------------------------------------- the machine


def check_filesystem(path: Path, what: str, kind: str) -> Iterator[Finding]:
    """`what`: description of the place; `kind`: type of its file system."""
    if NETWORK.fullmatch(kind):
        said = f"{what} on {kind}, a network file system: locks and syncs are as good as its server and mount options"
        todo = "Keep it on a local disk, or let one machine write at a time and give the views a local db_path."
        yield Finding(WARNING, "file system", said, str(path), todo)
    else:
        yield Finding(OK, "file system", f"{what} on {kind or 'an unknown file system'}", str(path))


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """True for versions 3.7.0 to 3.51.2, except the backports 3.44.6 and 3.50.7."""
    if (3, 44, 6) <= version < (3, 45) or (3, 50, 7) <= version < (3, 51):
        return False
    return (3, 7) <= version < (3, 51, 3)


def check_sqlite(version: tuple[int, ...]) -> Iterator[Finding]:
    """Check for an SQLite that can damage databases."""
    name = ".".join(map(str, version))
    if not has_wal_reset_bug(version):
        yield Finding(OK, "sqlite", f"SQLite {name}")
        return
    what = f"SQLite {name} has the WAL-reset bug: very rarely, two connections at once damage the views"
    todo = "The log is not affected. Use SQLite 3.51.3 or newer; `consist-es replay` rebuilds damaged views."
    yield Finding(NOTE, "sqlite", what, "", todo)


def now_of(storage: Storage) -> datetime:
    """The wall clock."""
    return storage.now().astimezone(UTC)
