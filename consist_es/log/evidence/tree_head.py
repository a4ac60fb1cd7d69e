"""A tree head: how many events a log had, and the root of their Merkle tree, as a text of three lines.

The text is a C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint): origin, size in decimal, root in base64 (RFC 4648,
section 4). In the signed form a blank line and signature lines follow (c2sp.org/signed-note); signature lines of
others, such as witnesses, are ignored.
"""

import base64
import binascii
import re
from pathlib import Path

import msgspec

from consist_es.errors import TreeHeadError
from consist_es.log.evidence.merkle import HASH_SIZE

LONGEST = 1 << 16
"""Largest size in bytes of a tree head with its signature lines."""

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SIGNATURE_START = "\u2014 "


class TreeHead(msgspec.Struct, frozen=True):
    """State of a log at one moment."""

    origin: str
    """Id of the log."""
    size: int
    """Number of events."""
    root: bytes

    @property
    def text(self) -> str:
        """The head as it is written, signed and compared."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def origin_of(project: str) -> str:
    """The first line of every tree head of a project."""
    return f"consist-es/{project}"


def parse_head(text: str, where: object) -> TreeHead:
    """Read a tree head; `where` names it in the error.

    Raises:
        TreeHeadError: not a tree head, of an empty tree, or with extension lines, which nobody could check.
    """
    note, _, signatures = text.partition("\n\n")
    lines = note.removesuffix("\n").split("\n")
    if len(lines) != 3 or _CONTROL.search(text) or not lines[0]:
        raise TreeHeadError(where, "not a tree head, which is an origin, a size and a root on three lines")
    if any(line and not line.startswith(_SIGNATURE_START) for line in signatures.split("\n")):
        raise TreeHeadError(where, "not a tree head: after the blank line there are lines that are not signatures")
    origin, size, root = lines
    if not _SIZE.fullmatch(size):
        raise TreeHeadError(where, f"not a tree head: {size[:40]!r} is not a size")
    if size == "0":
        raise TreeHeadError(where, "the head of an empty log, which proves nothing")
    return TreeHead(origin, int(size), _root(root, where))


def _root(text: str, where: object) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        root = b""
    if len(root) != HASH_SIZE or base64.b64encode(root).decode() != text:
        raise TreeHeadError(where, "not a tree head: its third line is not a root in base64")
    return root


def read_head_file(path: Path) -> TreeHead:
    """Read a tree head from a file. May raise OSError.

    Raises:
        TreeHeadError: see `parse_head`.
    """
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise TreeHeadError(path, f"not a tree head: it has more than {LONGEST:,} bytes")
    try:
        return parse_head(data.decode(), path)
    except UnicodeDecodeError as error:
        raise TreeHeadError(path, "not a tree head: it is not UTF-8 text") from error
