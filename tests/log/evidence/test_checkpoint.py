"""Tree heads: what they are made of, how they grow, and that they show what a chain alone cannot."""

import errno
import importlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import LogCorruptError, LogFormatError, LogReadError, LogTamperedError, TreeHeadError
from consist_es.log.evidence import tree_heads as checkpoints
from consist_es.log.evidence.tree_head import TreeHead, parse_head, read_head_file
from consist_es.log.evidence.tree_heads import keep, kept_heads, make_head
from consist_es.log.record import chain_of, covered, split_line, text_of
from consist_es.log.segment import segment_name
from consist_es.system.storage import LocalStorage
from tests.support.cli import run, run_json
from tests.support.evidence import (
    cut,
    forget_watermark,
    grow,
    leaf,
    leaves_of,
    lines_of,
    naive_root,
    rewrite,
    root_text,
)

ROOT_TEXT = "UbT9DYIUNa7TslaZMQEoe+LJVyZDaB95Tcd3hzg6g4Q="
HEAD = f"consist-es/abc\n38\n{ROOT_TEXT}\n"

command = importlib.import_module("consist_es.cli.checkpoint")
needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen")


class Recording(LocalStorage):
    """Notes what is read of segments, and which files are synced."""

    def __init__(self) -> None:
        self.read = 0
        self.synced: list[int] = []
        self.fails = False

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        data = super().read_at(fd, size, offset)
        self.read += len(data)
        return data

    def datasync(self, fd: int) -> None:
        if self.fails:
            raise OSError(5, "Input/output error")
        self.synced.append(os.fstat(fd).st_ino)
        super().datasync(fd)


@pytest.fixture
def log(here: Path) -> Path:
    """A log of ten events."""
    folder = here / "provenance.events"
    grow(folder, 9)
    return folder


def kept(folder: Path, storage: LocalStorage | None = None) -> TreeHead:
    """Make a head and keep it."""
    storage = storage or LocalStorage()
    head, survey = make_head(storage, folder)
    keep(storage, folder, survey, head, None)
    return head


def save(head: TreeHead, path: Path) -> Path:
    path.write_text(head.text)
    return path


# ---------------------------------------------------------------- leaves


def test_a_leaf_is_what_the_chain_value_is_the_digest_of() -> None:
    previous, head, data = b"A" * 43, b'{"seq":1', b'{"values":{}}'
    assert covered(previous, head, data) == leaf(previous, head, blake3(data).digest())
    assert text_of(blake3(covered(previous, head, data)).digest()) == chain_of(previous, head, data)


def test_the_root_is_that_of_the_documented_leaves(log: Path) -> None:
    head, _ = make_head(LocalStorage(), log)
    assert (head.size, head.root) == (10, naive_root(leaves_of(log)))


def test_a_payload_that_is_known_by_its_digest_alone_leaves_the_root_as_it_is(log: Path) -> None:
    parts = [split_line(line) for line in lines_of(log)]
    digests = [blake3(data).digest() for _, data, _ in parts]  # what a redaction keeps of a payload
    first = (log / segment_name(1)).read_bytes().split(b"\n")[0][-45:-2]
    previous = [first, *(chain for _, _, chain in parts)]
    leaves = [
        leaf(before, head, digest) for before, (head, _, _), digest in zip(previous, parts, digests, strict=False)
    ]
    assert naive_root(leaves) == make_head(LocalStorage(), log)[0].root


def test_any_changed_byte_of_envelope_payload_or_chain_changes_the_leaf() -> None:
    previous, head, data = b"A" * 43, b'{"seq":1', b'{"a":1}'
    seen = {covered(previous, head, data)}
    for parts in ((b"B" + previous[1:], head, data), (previous, b'{"seq":2', data), (previous, head, b'{"a":2}')):
        seen.add(covered(*parts))
    assert len(seen) == 4


def test_the_tree_goes_on_over_segments(here: Path) -> None:
    folder = here / "x.events"
    grow(folder, 12, size=200, segment_size=1000)
    assert len(list(folder.glob("*.jsonl"))) > 3
    head, _ = make_head(LocalStorage(), folder)
    assert head.root == naive_root(leaves_of(folder))


def test_an_unfinished_batch_is_not_in_the_tree(log: Path) -> None:
    whole, _ = make_head(LocalStorage(), log)
    with (log / segment_name(1)).open("ab") as file:
        file.write(lines_of(log)[-1][:-20])
    assert make_head(LocalStorage(), log)[0] == whole


