"""Lines that are checked many at a time: what the walk line by line finds is found, and nothing else."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consist_es.errors import LogError
from consist_es.events import (
    Cursor,
    Draft,
    MetaLogged,
    Recorded,
    ScenarioStarted,
    StepAbandoned,
    StepFailed,
    UnknownEvent,
)
from consist_es.events import ErrorInfo as Error
from consist_es.log import quick
from consist_es.log.local import LocalLog
from consist_es.log.record import chain_of, join_line, split_line
from consist_es.log.report import VerifyReport
from consist_es.log.verify import verify

SEGMENTS = ("00000001.jsonl", "00000002.jsonl", "00000003.jsonl", "00000004.jsonl")


def run(key: str, *, ends: bool) -> list[Draft]:
    start = Draft(ScenarioStarted(run_id=key, name=key), scenario=key, run=key)
    end = Draft(StepFailed(status="failed", seconds=1, error=Error(type="E", message="m")), scenario=key, run=key)
    return [start, *([end] if ends else [])]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four segments: runs with and without an end, batches of several sizes, a blob, and a redacted payload."""
    log = LocalLog(tmp_path_factory.mktemp("whole") / "x", sync="os", segment_size=4000)
    for number in range(8):
        log.append(run(f"r{number}", ends=number % 3 > 0))
        log.append([Draft(MetaLogged(values={"n": [number, "ü"]}), run=f"r{number}") for _ in range(number % 4 + 1)])
    log.append([Draft(MetaLogged(values={"much": "x" * (1 << 20)}), run="r1")])
    log.redact([4], "a password")
    log.append(run("last", ends=False), commit=True)
    log.close()
    assert sorted(path.name for path in log.folder.glob("*.jsonl")) == [*SEGMENTS]
    return log.folder


