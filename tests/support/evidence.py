"""What the tests of tree heads and proofs share: logs, an independent tree, and somebody who rewrites history."""

import base64
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from blake3 import blake3

from consist_es.events import Draft, MetaLogged
from consist_es.log.local import LocalLog
from consist_es.log.record import SEPARATOR, TAIL_END, TAIL_START, chain_of, split_line
from consist_es.log.segment import segment_name
from tests.support.api import ROOT

SCRIPT = ROOT / "tools" / "check_proof.py"


def grow(folder: Path, count: int, *, size: int = 0, segment_size: int = 1 << 20) -> None:
    """Append events, each a batch of its own, and before them one that says who writes."""
    log = LocalLog(folder, sync="os", segment_size=segment_size)
    start = log.head().seq
    for number in range(count):
        log.append([Draft(MetaLogged(values={"note": f"{start + number}-{'x' * size}"}), "s", "r")])
    log.close()


def lines_of(folder: Path) -> list[bytes]:
    """The lines of all events, by nothing but what docs/log-format.md says."""
    found = []
    for segment in sorted(folder.glob("*.jsonl")):
        found += segment.read_bytes().split(b"\n")[1:-1]
    return [line + b"\n" for line in found]


def leaf(previous: bytes, head: bytes, digest: bytes) -> bytes:
    """A leaf as docs/tamper-evidence.md describes it."""
    return b"consist-es log 1 line\n" + previous + len(head).to_bytes(8, "little") + head + digest


def leaves_of(folder: Path) -> list[bytes]:
    """Every leaf, computed from the bytes of the files."""
    segment = (folder / segment_name(1)).read_bytes()
    previous = segment[: segment.index(b"\n")][-45:-2]
    found = []
    for line in lines_of(folder):
        head, data = line[:-56].split(b',"data":', 1)
        found.append(leaf(previous, head, blake3(data).digest()))
        previous = line[-46:-3]
    return found


def naive_root(leaves: list[bytes]) -> bytes:
    """The definition in RFC 6962, section 2.1, word for word."""
    if len(leaves) < 2:
        return sha256(b"\x00" + leaves[0]).digest() if leaves else sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def root_text(folder: Path, size: int) -> str:
    return base64.b64encode(naive_root(leaves_of(folder)[:size])).decode()


def rewrite(folder: Path, position: int, change: Callable[[bytes], bytes]) -> None:
    """Change a payload in a log of one segment, and compute the chain anew from there on, as a forger would."""
    path = folder / segment_name(1)
    header, *lines = path.read_bytes().splitlines(keepends=True)
    previous, written = header[-46:-3], [header]
    for number, line in enumerate(lines, 1):
        head, data, _ = split_line(line)
        data = change(data) if number == position else data
        previous = chain_of(previous, head, data)
        written.append(head + SEPARATOR + data + TAIL_START + previous + TAIL_END)
    path.write_bytes(b"".join(written))
    forget_watermark(folder)


def cut(folder: Path, size: int) -> None:
    """Take the newest events away, so that `size` remain, and the watermark with them."""
    path = folder / segment_name(1)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: size + 1]))
    forget_watermark(folder)


def forget_watermark(folder: Path) -> None:
    for name in ("head", "verified"):
        (folder / name).unlink(missing_ok=True)


def run_script(*arguments: str | Path, isolated: bool = False) -> "subprocess.CompletedProcess[str]":
    """Check a proof in a fresh interpreter; where `isolated`, one that finds no package, ours included."""
    flags = ["-I", "-S"] if isolated else ["-I"]
    return subprocess.run(
        [sys.executable, *flags, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
