"""Logs and databases from somebody else: opened, told and replayed, but never obeyed (S2, S3, S5, S9, S11)."""

import json
import os
import pickle
import resource
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, Tracker
from consist_es.errors import (
    ConsistError,
    ConsistWarning,
    LogCorruptError,
    LogError,
    LogFormatError,
    NotOurDatabaseError,
)
from consist_es.events import (
    ArtifactLogged,
    CacheHit,
    CouplerSet,
    Draft,
    Event,
    FingerprintInfo,
    InputLink,
    MetaLogged,
    OutputLink,
    ScenarioStarted,
    StepCompleted,
    StepStarted,
    WriterAttached,
)
from consist_es.log.local import LocalLog
from consist_es.log.record import EVENT_CAP, chain_of
from consist_es.log.segment import LINE_CAP
from consist_es.log.verify import verify
from consist_es.log.watermark import HEAD_FILE, SLOT, Watermark, _check, _Slot
from consist_es.project.project import Project
from consist_es.system.storage import LocalStorage
from consist_es.values.plain import from_plain
from tests.support.api import NONE, ROOT, made
from tests.support.cli import append, run
from tests.support.hostile import TRAVERSALS, everything, within

EVIL = [text.encode("utf-8", "backslashreplace").decode() for text in TRAVERSALS if len(text) < 3000]
DIGEST = "b3:" + "0" * 64
COMMANDS = (["runs"], ["scenarios"], ["log"], ["verify"], ["replay"], ["replay", "--check"])


@pytest.fixture
def project(here: Path) -> Path:
    """A project of ours with a step in it; gives the folder of its log."""
    with Tracker("runs", "project.db") as tracker:
        tracker.run(made, name="make", execution_options=NONE)
    return here / "project.events"


