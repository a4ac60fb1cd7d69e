"""Payloads too large for a line: files named by their blake3, beside the segments.

The line holds ``{"$blob":"<64 hex digits>","size":<bytes>}`` in place of the payload. No field of an event can be
called ``$blob``, so this is unambiguous.
"""

import contextlib
import os
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.log.record import BLOB_START, EVENT_CAP, BadRecord
from consist_es.system.storage import Storage, make_folder, write_all

BLOB_FOLDER = "blobs"


class _Reference(msgspec.Struct, frozen=True):
    blob: str = msgspec.field(name="$blob")
    size: int


def write_blob(storage: Storage, folder: Path, data: bytes) -> bytes:
    """Store `data` so that it survives a power cut, and return its reference for the line. May raise OSError."""
    digest = blake3(data).hexdigest()
    place = folder / BLOB_FOLDER
    make_folder(storage, place)
    if _read(storage, place / digest, len(data)) != data:
        temporary = place / f"{digest}.{storage.token(8).hex()}.tmp"
        try:
            _write(storage, temporary, data)
            storage.rename(temporary, place / digest)
        except BaseException:
            with contextlib.suppress(OSError):
                storage.unlink(temporary)
            raise
    for holder in (place, folder):  # also if it existed: its writer may have died before this
        storage.sync_folder(holder)
    return reference_to(digest, len(data))


def reference_to(digest: str, size: int) -> bytes:
    """What stands on the line instead of a payload of this digest, in hex."""
    return msgspec.json.encode(_Reference(blob=digest, size=size))


def _write(storage: Storage, path: Path, data: bytes) -> None:
    fd = storage.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        write_all(storage, fd, data, 0)
        storage.datasync(fd)
    finally:
        storage.close(fd)


def _read(storage: Storage, path: Path, size: int) -> bytes | None:
    """The bytes of a file; None if it is missing, empty (unread) if its size differs."""
    try:
        fd = storage.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return storage.read_at(fd, size, 0) if storage.size(fd) == size else b""
    finally:
        storage.close(fd)


def resolve(storage: Storage, folder: Path, data: bytes) -> bytes:
    """The payload of a line: its data, or the blob they refer to. May raise OSError.

    Raises:
        BadRecord: the blob is missing or does not match the line.
    """
    if not data.startswith(BLOB_START):
        return data
    reference = _reference(data)
    name = reference.blob
    found = _read(storage, folder / BLOB_FOLDER / name, reference.size)
    if found is None:
        raise BadRecord(f"its payload {BLOB_FOLDER}/{name} is missing")
    if len(found) != reference.size or blake3(found).hexdigest() != name:
        raise BadRecord(f"its payload {BLOB_FOLDER}/{name} is damaged")
    return found


def _reference(data: bytes) -> _Reference:
    try:
        reference = msgspec.json.decode(data, type=_Reference)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadRecord(f"the reference to a blob does not decode: {error}") from error
    if not 0 <= reference.size <= EVENT_CAP:
        raise BadRecord(f"a payload of {reference.size} bytes; at most {EVENT_CAP} are allowed")
    if len(reference.blob) != 64 or not set(reference.blob) <= set("0123456789abcdef"):  # it becomes a file name
        raise BadRecord(f"{reference.blob!r} is not the name of a blob")
    return reference


def blob_name(data: bytes) -> str:
    """The name of the blob that a line's data refer to.

    Raises:
        BadRecord: they refer to none.
    """
    return _reference(data).blob
