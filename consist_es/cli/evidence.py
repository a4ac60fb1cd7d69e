"""Shared by the commands on tree heads and proofs."""

import contextlib
from pathlib import Path
from typing import Any

import click
import msgspec

from consist_es.cli.common import short
from consist_es.cli.output import emit, emit_json, note
from consist_es.cli.wording import BAD, GOOD
from consist_es.errors import ProofError, SignatureError, UsageError
from consist_es.log.evidence.signing import check_signature
from consist_es.log.evidence.tree_head import TreeHead, read_head_file
from consist_es.log.evidence.tree_heads import FOLDER, SIGNATURE, Verdict, changed_between, compare, kept_heads
from consist_es.log.local import LocalLog
from consist_es.system.bar import Bar

readable_file = click.Path(exists=True, dir_okay=False, path_type=Path)
new_file = click.Path(dir_okay=False, path_type=Path)


def signature_of(head: Path) -> Path:
    """Path of the signature of a head's file."""
    return head.with_name(head.name + SIGNATURE)


def require_new(*paths: Path) -> None:
    """Refuse existing files: an older head or proof is evidence."""
    # called before the log is read, which takes long
    for path in paths:
        if not path.parent.is_dir():
            raise UsageError(f"--out {path}: folder {path.parent} does not exist. Make it, or give another one.")
        if path.exists() or path.is_symlink():
            raise UsageError(f"--out {path}: there is a file of that name. Give another name, or move it away.")


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet."""
    with path.open("x", encoding="utf-8", newline="") as file:
        file.write(text)


def head_to_prove_against(log: LocalLog, given: Path | None) -> tuple[TreeHead, str | None]:
    """The tree head in a file, or else the newest one below the log's folder; with its signature, if it has one.

    Raises:
        ProofError: there is none. TreeHeadError: it is damaged.
    """
    path = given
    if path is None:
        kept = kept_heads(log.storage, log.folder)
        if not kept:
            raise ProofError(
                f"{short(log.folder)} has no tree head to prove anything with: make one with `consist-es checkpoint`."
            )
        path = kept[-1].path
    signature = None
    with contextlib.suppress(FileNotFoundError):
        signature = signature_of(path).read_text("utf-8", "backslashreplace")
    return read_head_file(path), signature


# ---------------------------------------------------------------- verify --against


def check_heads(log: LocalLog, given: dict[Path, TreeHead], signers: Path | None, as_json: bool) -> bool:
    """Compare the log with tree heads, and print the verdicts; True if the log extends them all.

    The heads below the log's folder are compared as well. They can be rewritten with the log, so they are no evidence
    for it; but one that contradicts the log is evidence against it, and locates the change.
    """
    storage, folder = log.storage, log.folder
    heads = [(short(path), head) for path, head in given.items()]
    kept = [(f"{FOLDER}/{item.path.name}", item.head) for item in kept_heads(storage, folder)]
    with Bar("Comparing with the tree heads") as bar:
        verdicts = compare(storage, folder, [*heads, *kept], bar)
    good = all(verdict.ok for verdict in verdicts)
    for (path, head), verdict in zip(given.items(), verdicts, strict=False):
        signed = _signed(path, head, signers)
        good = good and signed.get("ok", True)
        _tell(verdict, signed, as_json)
    for verdict in verdicts[len(given) :]:
        if not verdict.ok:
            _tell(verdict, {}, as_json)
    if (change := changed_between(verdicts)) and not as_json:
        emit(f"The first change is at one of the positions {change[0] + 1} to {change[1]}.", BAD)
    return good


def _signed(path: Path, head: TreeHead, signers: Path | None) -> dict[str, Any]:
    """Result of checking a head's signature; empty if that was not asked for."""
    if signers is None:
        if signature_of(path).exists():
            note(f"{short(path)} is signed; give --signers FILE to have the signature checked.")
        return {}
    try:
        return {"ok": True, "by": check_signature(head.text, signature_of(path), signers)}
    except SignatureError as error:
        return {"ok": False, "problem": str(error)}


def _tell(verdict: Verdict, signed: dict[str, Any], as_json: bool) -> None:
    if as_json:
        emit_json({"against": {**msgspec.to_builtins(verdict), "ok": verdict.ok, "signature": signed or None}})
        return
    emit(f"{verdict.name} {verdict.what}", GOOD if verdict.ok else BAD)
    if signed:
        said = f"signed by {signed['by']}" if signed["ok"] else f"NOT SIGNED as asked: {signed['problem']}"
        emit(f"{verdict.name}: {said}", GOOD if signed["ok"] else BAD)