@pytest.fixture(params=[(64 << 10, 1 << 20), (700, 900)], ids=["as it is", "small reads"])
def reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of the reads: with small ones, batches and lines lie across them."""
    first, later = request.param
    monkeypatch.setattr(quick, "FIRST", first)
    monkeypatch.setattr(quick, "CHUNK", later)


def all_read(folder: Path) -> tuple[list[Recorded], str]:
    """The events up to an error, and its text."""
    found: list[Recorded] = []
    try:
        found.extend(LocalLog(folder).read())
    except LogError as error:
        return found, str(error)
    return found, ""


def both_ways(folder: Path) -> tuple[VerifyReport, tuple[list[Recorded], str]]:
    """What is found in a log: the same as line by line."""
    found = verify(folder), all_read(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quick, "follow", lambda _lines, _chain: [])
        assert (verify(folder), all_read(folder)) == found
    return found


@pytest.mark.usefixtures("reads")
def test_a_whole_log_is_the_same_line_by_line(whole: Path) -> None:
    report, (events, error) = both_ways(whole)
    assert (report.ok, report.redacted, error) == (True, [4], "")
    assert [item.run for item in report.unended] == ["r0", "r3", "r6", "last"]
    assert [event.seq for event in events] == [*range(1, report.head + 1)]


@pytest.mark.usefixtures("reads")
def test_a_whole_log_is_not_walked_line_by_line(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Iterator[bytes]:
        raise AssertionError("line by line")

    expected = both_ways(whole)
    monkeypatch.setattr("consist_es.log.segment.raw_lines", refuse)
    assert (verify(whole), all_read(whole)) == expected


Damage = tuple[str, int, int]
DAMAGES = st.tuples(
    st.sampled_from(["flip", "set", "drop", "add", "cut", "zeros", "swap", "double", "leave out"]),
    st.integers(0, 1 << 20),
    st.integers(0, 255),
)


def damaged(data: bytes, damage: Damage) -> bytes:
    """A segment with one thing wrong, anywhere."""
    kind, place, value = damage
    at = place % len(data)
    lines = data.splitlines(keepends=True)
    line = place % len(lines)
    match kind:
        case "flip":
            return data[:at] + bytes([data[at] ^ (1 << value % 8)]) + data[at + 1 :]
        case "set":
            return data[:at] + bytes([value]) + data[at + 1 :]
        case "drop":
            return data[:at] + data[at + 1 :]
        case "add":
            return data[:at] + bytes([value]) + data[at:]
        case "cut":
            return data[:at]
        case "zeros":
            return data[:at] + bytes(len(data[at : at + 512])) + data[at + 512 :]
        case "swap" if line + 1 < len(lines):
            lines[line : line + 2] = reversed(lines[line : line + 2])
        case "double":
            lines.insert(line, lines[line])
        case _:
            del lines[line]
    return b"".join(lines)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(SEGMENTS), DAMAGES)
@pytest.mark.usefixtures("reads")
def test_every_damage_is_found_as_line_by_line(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, name: str, damage: Damage
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    data = (folder / name).read_bytes()
    new = damaged(data, damage)
    (folder / name).write_bytes(new)
    report, _ = both_ways(folder)
    if damage[0] == "flip":  # of what was added or cut at an end, not everything is damage
        assert not report.ok


# ---------------------------------------------------------------- lines that only a faulty writer makes

HEADS = {
    "a field is missing": (b'"v":1,', b""),
    "a field of another type": (b'"v":1,', b'"v":"1",'),
    "two heads in one": (b'"v":1,', b'"v":1,"scenario":null,"run":null},\n{"v":1,'.replace(b"\n", b" ")),
    "an open text": (b'"end":true,', b'"end":true,"x":"'),
    "an open list": (b'"end":true,', b'"end":true,"x":['),
    "another position": (b'{"seq":', b'{"seq":1'),
    "a position that is no number": (b'{"seq":', b'{"seq":0.'),
    "blanks": (b'{"seq":', b'{ "seq": '),
    "an unknown type": (b'"type":"step_abandoned"', b'"type":"dream_dreamt"'),
    "an unknown version": (b'"v":1,', b'"v":7,'),
}
DATA = {
    "no JSON": b'{"reason":"x"',
    "an object that ends early": b'{"reason":"x"},"seq":{"y":1}',
    "a required field is missing": b'{"cause":"x"}',
    "another type of value": b'{"reason":1}',
    "nested deep": b'{"reason":"x","more":' + b"[" * 250 + b"]" * 250 + b"}",
    "a blob that is not there": b'{"$blob":"' + b"0" * 64 + b'","size":5}',
    "redacted by nobody": b'{"$redacted":"' + b"0" * 64 + b'"}',
    "a key of our own": b'{"$other":"x"}',
}


def with_line(folder: Path, target: Path, head: tuple[bytes, bytes], data: bytes | None) -> Path:
    """A copy with another third line, and chain values that fit."""
    shutil.copytree(folder, target)
    path = target / SEGMENTS[0]
    lines = path.read_bytes().splitlines(keepends=True)
    chain, made = split_line(lines[2])[2], lines[:3]
    for number, line in enumerate(lines[3:], start=3):
        front, payload, _ = split_line(line)
        if number == 3:
            assert head[0] in front
            front, payload = front.replace(*head), payload if data is None else data.ljust(80, b"\t")
        chain = chain_of(chain, front, payload)
        made.append(join_line(front, payload, chain))
    path.write_bytes(b"".join(made))
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = LocalLog(tmp_path_factory.mktemp("plain") / "x", sync="os")
    for number in range(4):
        log.append([Draft(StepAbandoned(reason=f"{number}"))])
    log.close()
    return log.folder


@pytest.mark.usefixtures("reads")
@pytest.mark.parametrize("fault", [*HEADS, *DATA])
def test_a_line_of_a_faulty_writer_is_served_or_refused_as_line_by_line(
    plain: Path, tmp_path: Path, fault: str
) -> None:
    data = DATA.get(fault)
    folder = with_line(plain, tmp_path / "x", HEADS.get(fault, (b'{"seq":', b'{"seq":')), data)
    report, (events, error) = both_ways(folder)
    served = ("blanks", "an unknown type", "an unknown version", "redacted by nobody")
    assert (error == "") == (fault in served)
    if fault in HEADS:  # a payload that does not decode is no damage of the log
        assert report.ok == (fault in served)
    if fault.startswith("an unknown"):
        assert [isinstance(event.event, UnknownEvent) for event in events] == [False, False, True, False, False]


def test_a_batch_that_is_longer_than_a_read_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "FIRST", 500)
    monkeypatch.setattr(quick, "CHUNK", 600)
    log = LocalLog(tmp_path / "x", sync="os")
    log.append([Draft(StepAbandoned(reason="x" * 300)) for _ in range(50)])
    log.append([Draft(StepAbandoned(reason="end"))])
    assert [event.seq for event in log.read()] == [*range(1, 53)]
    assert both_ways(log.folder)[0].ok
    middle = next(event for event in log.read() if event.seq == 30)
    after = Cursor(seq=30, segment=1, offset=middle.offset + middle.size, chain=middle.chain)
    assert [event.seq for event in log.read(after)] == [*range(31, 53)]
