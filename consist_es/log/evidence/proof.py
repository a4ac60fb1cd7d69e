"""Proofs for holders of a tree head alone: that events are in a log, and that a log extends an older one.

A proof is one JSON value on one line, described in docs/tamper-evidence.md; `tools/check_proof.py` checks it without
this library.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.errors import LogCorruptError, LogTamperedError, ProofError
from consist_es.log.blobs import resolve
from consist_es.log.evidence.merkle import (
    Span,
    Tree,
    consistency_path,
    extends,
    inclusion_path,
    is_included,
    leaf_hash,
    pieces,
)
from consist_es.log.evidence.survey import Progress, Survey
from consist_es.log.evidence.tree_head import TreeHead
from consist_es.log.evidence.tree_heads import judge, origin_of_log
from consist_es.log.record import CHAIN_LENGTH, BadRecord
from consist_es.log.segment import Line, segment_name
from consist_es.system.storage import Storage
from consist_es.text import counted

FORMAT = "consist-es proof 1"

_DIGEST = 32
_LENGTH = 8


class ProvenEvent(msgspec.Struct, frozen=True):
    """An event, with the path from its leaf to the root."""

    position: int
    previous: str
    """Chain value on the line of the event before it."""
    head: str
    """The event's line up to its payload."""
    digest: str
    """blake3 of the payload, in hex, as in the leaf."""
    data: str | None
    """The payload as on the line, or None if it was removed."""
    path: list[str]
    """Hashes from the leaf's neighbour upwards, in hex (RFC 6962, section 2.1.1)."""


class Extension(msgspec.Struct, frozen=True):
    """An older tree head, with the path that proves the newer one extends it."""

    checkpoint: str
    path: list[str]
    """Hashes in hex (RFC 6962, section 2.1.2)."""


class Proof(msgspec.Struct, frozen=True):
    """A self-contained proof; only the tree head to compare with must come from elsewhere."""

    format: str
    checkpoint: str
    """The text of the tree head."""
    signature: str | None
    """The armored SSH signature over it, or None."""
    events: list[ProvenEvent]
    blobs: dict[str, str]
    """Payloads from blobs, by their blake3 in hex, the name that `data` gives."""
    extends: Extension | None

    def text(self) -> str:
        """The proof as one line of printable ASCII, because a log may hold any characters."""
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":")) + "\n"


def prove(
    storage: Storage,
    folder: Path,
    head: TreeHead,
    positions: Iterable[int],
    *,
    older: TreeHead | None = None,
    signature: str | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Prove that the events at these positions are in the tree of a head. Reads the log up to the head's last event.

    Args:
        older: An earlier head; the proof then also shows that the tree extends it.
        signature: Included in the proof, unchecked.

    Raises:
        ProofError: the head does not cover one of the positions, or is smaller than the older one.
        LogTamperedError: the log does not extend the head, or the older one.
        LogCorruptError, LogReadError, LogFormatError: the log cannot be read up to the head.
    """
    paths = _paths(head, positions)
    if older is not None and older.size > head.size:
        raise ProofError(
            f"The tree head has {counted(head.size, 'event')}, and so cannot extend one of {older.size}. "
            "Make a newer one with `consist-es checkpoint`, or swap the two."
        )
    old_path = consistency_path(older.size, head.size) if older else []
    nodes = frozenset(node for spans in (*paths.values(), old_path) for span in spans for node in pieces(span))
    heads = [("the tree head", head), *([("the older tree head", older)] if older else [])]
    survey = Survey(storage, folder, sizes=[item.size for _, item in heads], nodes=nodes, positions=paths)
    survey.run(stop=head.size, progress=progress)
    for verdict in judge(survey, origin_of_log(storage, folder), heads, None):
        if not verdict.ok:
            raise LogTamperedError(folder, f"{verdict.name} {verdict.what}")
    maker = _Maker(storage, folder, survey)
    proven = [maker.event(position, paths[position]) for position in paths]
    return Proof(
        format=FORMAT,
        checkpoint=head.text,
        signature=signature,
        events=proven,
        blobs=maker.blobs,
        extends=None if older is None else _extension(older, head, survey.tree, old_path),
    )


def _paths(head: TreeHead, positions: Iterable[int]) -> dict[int, list[Span]]:
    """Position -> the subtrees of its proof."""
    paths = {}
    for position in sorted(set(positions)):
        if not 1 <= position <= head.size:
            raise ProofError(
                f"The tree head covers positions 1 to {head.size}, not {position}. "
                "Make a newer one with `consist-es checkpoint`."
            )
        paths[position] = inclusion_path(position - 1, head.size)
    return paths


def _extension(older: TreeHead, head: TreeHead, tree: Tree, spans: list[Span]) -> Extension:
    path = [tree.hash_of(span) for span in spans]
    if not extends(older.size, older.root, head.size, head.root, path):
        raise AssertionError("a consistency proof that does not hold")
    return Extension(older.text, [part.hex() for part in path])


class _Maker:
    """Builds the proofs of single events."""

    def __init__(self, storage: Storage, folder: Path, survey: Survey) -> None:
        self._storage, self._folder, self._survey = storage, folder, survey
        self.blobs: dict[str, str] = {}

    def event(self, position: int, spans: Iterable[Span]) -> ProvenEvent:
        (segment, line), tree = self._survey.lines[position], self._survey.tree
        path = [tree.hash_of(span) for span in spans]
        if not is_included(leaf_hash(line.covered), position - 1, tree.size, path, tree.root()):
            raise AssertionError("an inclusion proof that does not hold")
        previous, head, digest = _parts(line.covered)
        data = self._payload(segment, line, digest)
        return ProvenEvent(
            position=position,
            previous=previous.decode(),
            head=head.decode(),
            digest=digest.hex(),
            data=data,
            path=[part.hex() for part in path],
        )

    def _payload(self, segment: int, line: Line, digest: bytes) -> str | None:
        """The payload as on the line, or None if it was redacted. A blob is added to `blobs`."""
        if blake3(line.data).digest() != digest:
            return None
        try:
            whole = resolve(self._storage, self._folder, line.data)
            if whole is not line.data:
                self.blobs[blake3(whole).hexdigest()] = whole.decode()
            return line.data.decode()
        except (BadRecord, UnicodeDecodeError) as error:
            raise LogCorruptError(segment_name(segment), line.offset, str(error)) from error


def _parts(covered: bytes) -> tuple[bytes, bytes, bytes]:
    """Split the chain's input into previous chain value, head and digest of the data."""
    start = covered.index(b"\n") + 1
    front = start + CHAIN_LENGTH + _LENGTH
    return covered[start : start + CHAIN_LENGTH], covered[front:-_DIGEST], covered[-_DIGEST:]
