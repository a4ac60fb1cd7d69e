"""`consist-es repair`, and what `verify` says beyond the chain: open runs, lost records, views, outputs, exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consist_es.log.local import LocalLog
from tests.support.cli import record, run, run_json


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a small project in the working directory."""
    monkeypatch.chdir(tmp_path)
    return record()


def damage(log: Path, position: int) -> None:
    """Change one bit of an event's payload."""
    event = next(event for event in LocalLog(log).read() if event.seq == position)
    segment = log / "00000001.jsonl"
    data = bytearray(segment.read_bytes())
    data[event.offset + event.size - 70] ^= 1
    segment.write_bytes(data)


def test_without_the_flag_repair_says_what_can_be_kept_and_changes_nothing(log: Path) -> None:
    head = LocalLog(log).head().seq
    damage(log, 5)
    before = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    result = run("repair", code=1)
    assert "DAMAGED at 00000001.jsonl, byte " in result.stdout
    assert "1 record cannot be kept: position 5\n" in result.stdout
    assert "look for one first, and keep the damaged file until" in result.stderr
    (said,) = run_json("repair", code=1)
    assert (said["damaged"], said["lost"], said["repaired"]) == (True, [5], False)
    assert {path: path.read_bytes() for path in log.rglob("*") if path.is_file()} == before
    kept = next(line for line in result.stdout.splitlines() if "can be kept" in line and "cannot" not in line)
    whole = next(line for line in result.stdout.splitlines() if line.startswith("up to position"))
    assert int(kept.split()[2]) + int(whole.split()[3].rstrip(":")) + 1 == head


def test_what_is_damaged_can_be_left_behind_and_everybody_says_what_is_lost(log: Path) -> None:
    position = next(event.seq for event in LocalLog(log).read() if event.type == "artifact_logged")
    damage(log, position)
    assert "after it" in run("verify", code=1).stdout
    assert "consist-es repair" in run("verify", code=1).stderr
    result = run("repair", "--keep-damaged")
    assert f"1 record lost: position {position}\n" in result.stdout
    assert "kept as they were" in result.stderr
    assert f"lost, as an earlier repair recorded: the record of position {position}\n" in run("verify").stdout
    told = run("log").stdout
    assert "lost: what was damaged here was an event of type artifact_logged" in told
    assert "log repaired: " in told
    assert "are kept where they are" in told
    assert "lost: what was damaged here" in run("audit", "baseline#1").stdout
    run("replay", "--check")
    run("doctor")
    record()  # the project goes on
    run("verify", "--deep")
    assert run("repair").stdout == "provenance.events: every record is whole, nothing to repair\n"
    (said,) = run_json("repair")
    assert not said["damaged"]


def test_a_payload_whose_blob_is_gone_can_be_given_up_by_a_redaction(log: Path) -> None:
    code = "import consist_es as c\nwith c.Tracker(run_dir='runs', db_path='provenance.db') as t:\n"
    code += "    with t.scenario('bulk', config={'text': ['x' * 900_000, 'y' * 900_000]}): pass\n"
    subprocess.run([sys.executable, "-c", code], check=True)
    (blob,) = (log / "blobs").iterdir()
    blob.unlink()
    told = run("repair")  # whose work are records, and those are there
    assert told.stdout == "provenance.events: every record is whole, nothing to repair\n"
    assert "Payloads in files of their own, below blobs, were not looked at" in told.stderr
    assert "consist-es redact" in run("verify", code=1).stderr
    position = next(
        int(line.split()[2]) for line in run("verify", code=1).stdout.splitlines() if line.startswith("blobs")
    )
    run("redact", str(position), "--reason", "its blob was lost", "--yes")
    run("verify")
    run("replay", "--check")


# ---------------------------------------------------------------- verify


SLEEPER = """
import sys, time
import consist_es as consist
def wait():
    print("running", flush=True)
    time.sleep(600)
with consist.Tracker(run_dir="runs", db_path="provenance.db") as tracker, tracker.scenario("long") as sc:
    sc.run(fn=wait)
"""


def test_verify_says_which_runs_have_no_end_before_and_after_their_process_is_gone(log: Path) -> None:
    assert "has no end" not in run("verify").stdout
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        alive = run("verify").stdout
        assert alive.count(f"process {process.pid} may still be running it") == 2  # the scenario and its step
        process.send_signal(signal.SIGKILL)
    found = run("verify").stdout
    assert found.count(f"and process {process.pid} is gone: the next writer records it as abandoned") == 2
    (said,) = run_json("verify")
    assert [item["writer"]["pid"] for item in said["unended"]] == [process.pid] * 2
    record()
    assert "has no end" not in run("verify").stdout


def test_verify_deep_derives_views_and_outputs_again(log: Path) -> None:
    assert "every output is in its place and unchanged" in run("verify", "--deep").stdout
    output = next(Path("runs").rglob("scaled*"))
    stat = output.stat()
    content = output.read_bytes()
    output.write_bytes(content[:-1] + b"9")
    os.utime(output, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "scaled" in run("verify", "--deep", code=1).stdout
    run("verify")
    output.write_bytes(content)
    import sqlite3

    with sqlite3.connect("provenance.db") as connection:
        connection.execute("UPDATE runs SET seconds = seconds + 1")
    connection.close()
    assert "table runs differs from the log" in run("verify", "--deep", code=1).stdout


def test_exit_codes_of_verify_add_up(log: Path) -> None:
    run("checkpoint", "--out", "before.head")
    run("verify", "--against", "before.head")
    damage(log, 5)
    run("repair", "--keep-damaged")
    run("verify")
    assert "before.head" in run("verify", "--against", "before.head", code=2).stdout
    with (log / "00000002.jsonl").open("ab") as file:
        file.write(b'{"seq":99')
    run("verify", "--against", "before.head", code=3)


def test_what_cannot_be_read_is_neither_whole_nor_damaged(log: Path) -> None:
    (log / "head").unlink()
    (log / "head").mkdir()
    result = run("verify", code=5)
    assert "could not be read" in result.stderr
