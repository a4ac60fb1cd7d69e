"""R19: whatever bytes the decoders get, they answer with a value or with their own error, soon and in little memory.

Without arguments of its own the row uses a seeded mutational fuzzer. ``python tools/torture/decoder.py COUNT`` runs
the same targets under atheris, coverage-guided, in an interpreter that has atheris, msgspec and blake3.
"""

from __future__ import annotations

import contextlib
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from consist_es.errors import LogError
from consist_es.log.local import LocalLog
from consist_es.log.record import BadRecord, chain_before, decode_event, decode_head, decode_line, split_line
from consist_es.log.verify import verify
from consist_es.log.watermark import parse_slots
from torture.damage import SEGMENT, make_log
from torture.invariants import FOLDER
from torture.memory_disk import Disk, Memory
from torture.trial import Trial, require

LONGEST = 1.0
"""Seconds for one input."""
MOST_MEMORY = 100 << 20
"""Bytes by which the process may grow over all inputs."""
GOLDEN = Path(__file__).resolve().parent.parent.parent / "tests" / "golden"


def _line(data: bytes) -> None:
    decode_line(data, 1, 0)


def _parts(data: bytes) -> None:
    head, payload, _ = split_line(data)
    found = decode_head(head)
    decode_event(found.type, found.v, payload)


def _payload(data: bytes) -> None:
    decode_event("step_started", 1, data)


def _slots(data: bytes) -> None:
    parse_slots(data)


def _before(data: bytes) -> None:
    chain_before(data)


def _segment(data: bytes) -> None:
    """A whole segment file, header and all."""
    disk = Disk()
    disk.new_folder(FOLDER)
    disk.overwrite(SEGMENT, data)
    list(LocalLog(FOLDER, storage=Memory(disk)).read())


def _verified(data: bytes) -> None:
    disk = Disk()
    disk.new_folder(FOLDER)
    disk.overwrite(SEGMENT, data)
    verify(FOLDER, Memory(disk))


Target = Callable[[bytes], None]
QUICK: tuple[Target, ...] = (_line, _line, _line, _parts, _payload, _slots, _before)
SLOW: tuple[Target, ...] = (_segment, _verified)


def one_input(target: Target, data: bytes) -> None:
    """Anything but a value or an error of ours is a fault."""
    with contextlib.suppress(LogError, BadRecord):
        target(data)


def corpus() -> list[bytes]:
    """Golden lines, a small log, and what JSON parsers are afraid of."""
    log = make_log(6, commit=True, chance=random.Random(0)).bytes_of(SEGMENT)
    nasty = [b"[" * 5000, b'{"a":' * 3000, b"1" * 5000, b'"\\ud800"', b"\xff\xfe", b"", b"{}", b"null", b"1e999", b"-0"]
    lines = [path.read_bytes() for path in sorted(GOLDEN.glob("*.jsonl"))]
    return [*lines, *log.splitlines(keepends=True), log, *nasty]


def mutate(data: bytes, chance: random.Random, seeds: list[bytes]) -> bytes:
    """One to six changes: bits, bytes, numbers, cuts, repeats, parts of other seeds, and sometimes a mended chain."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(found) + 1)
        kind = chance.randrange(7)
        if kind == 0 and found:
            found[place % len(found)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            found[place:place] = chance.choice([b"\0", b"\n", b'"', b"\\", b"{", b"[", b",", b'"$blob":"', b"9" * 40])
        elif kind == 2:
            del found[place : place + chance.choice([1, 2, 10, 100])]
        elif kind == 3:
            other = chance.choice(seeds)
            start = chance.randrange(len(other) + 1)
            found[place:place] = other[start : start + chance.choice([3, 30, 300])]
        elif kind == 4:
            part = bytes(found[place : place + chance.choice([1, 5, 50])])
            found[place:place] = part * chance.choice([1, 2, 20])
        elif kind == 5:
            found[place : place + 1] = chance.randbytes(1)
        else:
            found[place : place + 4] = chance.randbytes(4)
    return bytes(found[:1_000_000])


def fuzz(trial: Trial) -> None:
    """R19: `count` inputs."""
    seeds, chance = corpus(), trial.random
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest = 0.0
    for number in trial.cases():
        target = SLOW[number // 200 % 2] if number % 200 == 199 else QUICK[number % len(QUICK)]
        data = mutate(chance.choice(seeds), chance, seeds)
        began = time.perf_counter()
        try:
            one_input(target, data)
        except Exception as error:  # noqa: BLE001  that is what is looked for
            trial.fail(f"{target.__name__}({data[:300]!r}): {type(error).__name__}: {error}")
        longest = max(longest, time.perf_counter() - began)
        trial.tell("inputs")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    trial.notes |= {"longest input, ms": round(longest * 1000, 1), "grown by, MB": grown >> 20, "fuzzer": "seeded"}
    with trial.case("limits"):
        require(grown < MOST_MEMORY, f"grew by {grown:,} bytes")
        require(longest < LONGEST, f"one input took {longest:.2f} s")


def _with_atheris(count: int) -> None:
    import tempfile

    import atheris  # type: ignore[import-untyped]

    def one(data: bytes) -> None:
        if data:
            one_input((*QUICK, *SLOW)[data[0] % 9], data[1:])

    folder = Path(tempfile.mkdtemp())
    for number, seed in enumerate(corpus()):
        for target in range(9):
            (folder / f"{number}.{target}").write_bytes(bytes([target]) + seed)
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], str(folder), f"-runs={count}", "-timeout=5", "-rss_limit_mb=2048", "-seed=1"], one)
    atheris.Fuzz()


if __name__ == "__main__":
    _with_atheris(int(sys.argv[1]))
