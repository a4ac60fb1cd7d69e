"""Digests files and folders.

A file's digest is BLAKE3 over its bytes, so `b3sum` shows the same. A folder's is BLAKE3 in key derivation mode over
its sorted entries: relative path, type, and size and digest of files or the target of links. Dotfiles and empty folders
count; a link that leads out of the folder counts by its target, see `consist_es.artifacts.tree`.

Files are read, not mapped: if another process truncates a mapped file, SIGBUS kills the reader, and that case must be a
named error.
"""
# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH116

import operator
import os
import stat
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec
from blake3 import blake3

from consist_es.artifacts.digest_cache import DigestCache, now_ns, stamp_of
from consist_es.artifacts.tree import Entry, is_still, refuse, require_regular, shown, stat_of, walk
from consist_es.errors import InputError, OptionError
from consist_es.values.digests import CONTENT, METHODS, TIMES, written

OURS = os.O_RDONLY | os.O_NONBLOCK | os.O_APPEND
"""Flags of the descriptors that files are digested through. `O_NONBLOCK`: if the path has become a FIFO since, opening
it must not wait for a writer. `O_APPEND` means nothing to a reader, and so tells these descriptors from a step's."""
_NAME = operator.attrgetter("name")
_IS_FILE, _IS_LINK, _IS_FOLDER = stat.S_ISREG, stat.S_ISLNK, stat.S_ISDIR
_FOLDER_DOMAIN = "consist-es folder digest 1"
CHUNK = 1 << 20
"""Bytes of a part that is read: those of a few stay in the processor's cache until they are hashed."""
LONG = 16 << 20
"""Bytes of a file from which on the next parts are read by a thread meanwhile."""
_MANY = 16 << 20
"""Bytes in several files from which on they are hashed in parallel."""
_THREADS = 8
_FILES = 16
"""Number of files from which on the digest of a whole folder is kept, too."""
_LONG = 10**9
"""Bytes from which on a bar may appear."""
Tell = Callable[[int], None]
"""Called with the number of bytes that were read, by several threads."""


class Digest(msgspec.Struct, frozen=True):
    """State of a file or folder when it was digested."""

    value: str
    """``b3:…`` over content, or ``fast:…`` over sizes and modification times."""
    kind: str
    """``file`` or ``folder``."""
    method: str
    """``full`` or ``fast``."""
    size: int
    """Bytes of the file, or of all files in the folder."""
    mtime_ns: int
    """Of the file, or the newest of the folder and everything in it."""
    files: int
    """1, or the number of files in the folder."""
    notes: tuple[str, ...] = ()
    """Warnings for the user: links that lead nowhere."""


def digest_path(
    path: str | Path, *, method: str = "full", cache: DigestCache | None = None, at_once: bool = True
) -> Digest:
    """Digest of a file or folder; a path that is itself a link counts as its target.

    ``full`` covers content, ``fast`` only sizes and modification times (a changed file that keeps both is not noticed).
    Unchanged files are taken from `cache`. A folder is looked at again at the end, for it must have had all of this at
    one moment; without `at_once` only if something was read, which takes time.

    Raises:
        InputError: something is missing, unreadable, not a regular file or folder, or changes meanwhile.
    """
    if method not in METHODS:
        raise OptionError("method", method, METHODS)
    raw = os.path.abspath(os.fsencode(path))
    found = stat_of(raw, follow=True)
    if stat.S_ISDIR(found.st_mode):
        return _digest_folder(raw, method, cache, at_once=at_once)
    require_regular(raw, found)
    if method == "fast":
        value = written(blake3(b"file %d %d" % (found.st_size, found.st_mtime_ns)), kind=TIMES)
    else:
        value = _file_digests([(raw, found)], cache)[0]
    return Digest(value, "file", method, found.st_size, found.st_mtime_ns, 1)


