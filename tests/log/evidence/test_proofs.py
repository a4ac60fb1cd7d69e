"""Proofs, checked by the script that auditors use: true ones pass, changed ones never do."""

import ast
import contextlib
import io
import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import LogCorruptError, LogTamperedError, ProofError
from consist_es.events import Draft, MetaLogged
from consist_es.log import segment
from consist_es.log.blobs import BLOB_FOLDER
from consist_es.log.evidence import proof as proofs
from consist_es.log.evidence.proof import prove
from consist_es.log.evidence.tree_head import TreeHead
from consist_es.log.evidence.tree_heads import make_head
from consist_es.log.local import LocalLog
from consist_es.system.storage import LocalStorage
from tests.support.cli import record, run
from tests.support.evidence import SCRIPT, cut, grow, leaves_of, naive_root, rewrite, run_script

CODE = compile(SCRIPT.read_text(encoding="utf-8"), str(SCRIPT), "exec")


@pytest.fixture
def log(here: Path) -> Path:
    """A log of ten events."""
    folder = here / "provenance.events"
    grow(folder, 9)
    return folder


def head_of(folder: Path) -> TreeHead:
    return make_head(LocalStorage(), folder)[0]


def head_at(folder: Path, size: int) -> TreeHead:
    """The head that the log had when it was of that size."""
    return TreeHead(head_of(folder).origin, size, naive_root(leaves_of(folder)[:size]))


def made(folder: Path, *positions: int, older: TreeHead | None = None) -> str:
    return prove(LocalStorage(), folder, head_of(folder), positions, older=older).text()


def save(head: TreeHead) -> Path:
    Path("saved-head").write_text(head.text)
    return Path("saved-head")


def passes(proof: str | bytes, *heads: TreeHead) -> bool:
    """Whether the script, run in this process, accepts a proof."""
    Path("proof.json").write_bytes(proof.encode() if isinstance(proof, str) else proof)
    names = [f"head-{number}" for number in range(len(heads))]
    for name, head in zip(names, heads, strict=True):
        Path(name).write_text(head.text)
    return accepts("proof.json", *names)