# ---------------------------------------------------------------- growing


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_head_that_goes_on_from_the_last_one_is_the_head_of_the_whole_log(counts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "x.events"
        grow(folder, 1)
        for count in counts:
            grow(folder, count)
            head = kept(folder)
            assert (head.size, head.root) == (len(lines_of(folder)), naive_root(leaves_of(folder)))


def test_only_what_is_new_is_read(log: Path) -> None:
    grow(log, 100, size=10_000)
    first, second = Recording(), Recording()
    kept(log, first)
    grow(log, 1)
    kept(log, second)
    assert second.read < first.read / 10


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[1]",
        b'{"version":1,"place":{"seq":10},"peaks":["zz","00"]}',
        b'{"version":1,"place":{"seq":10},"peaks":["00","00"]}',
    ],
)
def test_a_damaged_frontier_is_not_built_upon(log: Path, damage: bytes) -> None:
    kept(log)
    (frontier,) = (log / "checkpoints").glob("*.frontier")
    frontier.write_bytes(damage)
    grow(log, 3)
    assert kept(log).root == naive_root(leaves_of(log))


@pytest.mark.parametrize("field", ["peaks", "seq", "version"])
def test_a_frontier_that_is_not_its_heads_is_not_built_upon(log: Path, field: str) -> None:
    kept(log)
    (path,) = (log / "checkpoints").glob("*.frontier")
    frontier = json.loads(path.read_text())
    if field == "peaks":
        frontier["peaks"][0] = "00" * 32
    elif field == "seq":
        frontier["place"]["seq"] = 9
    else:
        frontier["version"] = 2
    path.write_text(json.dumps(frontier))
    assert kept_heads(LocalStorage(), log)[0].frontier is None
    grow(log, 1)
    assert kept(log).root == naive_root(leaves_of(log))


def test_events_are_safe_on_disk_before_a_head_speaks_of_them(log: Path) -> None:
    storage = Recording()
    make_head(storage, log)
    assert storage.synced == [(log / segment_name(1)).stat().st_ino]


def test_no_head_is_made_where_the_sync_fails(log: Path) -> None:
    storage = Recording()
    storage.fails = True
    with pytest.raises(LogReadError, match="Input/output error"):
        make_head(storage, log)


def test_an_empty_log_has_no_head(here: Path) -> None:
    with pytest.raises(LogFormatError, match="nothing to make a tree head of"):
        make_head(LocalStorage(), here / "no.events")


def test_damage_in_the_log_is_said_and_no_head_is_made(log: Path) -> None:
    data = bytearray((log / segment_name(1)).read_bytes())
    data[-100] ^= 1
    (log / segment_name(1)).write_bytes(data)
    with pytest.raises(LogCorruptError):
        make_head(LocalStorage(), log)


# ---------------------------------------------------------------- the text


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1),
    st.integers(1, 10**18),
    st.binary(min_size=32, max_size=32),
)
def test_a_head_is_read_back_as_it_was_written(origin: str, size: int, root: bytes) -> None:
    head = TreeHead(origin, size, root)
    assert parse_head(head.text, "here") == head
    assert parse_head(f"{head.text}\n\u2014 witness.example/1 c2lnbmF0dXJl\n", "here") == head


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        HEAD.replace("38", "038"),
        HEAD.replace("38", "-1"),
        HEAD.replace("38", "0"),
        HEAD.replace("38", "9" * 20),
        HEAD.replace("38", "３８"),
        HEAD.replace("Ub", "U"),
        HEAD.replace("4Q=", "4R="),
        HEAD.replace("4Q=\n", "4Q"),
        HEAD.replace("consist-es/abc", ""),
        HEAD.replace("abc", "a\x1bc"),
        HEAD + "an extension line\n",
        HEAD + "\nno signature\n",
        HEAD.replace("\n", "\r\n"),
    ],
)
def test_what_is_no_tree_head_is_refused(text: str) -> None:
    with pytest.raises(TreeHeadError, match="consist-es checkpoint"):
        parse_head(text, "the file")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * 100_000])
def test_a_file_of_another_kind_is_no_tree_head(here: Path, data: bytes) -> None:
    (here / "other").write_bytes(data)
    with pytest.raises(TreeHeadError, match="not a tree head"):
        read_head_file(here / "other")