def stat_matches(path: str | Path, size: int, mtime_ns: int) -> bool:
    """True if the file exists with this size and modification time: a quick check, not a proof.

    An edit that keeps the size and sets the old time passes, and so does one within a clock tick (some 10 ms) of the
    digest. `digest_path` with a cache is as quick and notices both. Always False for folders.
    """
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (size, mtime_ns)


# ---------------------------------------------------------------- files


def _file_digests(files: list[tuple[bytes, os.stat_result]], cache: DigestCache | None) -> list[str]:
    """Content digest of every file, in order; one lookup and one write to the cache for all."""
    stamps = {path: stamp_of(found) for path, found in files}
    known = cache.lookup(stamps) if cache else {}
    unknown = list({path: (path, found) for path, found in files if path not in known}.values())
    if not unknown:
        return [known[path] for path, _ in files]
    began = now_ns()
    with _metered(sum(found.st_size for _, found in unknown), cache) as tell:
        fresh = dict(zip((path for path, _ in unknown), _hash_files(unknown, tell), strict=True))
    if cache:
        cache.record({path: (stamps[path], digest, began) for path, digest in fresh.items()})
    known.update(fresh)
    return [known[path] for path, _ in files]


@contextmanager
def _metered(total: int, cache: DigestCache | None) -> Iterator[Tell]:
    """A function to call with numbers of bytes read; it shows a bar if there are many, and that is asked for."""
    if cache is None or cache.meter is None or total < _LONG:
        yield lambda _count: None
        return
    done, lock = 0, threading.Lock()

    with cache.meter("Reading files", "bytes") as bar:

        def tell(count: int) -> None:
            nonlocal done
            with lock:
                done += count
            bar(done, total)

        yield tell


def _hash_files(files: list[tuple[bytes, os.stat_result]], tell: Tell) -> list[str]:
    """Digests in order; in parallel if there is enough to read for threads to pay."""
    if len(files) < 2 or sum(found.st_size for _, found in files) < _MANY:
        return [_hash_file(path, found, tell) for path, found in files]
    from concurrent.futures import ThreadPoolExecutor  # heavy, and few steps have so much to read

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1), initializer=_join_others) as pool:
        return list(pool.map(lambda file: _hash_file(file[0], file[1], tell), files))


class _Among(threading.local):
    """State of one thread."""

    others = False
    """True if others hash at the same time: then no further thread reads for it."""


_among = _Among()


def _join_others() -> None:
    _among.others = True


def _hash_file(path: bytes, expected: os.stat_result, tell: Tell) -> str:
    """Read the whole file and check that it was the same one, unchanged, from `expected` to the end."""
    try:
        descriptor = os.open(path, OURS | os.O_CLOEXEC)
    except OSError as problem:
        refuse(path, problem)
    try:
        _require_same(path, expected, os.fstat(descriptor))
        digest, count = _hash_descriptor(descriptor, expected.st_size, tell)
        _require_same(path, expected, os.fstat(descriptor))
    except OSError as problem:
        refuse(path, problem)
    finally:
        os.close(descriptor)
    if count != expected.st_size:
        _changed(path)
    _require_same(path, expected, stat_of(path, follow=True))
    return digest


def _hash_descriptor(descriptor: int, size: int, tell: Tell) -> tuple[str, int]:
    # One thread hashes as fast as a disk cache can be read; more only take turns with the reader.
    hasher, total = blake3(), 0
    ahead = size >= LONG and not _among.others and hasattr(os, "preadv")
    with closing(_parts(descriptor, size, ahead=ahead)) as parts:
        for part in parts:
            hasher.update(part)
            total += len(part)
            tell(len(part))
    return written(hasher), total


def _parts(descriptor: int, size: int, *, ahead: bool) -> Generator[memoryview, None, None]:
    """The bytes of an open file of this size, to its end. A part is overwritten after the next one was asked for."""
    if ahead:
        from consist_es.artifacts.ahead import parts_ahead  # few steps have so much to read

        yield from parts_ahead(descriptor)
        return
    buffer = memoryview(bytearray(min(CHUNK, size + 1)))
    while count := os.readv(descriptor, [buffer]):
        yield buffer[:count]