def accepts(*arguments: str) -> bool:
    """Whether the script, run in this process, accepts these files."""
    before, sys.argv = sys.argv, [str(SCRIPT), *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(CODE, {"__name__": "__main__"})
    except SystemExit as end:
        return end.code == 0
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return False  # a traceback, and exit code 1
    finally:
        sys.argv = before
    raise AssertionError("the script did not end by itself")


def without_docstrings(text: str) -> ast.Module:
    """The statements of a script that do something."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body.pop(0)
    return tree


def dumped(plain: Any) -> str:
    """A changed proof, written as proofs are written."""
    return json.dumps(plain, separators=(",", ":")) + "\n"


# ---------------------------------------------------------------- the script


def test_the_script_is_short_enough_to_be_read() -> None:
    lines = ast.unparse(without_docstrings(SCRIPT.read_text(encoding="utf-8"))).splitlines()
    assert len([line for line in lines if line]) <= 80
    assert max(map(len, lines)) <= 120


def test_the_script_runs_without_this_library_and_checks_the_payloads_too(log: Path) -> None:
    Path("head").write_text(head_of(log).text)
    Path("proof").write_text(made(log, 3, 7))
    done = run_script("proof", "head")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("GOOD: 2 events; payloads missing: [] - of ['consist-es/")


def test_the_script_needs_the_standard_library_alone_but_then_says_what_it_did_not_check(log: Path) -> None:
    Path("head").write_text(head_of(log).text)
    Path("proof").write_text(made(log, 3, older=head_at(log, 5)))
    done = run_script("proof", "head", isolated=True)
    assert done.returncode == 2
    assert "payloads missing: not checked: no blake3 - of" in done.stdout
    changed = json.loads(Path("proof").read_text())
    changed["events"][0]["head"] = changed["events"][0]["head"].replace("meta_logged", "meta_lobbed")
    Path("proof").write_text(dumped(changed))
    done = run_script("proof", "head", isolated=True)
    assert (done.returncode, done.stderr) == (1, "REFUSED: event 3 is not in it\n")


def test_a_proof_against_another_head_is_refused(log: Path) -> None:
    proof = made(log, 3)
    assert passes(proof, head_of(log))
    assert not passes(proof, head_at(log, 9))
    Path("head").write_text(head_at(log, 9).text)
    assert run_script("proof.json", "head").stderr == "REFUSED: it is of another tree head\n"


def test_what_a_proof_says_reaches_no_terminal_unescaped(log: Path) -> None:
    event = MetaLogged(values={"note": "\x1b[31m\x7f\x9b\u202e\u00e9"})
    LocalLog(log).append([Draft(event, "s\u202e", "r\x9b")])
    proof = made(log, 12)
    assert passes(proof)
    assert proof.isascii()
    assert proof.rstrip("\n").isprintable()
    assert json.loads(json.loads(proof)["events"][0]["data"])["values"] == event.values
    rewrite(log, 5, lambda data: data.replace(b"-", b"\x7f"))  # as no writer of ours does
    proof = made(log, 5)
    assert passes(proof)
    assert "\x7f" not in proof


# ---------------------------------------------------------------- inclusion


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_every_event_can_be_proven(here: Path, count: int) -> None:
    folder = here / "x.events"
    grow(folder, count)
    head = head_of(folder)
    for position in range(1, head.size + 1):
        assert passes(made(folder, position), head)
    assert passes(made(folder, *range(1, head.size + 1)), head)


def test_an_event_is_proven_against_an_older_head_than_the_newest_too(log: Path) -> None:
    head = head_at(log, 6)
    proof = prove(LocalStorage(), log, head, [6])
    assert passes(proof.text(), head)
    assert not passes(proof.text(), head_of(log))


def test_every_bit_of_a_proof_counts(here: Path) -> None:
    folder = here / "x.events"
    grow(folder, 2)
    head, older = head_of(folder), head_at(folder, 2)
    proof = made(folder, 2, older=older).encode()
    assert passes(proof, head, older)
    accepted = []
    with Path("proof.json").open("r+b", buffering=0) as file:
        for place, bit in product(range(len(proof)), range(8)):
            file.seek(place)
            file.write(bytes([proof[place] ^ 1 << bit]))
            if accepts("proof.json", "head-0", "head-1"):
                accepted.append((place, bit))
            file.seek(place)
            file.write(proof[place : place + 1])
    assert accepts("proof.json", "head-0", "head-1")
    assert accepted == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("position", 4),
        ("position", 0),
        ("position", -3),
        ("position", 3 + 16),
        ("position", 3.0),
        ("position", "3"),
        ("previous", "A" * 43),
        ("digest", "00" * 32),
        ("digest", "AA" * 32),
        ("data", '{"values":{}}'),
        ("path", []),
        ("path", ["00" * 32] * 4),
        ("path", ["00" * 31 + "  "] * 4),
    ],
)
def test_a_proof_with_something_else_in_it_is_refused(log: Path, field: str, value: object) -> None:
    plain = json.loads(made(log, 3))
    assert passes(dumped(plain))
    plain["events"][0][field] = value
    assert not passes(dumped(plain))


def test_a_path_that_is_too_long_is_refused(log: Path) -> None:
    plain = json.loads(made(log, 3))
    plain["events"][0]["path"].append("00" * 32)
    assert not passes(dumped(plain))


def test_the_same_proof_in_another_spelling_is_refused(log: Path) -> None:
    proof = made(log, 3)
    assert not passes(proof.rstrip("\n"))
    assert not passes(proof.replace(":", ": ", 1))
    assert not passes(proof.replace("proof 1", "proof 2"))
    assert not passes(proof.replace('"position":3', '"position":4,"position":3'))


@settings(max_examples=30)
@given(st.integers(1, 10), st.integers(1, 10))
def test_no_event_passes_for_another(log_of_ten: Path, position: int, other: int) -> None:
    plain, foreign = json.loads(made(log_of_ten, position)), json.loads(made(log_of_ten, other))
    plain["events"][0]["path"] = foreign["events"][0]["path"]
    plain["events"][0]["position"] = foreign["events"][0]["position"]
    assert passes(dumped(plain), head_of(log_of_ten)) == (position == other)


@pytest.fixture(scope="module")
def log_of_ten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("ten")
    grow(folder / "x.events", 9)
    with contextlib.chdir(folder):
        yield folder / "x.events"


# ---------------------------------------------------------------- payloads


def test_a_payload_in_a_blob_goes_with_the_proof(log: Path) -> None:
    LocalLog(log).append([Draft(MetaLogged(values={"big": "x" * (1 << 20)}), "s", "r")])
    plain = json.loads(made(log, 12))
    (digest,) = plain["blobs"]
    assert digest in plain["events"][0]["data"]
    assert passes(dumped(plain), head_of(log))
    plain["blobs"][digest] += " "
    assert not passes(dumped(plain))
    del plain["blobs"][digest]
    Path("proof").write_text(dumped(plain))
    assert run_script("proof").stdout.startswith("GOOD: 1 events; payloads missing: [12] - of")
    plain["blobs"][blake3(b"another").hexdigest()] = "another"
    assert not passes(dumped(plain))


def test_a_proof_of_nothing_is_none(log: Path) -> None:
    plain = json.loads(made(log, 3))
    assert not passes(dumped({**plain, "events": []}))


def test_a_blob_that_is_damaged_is_not_handed_out(log: Path) -> None:
    LocalLog(log).append([Draft(MetaLogged(values={"big": "x" * (1 << 20)}), "s", "r")])
    (blob,) = (log / BLOB_FOLDER).iterdir()
    blob.write_bytes(b"{}")
    with pytest.raises(LogCorruptError, match="damaged"):
        made(log, 12)


def test_a_redacted_payload_leaves_heads_and_proofs_whole(log: Path) -> None:
    head = head_of(log)
    before = prove(LocalStorage(), log, head, [5]).text()
    run("redact", "5", "--yes", "--reason", "a secret")
    run("verify", "--against", save(head))
    after = json.loads(prove(LocalStorage(), log, head, [5]).text())
    (event,) = json.loads(before)["events"]
    assert after["events"] == [{**event, "data": None}]
    assert event["digest"] == blake3(event["data"].encode()).hexdigest()
    assert passes(before, head)
    assert passes(dumped(after), head)


# ---------------------------------------------------------------- consistency


@pytest.mark.parametrize("count", [1, 2, 6, 11])
def test_every_older_head_can_be_shown_to_be_extended(here: Path, count: int) -> None:
    folder = here / "x.events"
    grow(folder, count)
    head = head_of(folder)
    for size in range(1, head.size + 1):
        older = head_at(folder, size)
        assert passes(made(folder, older=older), head, older)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_an_older_head_that_is_not_the_beginning_is_refused(log: Path, size: int) -> None:
    older = head_at(log, size)
    for other in (
        TreeHead(older.origin, size, naive_root([b"changed", *leaves_of(log)[1:size]])),
        TreeHead(older.origin, size + 1, older.root),
        TreeHead(older.origin, size + 16, older.root),
        TreeHead("consist-es/other", size, older.root),
        TreeHead(older.origin, 0, older.root),
    ):
        plain = json.loads(made(log, older=older))
        plain["extends"]["checkpoint"] = other.text
        assert not passes(dumped(plain), other)


def test_a_log_that_does_not_extend_a_head_proves_nothing(log: Path) -> None:
    head, older = head_of(log), head_at(log, 4)
    rewrite(log, 2, lambda data: data.replace(b"-", b"+"))
    with pytest.raises(LogTamperedError, match="the tree head has another root"):
        prove(LocalStorage(), log, head, [5])
    with pytest.raises(LogTamperedError, match="the older tree head has another root"):
        prove(LocalStorage(), log, head_of(log), [5], older=older)
    cut(log, 3)
    with pytest.raises(LogTamperedError, match="cut or rolled back"):
        prove(LocalStorage(), log, head, [3])


@pytest.mark.parametrize("position", [0, 11, -1])
def test_a_position_that_the_head_does_not_cover_is_refused(log: Path, position: int) -> None:
    with pytest.raises(ProofError, match=f"positions 1 to 10, not {position}.*consist-es checkpoint"):
        made(log, position)


def test_a_head_cannot_extend_a_newer_one(log: Path) -> None:
    with pytest.raises(ProofError, match="6 events, and so cannot extend one of 10"):
        prove(LocalStorage(), log, head_at(log, 6), [], older=head_of(log))


def test_damage_behind_the_head_does_not_matter(log: Path) -> None:
    head = head_at(log, 6)
    with (log / segment.segment_name(1)).open("ab") as file:
        file.write(b"damage\n")
    assert passes(prove(LocalStorage(), log, head, [6]).text(), head)


@pytest.mark.parametrize("name", ["is_included", "extends"])
def test_a_proof_that_does_not_hold_is_never_handed_out(log: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, name, lambda *_: False)
    with pytest.raises(AssertionError, match="does not hold"):
        made(log, 5, older=head_at(log, 5))


# ---------------------------------------------------------------- the commands


def test_prove_gives_a_proof_against_the_newest_head_that_is_kept(log: Path) -> None:
    run("checkpoint", "--out", "head")
    grow(log, 3)
    run("prove", "3", "10", "--out", "proof")
    assert run_script("proof", "head").returncode == 0
    assert run("prove", "3", "10").stdout == Path("proof").read_text()
    assert "covers positions 1 to 10, not 11" in run("prove", "11", code=2).stderr


def test_prove_takes_a_head_from_a_file_and_its_signature_with_it(log: Path) -> None:
    Path("head").write_text(head_at(log, 6).text)
    Path("head.sig").write_text("-----BEGIN SSH SIGNATURE-----\n")
    proof = run("prove", "3", "--against", "head").stdout
    assert json.loads(proof)["signature"] == "-----BEGIN SSH SIGNATURE-----\n"
    assert passes(proof, head_at(log, 6))


def test_prove_shows_that_a_head_extends_an_older_one(log: Path) -> None:
    Path("older").write_text(head_at(log, 6).text)
    run("checkpoint", "--out", "newer")
    run("prove", "--extends", "older", "--out", "proof")
    assert run_script("proof", "older").returncode == run_script("proof", "newer").returncode == 0


def test_without_a_head_there_is_nothing_to_prove_against(log: Path) -> None:
    assert "make one with `consist-es checkpoint`" in run("prove", "3", code=2).stderr


def test_prove_wants_something_to_prove_and_a_new_file(log: Path) -> None:
    assert "Give at least one POSITION" in run("prove", code=2).stderr
    run("checkpoint", "--out", "head")
    assert "--out head: there is a file of that name" in run("prove", "3", "--out", "head", code=2).stderr


def test_audit_bundles_a_scenario_with_the_digests_of_its_files(here: Path) -> None:
    folder = record()
    run("checkpoint", "--out", "head")
    run("audit", "steep", "--proof", "--out", "bundle")
    done = run_script("bundle", "head")
    assert (done.returncode, done.stderr) == (0, "")
    plain = json.loads(Path("bundle").read_text())
    events = list(LocalLog(folder).read())
    wanted = {event.seq for event in events if (event.scenario or "").startswith("steep-")}
    proven = {event["position"] for event in plain["events"]}
    assert wanted <= proven
    # The scenario reused the file of an earlier one: its record is there as well, and nothing else.
    assert [events[position - 1].type for position in sorted(proven - wanted)] == ["artifact_logged"]
    files = [json.loads(event["data"]) for event in plain["events"] if '"artifact_logged"' in event["head"]]
    assert {file["key"] for file in files} == {"raw", "scaled"}
    for file in files:
        assert file["digest"] == "b3:" + blake3((here / "runs" / file["uri"]).read_bytes()).hexdigest()


def test_audit_bundles_every_attempt_where_all_are_asked_for(here: Path) -> None:
    folder = record()
    run("checkpoint")
    proof = run("audit", "baseline", "--all", "--proof").stdout
    wanted = {event.seq for event in LocalLog(folder).read() if (event.scenario or "").startswith("baseline-")}
    assert wanted <= {event["position"] for event in json.loads(proof)["events"]}


def test_a_bundle_of_a_scenario_that_the_head_does_not_cover_is_refused(here: Path) -> None:
    folder = record()
    Path("head").write_text(head_at(folder, 5).text)
    result = run("audit", "steep", "--proof", "--against", "head", code=2)
    assert "covers positions 1 to 5" in result.stderr


def test_options_of_the_bundle_without_it_are_refused(here: Path) -> None:
    record()
    assert "belong to --proof" in run("audit", "steep", "--out", "bundle", code=2).stderr