def tried(call: Any, *arguments: Any, **keywords: Any) -> Any:
    """What a call gives, None where it refuses in our own words; anything else that is raised fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)
        with suppress(ConsistError):
            return call(*arguments, **keywords)
    return None


# ---------------------------------------------------------------- events that say odd things


def forged(text: str, key: str, fingerprint: str | None = None) -> list[tuple[Event, str | None]]:
    """The events of a run in which every text that could be taken for a place, a name or an id is `text`."""
    info = FingerprintInfo(
        version=1, digest=fingerprint or text, code=text, code_mode=text, config=text, inputs=text, labels=text
    )
    link = OutputLink(key=text, artifact=text)
    artifact = ArtifactLogged(
        artifact=text, key=text, direction="output", uri=text, root=text, kind="file", driver=text, digest=DIGEST,
        digest_method=text, producer=key, parent=text, table_path=text, array_path=text,
        facet={"$int": text}, meta={"$datetime": text, "x": {"$map": text}},
    )  # fmt: skip
    started = StepStarted(
        run_id=text, name=text, model=text, kind="run", function=text, parent=text, tags=[text], config={text: text},
        inputs=[InputLink(role=text, artifact=text, key=text, digest=text, via=text)], fingerprint=info,
        declared=[text], cache_mode=text, run_dir=text, artifact_dir=text, environment=text,
    )  # fmt: skip
    completed = StepCompleted(seconds=1.0, outputs=[link], all_outputs=[link], fingerprint=fingerprint or text)
    return [
        (WriterAttached(writer=text, host=text, boot=text, pid=1 << 62, pid_started=text, user=text, library=text,
                        python=text, platform=text), None),
        (ScenarioStarted(run_id=text, name=text, run_dir=text, mounts={text: text}, environment=text), "#s"),
        (started, key),
        (artifact, key),
        (CacheHit(source=text, validation=text, outputs=[link]), key),
        (MetaLogged(values={"$enum": text}), key),
        (CouplerSet(key=text, artifact=text, value=text), key),
        (completed, key),
    ]  # fmt: skip


def test_a_log_whose_every_text_is_hostile_is_told_and_replayed_and_writes_nothing_outside(
    here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = here / "project" / "provenance.events"
    folder.parent.mkdir()
    log = LocalLog(folder, sync="os")
    for number, text in enumerate(EVIL):
        for event, key in forged(text, f"key-{number:012x}"):
            log.append([Draft(event, scenario="#s" if key else None, run=key)])
    log.close()
    victim = here / "victim"
    victim.mkdir()
    (victim / "x").write_text("mine")
    os.chdir(victim)
    for command in COMMANDS:
        for options in ([], ["--json"]):
            result = run(*command, *options, "--project", folder, code=0)
            assert result.exception is None
    with Tracker(folder.parent / "runs", folder.parent / "provenance.db") as tracker:
        for found in tried(tracker.find_runs) or ():
            tried(str, found)
            tried(tracker.get_run_outputs, found.id)
            tried(tracker.get_run_inputs, found.id)
        for text in EVIL[:40]:
            for query in (tracker.get_run, tracker.get_artifact, tracker.print_lineage, tracker.get_artifact_lineage):
                tried(query, text)
        assert tried(tracker.run, made, name="mine", execution_options=NONE).cache_hit is False
    assert everything(victim) == {"x": b"mine".hex()}
    assert {path.name.split(".")[0] for path in folder.parent.iterdir()} == {"provenance", "runs"}


@pytest.mark.parametrize("uri", ["/etc/passwd", "file:///etc/passwd", "./../../../../etc/passwd", "../etc/passwd"])
@pytest.mark.parametrize("hydration", ["metadata", "outputs-all"])
def test_a_forged_result_is_not_served(project: Path, uri: str, hydration: str) -> None:
    """Whoever can write the log can claim a result; its bytes must still be those of the digest that is claimed."""
    with Tracker("runs", "project.db") as tracker:
        ours = tracker.find_runs()[0]
        row = tracker.get_run(ours.id)
        assert row is not None
        fingerprint = row.signature
    key = "forged-0123456789ab"
    link = OutputLink(key="made", artifact="00000000-0000-0000-0000-000000000001")
    info = FingerprintInfo(version=1, digest=fingerprint, code="c", code_mode="m", config="c", inputs="i", labels="l")
    events: list[Event] = [
        StepStarted(run_id="make", name="make", model="make", kind="run", fingerprint=info, cache_mode="reuse"),
        ArtifactLogged(artifact=link.artifact, key="../../victim", direction="output", uri=uri, root="/", kind="file",
                       driver="csv", digest=DIGEST, digest_method="full", producer=key),
        StepCompleted(seconds=0.1, outputs=[link], all_outputs=[link], fingerprint=fingerprint),
    ]  # fmt: skip
    for event in events:
        append(project, event, run=key)
    options = CacheOptions(cache_hydration=hydration)
    with Tracker("runs", "project.db") as tracker:
        result = tracker.run(made, name="make", execution_options=NONE, cache_options=options)
    assert result.output is not None
    assert result.output.path.read_text() == "x\n"
    assert "forged" not in str(result.run.meta.get("source", ""))


# ---------------------------------------------------------------- folders of dead runs


def test_a_log_from_somebody_else_renames_no_folder_of_ours(here: Path) -> None:
    storage = LocalStorage()
    home = here / "home"
    for name in ("Documents", "mine-0123456789ab", "inbox"):
        (home / name).mkdir(parents=True)
    folder = home / "inbox" / "provenance.events"
    append(folder, WriterAttached(writer="w", host=storage.host(), boot=storage.boot(), pid=1 << 62, pid_started="1",
                                  user="u", library="1", python="3", platform="p",
                                  pid_namespace=storage.pid_namespace()))  # fmt: skip
    for key in ("Documents", "mine-0123456789ab", "..", "../mine-0123456789ab"):
        for run_dir, place in ((str(home), f"./{key}"), ("/", f"{home}/{key}"), (str(home), f"{home}/{key}")):
            info = FingerprintInfo(version=1, digest=None, code="c", code_mode="m", config="c", inputs="i", labels="l")
            started = StepStarted(run_id=key, name="n", model="m", kind="run", fingerprint=info, cache_mode="reuse",
                                  run_dir=run_dir, artifact_dir=place)  # fmt: skip
            append(folder, started, run=key)
    before = everything(home / "Documents")
    project = Project(folder.with_name("provenance.db"))
    project.attach()
    project.close()
    assert sorted(path.name for path in home.iterdir()) == ["Documents", "inbox", "mine-0123456789ab"]
    assert everything(home / "Documents") == before


# ---------------------------------------------------------------- files in the log's folder


@pytest.mark.parametrize("name", ["lock", "head", "database", "digests.sqlite", "blobs", "quarantine", "turns", "x"])
def test_a_link_in_the_folder_of_a_log_is_refused_before_anything_is_written_through_it(
    project: Path, here: Path, name: str
) -> None:
    outside = here / "outside"
    outside.mkdir()
    (outside / "victim.db").write_bytes(b"")
    place = project / name
    if place.is_dir():
        place.rename(outside / "was")
    place.unlink(missing_ok=True)
    place.symlink_to(outside if name in ("blobs", "quarantine", "turns") else outside / "victim.db")
    before = everything(outside)
    with pytest.raises(LogFormatError, match=rf"{name} is a link.*Nothing was changed"):
        Tracker("runs", "project.db")
    with Tracker("runs", "project.db", access_mode="read_only") as tracker:
        assert len(tracker.find_runs()) == 1
    assert everything(outside) == before


@pytest.mark.parametrize("name", ["head", "00000001.jsonl", "00000002.jsonl", "lock", "database"])
def test_a_fifo_in_the_folder_of_a_log_holds_nobody_up(project: Path, name: str) -> None:
    (project / name).unlink(missing_ok=True)
    os.mkfifo(project / name)
    with within(20, f"a FIFO called {name}"):
        for command in (["verify"], ["runs"], ["log"]):
            tried(run, *command, "--project", project, code=None)
        verify(project)


def test_a_blob_that_is_no_file_of_the_right_size_is_damage_and_is_not_read(project: Path, here: Path) -> None:
    append(project, MetaLogged(values={"x": "y" * (2 << 20)}), run="r")
    (blob,) = (project / "blobs").iterdir()
    data = blob.read_bytes()
    for make in ("fifo", "endless", "sparse", "link"):
        blob.unlink()
        if make == "fifo":
            os.mkfifo(blob)
        elif make == "endless":
            blob.symlink_to("/dev/zero")
        elif make == "sparse":
            with blob.open("wb") as file:
                file.truncate(1 << 40)
        else:
            (here / "elsewhere").write_bytes(data)
            blob.symlink_to(here / "elsewhere")
        with within(20, make):
            if make == "link":  # the right bytes are the right bytes
                assert list(LocalLog(project).read())[-1].type == "meta_logged"
            else:
                with pytest.raises(LogError):
                    list(LocalLog(project).read())


@pytest.mark.parametrize("hint", [*EVIL[:60], '"\\u0000"', "[" * 100_000, "x" * 100_000])
def test_the_hint_at_a_database_names_none_elsewhere(project: Path, here: Path, hint: str) -> None:
    from consist_es.project.find import database_of

    for text in (json.dumps(hint), hint):
        (project / "database").write_text(text, errors="replace")
        found = database_of(project)
        assert found.parent == here
        assert found.stem == "project"


def test_the_hint_at_a_database_does_not_name_the_log_itself(project: Path, here: Path) -> None:
    (project / "database").write_text(json.dumps("."))
    run("runs", "--project", project)
    assert project.is_dir()
    assert (here / "project.db").is_file()


def test_a_folder_in_the_place_of_the_views_is_left_alone(project: Path, here: Path) -> None:
    (here / "project.db").unlink()
    (here / "project.db").mkdir()
    (here / "project.db" / "x").write_text("mine")
    with pytest.raises(NotOurDatabaseError, match=r"project.db is a folder"):
        Tracker("runs", "project.db")
    assert (here / "project.db" / "x").read_text() == "mine"


# ---------------------------------------------------------------- lines


def rewritten(folder: Path, data: bytes) -> None:
    """The last line of the log with another payload, and a chain that fits: what only a forger writes."""
    segment = folder / "00000001.jsonl"
    lines = segment.read_bytes().splitlines(keepends=True)
    head, _, _ = lines[-1].partition(b',"data":')
    chain = chain_of(lines[-2][-46:-3], head, data)
    lines[-1] = head + b',"data":' + data + b',"chain":"' + chain + b'"}\n'
    segment.write_bytes(b"".join(lines))
    (folder / "head").unlink(missing_ok=True)


DEEP = 100_000
PAYLOADS = {
    "deep list": b'{"values":{"x":' + b"[" * DEEP + b"]" * DEEP + b"}}",
    "201 deep": b'{"values":{"x":' + b"[" * 201 + b"]" * 201 + b"}}",
    "deep object": b'{"values":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "not closed": b'{"values":{"x":' + b"[" * DEEP,
    "huge number": b'{"values":{"x":' + b"9" * DEEP + b"}}",
    "huge exponent": b'{"values":{"x":1e999999}}',
    "key twice": b'{"values":{"x":1,"x":2},"values":{"y":3}}',
    "no UTF-8": b'{"values":{"x":"\xff\xfe"}}',
    "lone surrogate": b'{"values":{"x":"\\ud800"}}',
    "NUL": b'{"values":{"x":"\\u0000"}}',
    "many keys": b'{"values":{' + b",".join(b'"k%d":1' % number for number in range(200_000)) + b"}}",
    "no object": b"[]",
    "nothing": b"",
    "NaN": b'{"values":{"x":NaN}}',
    "another type": b'{"values":7}',
    "blob elsewhere": b'{"$blob":"../../../../../../etc/passwd","size":1}',
    "blob of nothing": b'{"$blob":"' + b"0" * 64 + b'","size":99999999999999}',
    "blob of less": b'{"$blob":"' + b"0" * 64 + b'","size":-1}',
}


@pytest.mark.parametrize("what", PAYLOADS)
def test_a_payload_that_only_a_forger_writes_is_read_or_is_damage(project: Path, what: str) -> None:
    append(project, MetaLogged(values={"x": 1}), run="r")
    rewritten(project, PAYLOADS[what])
    with within(30, what):
        with suppress(LogCorruptError):
            events = list(LocalLog(project).read())
            from_plain(msgspec.to_builtins(events[-1].event))
        for command in COMMANDS:
            result = run(*command, "--json", "--project", project, code=None)
            assert result.exit_code in (0, 1, 2)


@pytest.mark.parametrize("what", ["a line", "the header", "zeros", "a hole"])
def test_an_endless_line_fills_no_memory_and_no_time(project: Path, what: str) -> None:
    segment = project / "00000001.jsonl"
    with segment.open("r+b") as file:
        if what == "the header":
            file.truncate(0)
        file.seek(0, os.SEEK_END)
        end = file.tell()
        if what == "a hole":
            file.truncate(20 << 30)
        else:
            part = (b"\0" if what == "zeros" else b"x") * (1 << 20)
            for _ in range(100):
                file.write(part)
        if what == "a line":
            file.write(b"\n")
    if what == "a hole":  # reading 20 GB of nothing takes its time: let it be a shorter one
        os.truncate(segment, end + 200 * LINE_CAP // 16)
    code = (
        "import resource, sys, pathlib\n"
        "resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))\n"
        "from consist_es.log.local import LocalLog\nfrom consist_es.log.verify import verify\n"
        "from consist_es.errors import LogError\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "for act in (lambda: list(LocalLog(folder).read()), lambda: LocalLog(folder).head(), lambda: verify(folder)):\n"
        "    try: act()\n"
        "    except LogError as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, project], capture_output=True, text=True, timeout=100, env=_environment()
    )
    assert done.returncode == 0, done.stderr
    if what == "a line":
        assert "LogCorruptError" in done.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("number", [-1, 0, 1, 2**31, 2**62, 2**63, 2**64, 10**30])
@pytest.mark.parametrize("field", ["seq", "segment", "offset"])
def test_a_watermark_that_only_a_forger_writes_is_refused_in_our_own_words(
    project: Path, field: str, number: int
) -> None:
    mark = msgspec.structs.replace(Watermark(seq=1, segment=1, offset=1, chain="x" * 43), **{field: number})
    line = msgspec.json.encode(_Slot(mark, _check(mark)))
    (project / HEAD_FILE).write_bytes(line.ljust(SLOT - 1) + b"\n")
    verify(project)
    tried(lambda: list(LocalLog(project).read()))
    tried(append, project, MetaLogged(values={}))


@settings(max_examples=150)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["$int", "$float", "$str", "$bytes", "$complex", "$date", "$datetime", "$time", "$set",
                             "$timedelta", "$decimal", "$fraction", "$uuid", "$range", "$regex", "$tuple", "$path",
                             "$enum", "$object", "$map", "$scalar", "$array", "$$x", "$x", "x"]),
            inner, max_size=2),
        max_leaves=12,
    )
)  # fmt: skip
def test_no_tagged_value_of_a_forger_breaks_the_way_back(value: Any) -> None:
    from_plain(value)


# ---------------------------------------------------------------- databases


def sabotage(conn: sqlite3.Connection, what: str) -> None:
    """Make a database of ours act against its reader."""
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS key, x AS run_id FROM n"
    if what == "a trigger":
        conn.execute("CREATE TRIGGER t AFTER INSERT ON runs BEGIN UPDATE runs SET status = 'completed'; END")
        conn.execute("CREATE TRIGGER u AFTER UPDATE ON checkpoint BEGIN DELETE FROM runs; END")
    elif what == "an endless view":
        conn.execute("DROP TABLE runs")
        conn.execute(f"CREATE VIEW runs AS {endless}")
    elif what == "a virtual table":
        conn.execute("DROP TABLE runs")
        conn.execute("CREATE VIRTUAL TABLE runs USING fts5(key, run_id)")
    elif what == "a huge schema":
        for number in range(3000):
            conn.execute(f"CREATE TABLE t{number} (a, b, c)")
    elif what == "another past":
        conn.execute("UPDATE checkpoint SET seq = 10000000, chain = 'x'")
    elif what == "odd values":
        conn.execute("UPDATE checkpoint SET seq = 'x', segment = x'00ff', offset = 1e300, chain = NULL")
    elif what == "odd versions":
        conn.execute("UPDATE meta SET value = x'ff00'")
    elif what == "no row":
        conn.execute("DELETE FROM checkpoint")


@pytest.mark.parametrize(
    "what",
    ["a trigger", "an endless view", "a virtual table", "a huge schema", "another past", "odd values", "odd versions",
     "no row"],
)  # fmt: skip
def test_views_that_somebody_has_tampered_with_are_made_again(project: Path, here: Path, what: str) -> None:
    with closing(sqlite3.connect("project.db")) as conn, conn:
        sabotage(conn, what)
    with within(60, what), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)
        with Tracker("runs", "project.db") as tracker:
            tracker.run(made, name="make", execution_options=NONE)
            assert [found.status for found in tracker.find_runs()] == ["completed"] * 2
        run("replay", "--check", "--project", project)
    with closing(sqlite3.connect("project.db")) as conn:
        assert conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall() == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_malformed_database_is_made_again(project: Path, here: Path, share: float) -> None:
    database = here / "project.db"
    data = bytearray(database.read_bytes())
    begin = 100 + int(share * (len(data) - 4200))
    data[begin : begin + 4096] = os.urandom(4096)
    database.write_bytes(data)
    for side in ("-wal", "-shm"):
        (here / f"project.db{side}").unlink(missing_ok=True)
    with within(60, "a malformed database"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)
        run("replay", "--project", project)
        run("replay", "--check", "--project", project)


def test_a_cache_of_digests_that_acts_by_itself_is_made_again(project: Path, here: Path) -> None:
    from consist_es.artifacts.digest_cache import DigestCache, now_ns, stamp_of

    path = here / "digests.sqlite"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "CREATE VIEW digests_1 AS WITH RECURSIVE n(path, stamp, digest, mark) AS "
            "(SELECT x'00', '', '', x'00' UNION ALL SELECT * FROM n) SELECT * FROM n"
        )
    (here / "f").write_text("x")
    stamp = stamp_of((here / "f").stat())
    cache = DigestCache(path)
    with within(20, "an endless view"):
        assert cache.lookup({b"f": stamp}) == {}
        cache.record({b"f": (stamp, DIGEST, now_ns() + 10_000_000_000)})
        assert cache.lookup({b"f": stamp}) == {b"f": DIGEST}
    cache.close()


def test_a_cache_of_digests_that_is_a_link_is_not_written_through(here: Path) -> None:
    from consist_es.artifacts.digest_cache import DigestCache, now_ns, stamp_of

    (here / "victim.db").write_bytes(b"")
    (here / "digests.sqlite").symlink_to(here / "victim.db")
    stamp = stamp_of((here / "victim.db").stat())
    cache = DigestCache(here / "digests.sqlite")
    cache.record({b"f": (stamp, DIGEST, now_ns() + 10_000_000_000)})
    assert cache.lookup({b"f": stamp}) == {}
    assert (here / "victim.db").read_bytes() == b""
    assert (here / "digests.sqlite").is_symlink()


# ---------------------------------------------------------------- pickles


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, bang: Path) -> None:
        self.bang = bang

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.bang),)


@pytest.fixture
def canary(here: Path) -> Iterator[bytes]:
    data = pickle.dumps(Canary(here / "bang"))
    yield data
    assert not (here / "bang").exists()
    pickle.loads(data)
    assert (here / "bang").exists()


SUFFIXES = ("parquet", "csv", "csv.gz", "json", "json.gz", "arrow", "feather", "h5", "zarr", "nc", "omx", "geojson",
            "geoparquet", "shp", "gpkg", "pkl", "pickle", "npy", "npz", "joblib", "dill", "txt")  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_loader_unpickles(here: Path, canary: bytes, suffix: str) -> None:
    def step() -> Path:
        path = consist.output_path("o", suffix)
        path.write_bytes(canary)
        for sidecar in (".shx", ".dbf"):
            path.with_suffix(sidecar).write_bytes(canary)
        return path

    with Tracker("runs", "project.db") as tracker:
        artifact = tracker.run(step, outputs=["o"], execution_options=NONE).output
        for load in (consist.load, consist.load_df):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tried(load, artifact)
        options = ExecutionOptions(input_binding="loaded")
        with suppress(ConsistError):
            tracker.run(lambda o: None, name="use", inputs={"o": artifact}, execution_options=options)


def test_no_stored_file_is_unpickled(project: Path, here: Path, canary: bytes) -> None:
    append(project, MetaLogged(values={"x": "y" * (2 << 20)}), run="r")
    names = [path.relative_to(here) for path in (*project.rglob("*"), *here.glob("project.db*")) if path.is_file()]
    for name in names:
        before = (here / name).read_bytes()
        (here / name).write_bytes(canary)
        for command in (["runs"], ["verify"], ["log"], ["replay"]):
            with suppress(AssertionError):
                run(*command, "--project", project, code=None)
        with suppress(ConsistError), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistWarning)
            with Tracker("runs", "project.db") as tracker:
                tracker.run(made, name="make", execution_options=NONE)
        if not (here / name).is_dir():
            (here / name).write_bytes(before)


# ---------------------------------------------------------------- limits


def test_the_limit_of_an_event_is_the_limit_of_a_blob() -> None:
    assert EVENT_CAP <= LINE_CAP
    assert resource.getpagesize() < LINE_CAP