# ---------------------------------------------------------------- folders


def _digest_folder(root: bytes, method: str, cache: DigestCache | None, *, at_once: bool) -> Digest:
    top, began = stat_of(root, follow=True), now_ns()
    notes: list[str] = []
    entries = sorted(walk(root, notes), key=_NAME)
    seen = _look(top, entries)
    keeping = cache if method == "full" and seen.files >= _FILES else None
    digest = known = keeping.folder(root, seen.state) if keeping else None
    if digest is None:
        digest = _folder_digest(entries, method, cache)
    if known is None or at_once:
        _require_still(root, top, entries)
    if keeping and known is None:
        keeping.record_folder(root, seen.state, digest, seen.changed, began)
    return Digest(digest, "folder", method, seen.size, seen.newest, seen.files, tuple(sorted(notes)))


class _Look(NamedTuple):
    """What the stat results of a folder and its entries say."""

    files: int
    size: int
    newest: int
    """Newest modification time."""
    changed: int
    """Newest time of a file, modification or change."""
    state: str
    """Digest over all that the folder's digest follows from, with the stamps of files instead of their content."""


def _look(top: os.stat_result, entries: list[Entry]) -> _Look:
    files, size, newest, changed, lines = 0, 0, top.st_mtime_ns, 0, []
    for entry in entries:
        found, name = entry.stat, entry.name
        modified = found.st_mtime_ns
        if modified > newest:
            newest = modified
        if _IS_FILE(found.st_mode):
            altered, length = found.st_ctime_ns, found.st_size
            files, size = files + 1, size + length
            if altered > changed or modified > changed:
                changed = max(altered, modified)
            stamp = (length, modified, altered, found.st_ino, found.st_dev)
            lines.append(b"f%d:%s%d %d %d %d %d" % (len(name), name, *stamp))
        else:
            lines.append(_line(entry, ""))
    return _Look(files, size, newest, changed, blake3(b"".join(lines)).hexdigest())


def _folder_digest(entries: list[Entry], method: str, cache: DigestCache | None) -> str:
    files = [entry for entry in entries if _IS_FILE(entry.stat.st_mode)]
    if method == "full":
        contents = _file_digests([(entry.path, entry.stat) for entry in files], cache)
    else:
        contents = [str(entry.stat.st_mtime_ns) for entry in files]
    content = dict(zip((entry.name for entry in files), contents, strict=True))
    lines = b"".join([_line(entry, content.get(entry.name, "")) for entry in entries])
    hasher = blake3(lines, derive_key_context=f"{_FOLDER_DOMAIN} {method}")
    return written(hasher, kind=CONTENT if method == "full" else TIMES)


def _line(entry: Entry, content: str) -> bytes:
    """One entry, framed so that no two lists of entries give the same bytes."""
    if _IS_LINK(entry.stat.st_mode):
        return b"l%d:%s%d:%s" % (len(entry.name), entry.name, len(entry.target), entry.target)
    if _IS_FOLDER(entry.stat.st_mode):
        return b"d%d:%s" % (len(entry.name), entry.name)
    digest = content.encode()
    return b"f%d:%s%d:%d:%s" % (len(entry.name), entry.name, entry.stat.st_size, len(digest), digest)


def _require_still(root: bytes, top: os.stat_result, entries: list[Entry]) -> None:
    """Check that nothing changed since the walk: entries change their folder's time, edits their file's."""
    _require_same(root, top, stat_of(root, follow=True))
    for entry in entries:
        _require_same(entry.path, entry.stat, stat_of(entry.path, follow=False))
        if not is_still(entry):
            _changed(entry.via)


# ---------------------------------------------------------------- checks and messages


def _require_same(path: bytes, before: os.stat_result, after: os.stat_result) -> None:
    if stamp_of(before) != stamp_of(after):
        _changed(path)


def _changed(path: bytes) -> NoReturn:
    raise InputError(f"Cannot hash {shown(path)}: it changed while it was read. Run again once nothing writes to it.")