def test_a_head_under_the_name_of_another_size_is_refused(log: Path) -> None:
    kept(log)
    (path,) = (log / "checkpoints").glob("*.checkpoint")
    path.rename(path.with_name("000000000011.checkpoint"))
    with pytest.raises(TreeHeadError, match="head of 10 events"):
        kept_heads(LocalStorage(), log)


def test_a_project_that_no_head_can_name_gets_none(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_PROJECT", re.compile("never"))
    with pytest.raises(LogFormatError, match="no tree head can name"):
        make_head(LocalStorage(), log)


# ---------------------------------------------------------------- what heads find


def test_a_log_that_only_grew_extends_its_heads(log: Path) -> None:
    first = save(kept(log), log.parent / "first")
    grow(log, 5)
    second = save(kept(log), log.parent / "second")
    result = run("verify", "--against", first, "--against", second)
    assert "first is extended by the log: 10 events as they were, 6 added since" in result.stdout
    assert "second is extended by the log: 16 events as they were, 0 added since" in result.stdout


def test_a_rewrite_that_the_chain_cannot_show_is_found(log: Path) -> None:
    head = save(make_head(LocalStorage(), log)[0], log.parent / "head")
    rewrite(log, 7, lambda data: data.replace(b"5-", b"6-"))
    assert run("verify").exit_code == 0
    result = run("verify", "--against", head, code=2)
    assert "head has another root: the log was rewritten at or before position 10" in result.stdout


@pytest.mark.parametrize("position", [2, 5, 6, 9, 10])
def test_several_heads_say_where_a_rewrite_begins(log: Path, position: int) -> None:
    heads: list[str | Path] = []
    for size in range(2, 11, 2):
        copy = log.parent / f"{size}.events"
        shutil.copytree(log, copy)
        cut(copy, size)
        heads += ["--against", save(make_head(LocalStorage(), copy)[0], log.parent / f"head-{size}")]
        shutil.rmtree(copy)
    rewrite(log, position, lambda data: data.replace(b"-", b"+"))
    found = run("verify", *heads, code=2).stdout.splitlines()[-1]
    last = position if position % 2 == 0 else position + 1
    assert found == f"The first change is at one of the positions {last - 1} to {last}."


def test_a_log_that_was_cut_is_found(log: Path) -> None:
    head = save(make_head(LocalStorage(), log)[0], log.parent / "head")
    cut(log, 8)
    assert run("verify").exit_code == 0
    result = run("verify", "--against", head, code=2)
    assert "head has 10 events, the log only 8: it was cut or rolled back" in result.stdout


def test_a_log_that_was_cut_and_grew_again_is_found(log: Path) -> None:
    head = save(make_head(LocalStorage(), log)[0], log.parent / "head")
    cut(log, 8)
    grow(log, 5)
    result = run("verify", "--against", head, code=2)
    assert "head has another root" in result.stdout


def test_a_head_of_another_log_is_told_from_a_rewrite(log: Path) -> None:
    other = log.parent / "elsewhere" / "other.events"
    grow(other, 9)
    head = save(make_head(LocalStorage(), other)[0], log.parent / "head")
    (said,) = [line["against"] for line in run_json("verify", "--against", head, "--project", log, code=2)[1:]]
    assert (said["result"], said["ok"], said["signature"]) == ("other log", False, None)


def test_heads_before_damage_are_compared_all_the_same(log: Path) -> None:
    first = save(kept(log), log.parent / "first")
    grow(log, 5)
    second = save(make_head(LocalStorage(), log)[0], log.parent / "second")
    data = bytearray((log / segment_name(1)).read_bytes())
    data[-100] ^= 1
    (log / segment_name(1)).write_bytes(data)
    forget_watermark(log)
    result = run("verify", "--against", first, "--against", second, code=3)
    assert "first is extended by the log: 10 events as they were" in result.stdout
    assert "second has 16 events, of which 15 can be read: The log is damaged" in result.stdout


def test_a_head_against_an_empty_folder_is_a_negative_answer(log: Path) -> None:
    head = save(make_head(LocalStorage(), log)[0], log.parent / "head")
    (log / segment_name(1)).unlink()
    forget_watermark(log)
    result = run("verify", "--against", head, code=2)
    assert "head has 10 events, of which 0 can be read" in result.stdout


def test_a_kept_head_that_contradicts_the_log_is_told_unasked(log: Path) -> None:
    kept(log)
    grow(log, 5)
    later = save(make_head(LocalStorage(), log)[0], log.parent / "later")
    rewrite(log, 12, lambda data: data.replace(b"-", b"+"))
    result = run("verify", "--against", later, code=2)
    assert "The first change is at one of the positions 11 to 16." in result.stdout
    rewrite(log, 3, lambda data: data.replace(b"-", b"+"))
    result = run("verify", "--against", later, code=2)
    assert "checkpoints/000000000010.checkpoint has another root" in result.stdout
    assert "The first change is at one of the positions 1 to 10." in result.stdout


@pytest.mark.parametrize("frontier", [True, False], ids=["frontier", "no frontier"])
@pytest.mark.parametrize("tamper", ["rewritten", "cut", "cut and grown"])
def test_no_head_is_made_that_contradicts_a_kept_one(log: Path, tamper: str, frontier: bool) -> None:
    kept(log)
    if not frontier:
        next((log / "checkpoints").glob("*.frontier")).unlink()
    if tamper == "rewritten":
        rewrite(log, 4, lambda data: data.replace(b"-", b"+"))
    else:
        cut(log, 8)
        grow(log, 5 if tamper == "cut and grown" else 0)
    with pytest.raises(LogTamperedError, match="restore the log from a copy"):
        make_head(LocalStorage(), log)
    assert "is not the log that it was" in run("checkpoint", code=2).stderr


# ---------------------------------------------------------------- the command


def test_the_command_prints_the_head_and_keeps_a_copy(log: Path) -> None:
    result = run("checkpoint")
    origin, size, root = result.stdout.splitlines()
    assert (origin.partition("/")[0], size, root) == ("consist-es", "10", root_text(log, 10))
    assert (log / "checkpoints" / "000000000010.checkpoint").read_text() == result.stdout
    assert "Keep a copy where nobody can change it" in result.stderr


def test_a_file_that_is_there_is_never_written_over(log: Path) -> None:
    run("checkpoint", "--out", "head")
    before = Path("head").read_text()
    grow(log, 1)
    result = run("checkpoint", "--out", "head", code=2)
    assert "--out head: there is a file of that name. Give another name" in result.stderr
    assert Path("head").read_text() == before
    assert run_json("checkpoint", "--out", "new")[0]["size"] == 12


def test_a_folder_that_is_not_there_is_said_before_anything_is_read(log: Path) -> None:
    result = run("checkpoint", "--out", "missing/head", code=2)
    assert result.stderr == "Error: --out missing/head: folder missing does not exist. Make it, or give another one.\n"
    assert not (log / "checkpoints").exists()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "Error: No space left on device (there\\x1b). Make room, and run it again.\n"),
        (errno.EIO, "Error: Input/output error (there\\x1b). Run it again once the cause is gone.\n"),
    ],
)
def test_what_the_system_refuses_is_said_with_its_place_and_what_to_do(
    log: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(*_: object) -> Path:
        raise OSError(number, os.strerror(number), "there\x1b")

    monkeypatch.setattr(importlib.import_module("consist_es.cli.checkpoint"), "keep", refuse)
    assert run("checkpoint", code=2).stderr == said


def test_where_nothing_can_be_kept_the_head_is_printed_all_the_same(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(command, "keep", refuse)
    result = run("checkpoint")
    assert len(result.stdout.splitlines()) == 3
    assert "no copy stays there" in result.stderr
    assert run_json("checkpoint")[0]["file"] is None


def test_another_failure_to_keep_a_head_is_an_error(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(command, "keep", fail)
    assert "Input/output error" in run("checkpoint", code=2).stderr


def test_half_a_head_is_never_left_behind(log: Path) -> None:
    head, survey = make_head(LocalStorage(), log)
    storage = Recording()
    storage.fails = True
    with pytest.raises(OSError, match="Input/output"):
        keep(storage, log, survey, head, None)
    assert list((log / "checkpoints").iterdir()) == []


def test_a_file_that_is_no_head_is_refused_before_the_log_is_read(log: Path) -> None:
    Path("other").write_text("hello\n")
    result = run("verify", "--against", "other", code=2)
    assert "other: not a tree head" in result.stderr
    assert result.stdout == ""


def test_signers_without_a_head_are_refused(log: Path) -> None:
    Path("allowed").touch()
    assert "give both" in run("verify", "--signers", "allowed", code=2).stderr


# ---------------------------------------------------------------- signatures


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A fresh SSH key, and a file `allowed` that names its owner."""
    return new_key(tmp_path, "key")


def new_key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    (folder / f"{name}-allowed").write_text(f"{name}@example.org {(path.with_suffix('.pub')).read_text()}")
    return path


@needs_ssh
def test_a_signed_head_is_checked_against_those_who_may_sign(log: Path, key: Path) -> None:
    run("checkpoint", "--sign", key, "--out", "head")
    grow(log, 2)
    result = run("verify", "--against", "head", "--signers", "key-allowed")
    assert "head: signed by key@example.org" in result.stdout
    assert run_json("verify", "--against", "head", "--signers", "key-allowed")[1]["against"]["signature"] == {
        "ok": True,
        "by": "key@example.org",
    }


@needs_ssh
def test_ssh_keygen_alone_checks_the_signature(log: Path, key: Path) -> None:
    run("checkpoint", "--sign", key, "--out", "head")
    done = subprocess.run(
        [
            "ssh-keygen",
            "-Y",
            "verify",
            "-f",
            "key-allowed",
            "-I",
            "key@example.org",
            "-n",
            "consist-es",
            "-s",
            "head.sig",
        ],
        input=Path("head").read_bytes(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


@needs_ssh
def test_a_signature_of_somebody_else_is_a_negative_answer(log: Path, key: Path) -> None:
    run("checkpoint", "--sign", key, "--out", "head")
    new_key(log.parent, "other")
    result = run("verify", "--against", "head", "--signers", "other-allowed", code=2)
    assert "head: NOT SIGNED as asked: " in result.stdout
    assert "was not made by a signer that other-allowed lists" in result.stdout


@needs_ssh
def test_a_signature_of_another_head_is_a_negative_answer(log: Path, key: Path) -> None:
    run("checkpoint", "--sign", key, "--out", "head")
    grow(log, 1)
    run("checkpoint", "--out", "later")
    Path("head.sig").rename("later.sig")
    result = run("verify", "--against", "later", "--signers", "key-allowed", code=2)
    assert "later.sig does not match this tree head" in result.stdout


@needs_ssh
def test_a_signature_in_another_namespace_does_not_hold(log: Path, key: Path) -> None:
    run("checkpoint", "--out", "head")
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "file", "head"], check=True)
    result = run("verify", "--against", "head", "--signers", "key-allowed", code=2)
    assert "head: NOT SIGNED as asked" in result.stdout


def test_a_head_without_a_signature_is_a_negative_answer_where_one_is_asked_for(log: Path) -> None:
    run("checkpoint", "--out", "head")
    Path("allowed").touch()
    result = run("verify", "--against", "head", "--signers", "allowed", code=2)
    assert (
        "The signature head.sig does not exist. Put it beside its tree head, or go without --signers." in result.stdout
    )


@needs_ssh
def test_a_signature_that_nobody_asked_about_is_mentioned(log: Path, key: Path) -> None:
    run("checkpoint", "--sign", key, "--out", "head")
    assert "give --signers FILE" in run("verify", "--against", "head").stderr


@needs_ssh
def test_the_signature_is_kept_with_the_head(log: Path, key: Path) -> None:
    said = run_json("checkpoint", "--sign", key)[0]
    assert said["signature"].startswith("-----BEGIN SSH SIGNATURE-----")
    assert (log / "checkpoints" / "000000000010.checkpoint.sig").read_text() == said["signature"]


@needs_ssh
def test_a_key_that_cannot_sign_is_refused_and_nothing_is_written(log: Path) -> None:
    Path("no-key").write_text("not a key\n")
    result = run("checkpoint", "--sign", "no-key", "--out", "head", code=2)
    assert "Signing with no-key failed: " in result.stderr
    assert "Nothing was written" in result.stderr
    assert not Path("head").exists()
    assert not (log / "checkpoints").exists()


def test_without_ssh_keygen_the_message_says_so(log: Path) -> None:
    Path("key").write_text("")
    result = run("checkpoint", "--sign", "key", code=2, PATH="/nowhere")
    assert "There is no ssh-keygen on this machine: install OpenSSH" in result.stderr
