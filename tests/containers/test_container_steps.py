"""Steps whose body is a program in a container, on Podman where it runs and on a stand-in for Docker everywhere."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, Container, ExecutionOptions, RunResult, Tracker
from consist_es.errors import (
    ContainerError,
    ImageMissingError,
    InputError,
    OptionError,
    OutputError,
    ProgramError,
    UsageError,
    UsageTypeError,
)
from tests.support.api import ROOT, output_of
from tests.support.engines import Stub, TestEngine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for an engine is a shell script")
IMAGE = "localhost/model:1"
COPY = ["sh", "-c", 'cat "$1" "$2" > "$3"; echo done', "sh", "{net}", "/version", "{out}"]


def options(engine: TestEngine | str, command: Any = COPY, **more: Any) -> ExecutionOptions:
    """Options with a container."""
    name = engine if isinstance(engine, str) else engine.name
    return ExecutionOptions(container=Container(**{"image": IMAGE, "command": command, "engine": name, **more}))


def copy(tracker: Tracker, engine: TestEngine, command: Any = COPY, *, step: Any = None, **more: Any) -> RunResult:
    """Run the container that copies an input and the image's version."""
    Path("net.csv").exists() or Path("net.csv").write_text("a,b\n")
    given = {"inputs": {"net": "net.csv"}, "output_paths": {"out": "out.txt"}, **(step or {})}
    return tracker.run(name="model", execution_options=options(engine, command, **more), **given)


def test_a_container_reads_its_inputs_writes_its_outputs_and_is_not_started_again(
    tracker: Tracker, engine: TestEngine
) -> None:
    first = copy(tracker, engine)
    assert output_of(first).path.read_text() == "a,b\none"
    again = copy(tracker, engine)
    assert (first.cache_hit, again.cache_hit) == (False, True)
    assert output_of(again).hash == output_of(first).hash
    assert engine.running() == []


def test_an_image_that_a_tag_was_moved_to_is_a_miss_that_names_both_digests(
    tracker: Tracker, engine: TestEngine
) -> None:
    before = engine.tag(IMAGE, "one")
    copy(tracker, engine)
    after = engine.tag(IMAGE, "two")
    result = copy(tracker, engine)
    assert not result.cache_hit
    assert output_of(result).path.read_text() == "a,b\ntwo"
    (said,) = result.run.why().differs
    assert said.startswith(f"container image: '{before[:50]}")
    assert f" -> '{after[:50]}" in said


def test_another_name_of_the_same_image_is_a_hit(tracker: Tracker, engine: TestEngine) -> None:
    engine.tag("localhost/other:7", "one")
    digest = engine.tag(IMAGE, "one")
    same = engine.tag("localhost/other:7", "one") == digest
    copy(tracker, engine)
    assert copy(tracker, engine, image="localhost/other:7").cache_hit is same


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command": ["sh", "-c", 'cat "$1" "$2" > "$3"', "sh", "{net}", "/version", "{out}"]}, "container command"),
        ({"env": {"SCALE": "2"}}, "container env.SCALE"),
        ({"workdir": "/tmp"}, "container workdir"),
        ({"user": "0:0"}, "container user"),
        ({"options": ["--memory", "64m"]}, "container options"),
    ],
)
def test_what_a_container_is_called_with_counts(
    tracker: Tracker, stub: Stub, change: dict[str, Any], said: str
) -> None:
    copy(tracker, stub)
    result = copy(tracker, stub, **change)
    assert not result.cache_hit
    assert said in " ".join(result.run.why().differs)
    assert copy(tracker, stub, **change).cache_hit


def test_an_input_is_found_where_a_mount_shows_it_and_the_place_here_does_not_count(
    tracker: Tracker, engine: TestEngine
) -> None:
    for name in ("here", "there"):
        Path(name).mkdir()
        Path(name, "net.csv").write_text("a,b\n")

    def run(folder: str, target: str) -> RunResult:
        step = {"inputs": {"net": f"{folder}/net.csv"}}
        return copy(tracker, engine, ["sh", "-c", "echo {net} > {out}"], mounts={folder: target}, step=step)

    found = run("here", "/data/nets:ro")
    if engine.name == "podman":  # the stand-in has the paths of this machine
        assert output_of(found).path.read_text() == "/data/nets/net.csv\n"
    assert run("there", "/data/nets").cache_hit
    assert not run("here", "/data/other").cache_hit


def test_what_a_read_only_mount_holds_counts_by_its_content(tracker: Tracker, engine: TestEngine) -> None:
    Path("settings").mkdir()
    Path("settings/a.txt").write_text("1")
    command = ["sh", "-c", "cat /settings/a.txt > {out}"]
    copy(tracker, engine, command, mounts={"settings": "/settings"})
    assert copy(tracker, engine, command, mounts={"settings": "/settings"}).cache_hit
    Path("settings/a.txt").write_text("2")
    result = copy(tracker, engine, command, mounts={"settings": "/settings"})
    assert output_of(result).path.read_text() == "2"
    assert result.run.why().differs == ["identity input 'mounted at /settings': content differs"]


def test_a_read_only_mount_cannot_be_written_to(tracker: Tracker, engine: TestEngine) -> None:
    if engine.name != "podman":
        pytest.skip("the stand-in has the paths of this machine")
    Path("settings").mkdir()
    with pytest.raises(ProgramError, match="Read-only"):
        copy(tracker, engine, ["sh", "-c", "echo 1 > /settings/x"], mounts={"settings": "/settings"})
    with pytest.raises(ProgramError, match="Read-only"):
        copy(tracker, engine, ["sh", "-c", "echo 1 > {net}"])


def test_an_output_may_lie_in_a_mount_that_is_written_to(tracker: Tracker, engine: TestEngine) -> None:
    where = Path("results/deep").absolute()
    step = {"output_paths": {"out": where / "o.txt"}}
    command = ["sh", "-c", "echo 1 > {out}"]
    result = copy(tracker, engine, command, mounts={where: "/results:rw"}, step=step)
    assert output_of(result).path == where / "o.txt"
    assert copy(tracker, engine, command, mounts={where: "/results:rw"}, step=step).cache_hit


def test_files_beside_the_outputs_that_a_container_can_read_are_said_once(tracker: Tracker, stub: Stub) -> None:
    Path("results").mkdir()
    Path("results/old.txt").write_text("1")
    step = {"output_paths": {"out": Path("results/o.txt").absolute()}, "cache_options": CacheOptions("overwrite")}
    with pytest.warns(consist.ConsistWarning, match="the container can read '.*old.txt', mounted at /results to be"):
        copy(tracker, stub, ["sh", "-c", "echo 1 > {out}"], mounts={"results": "/results:rw"}, step=step)
    copy(tracker, stub, ["sh", "-c", "echo 2 > {out}"], mounts={"results": "/results:rw"}, step=step)


@pytest.mark.parametrize(
    "name", ["with space", "ünï", "quo'te", 'dou"ble', "com,ma", "a=b", "{net}", "$HOME", "co:lon"]
)
def test_odd_names_of_files_arguments_and_variables_arrive_as_they_are(
    tracker: Tracker, engine: TestEngine, name: str
) -> None:
    Path(f"{name}.csv").write_text("x")
    folder = Path(f"dir {name}").absolute()
    step = {"inputs": {"net": f"{name}.csv"}, "output_paths": {"out": f"{name}/o.txt", "far": folder / "f.txt"}}
    word = name.replace("{net}", "{{net}}")
    command = ["sh", "-c", 'mkdir -p "${2%/*}"; cat "$1" > "$2"; echo "$3|$V" > "$4"', "sh", "{net}", "{out}", word]
    mounts = {folder: f"/f/{name.replace(':', '')}:rw"}
    result = copy(tracker, engine, [*command, "{far}"], env={"V": word}, mounts=mounts, step=step)
    assert result.outputs["out"].path.read_text() == "x"
    assert result.outputs["far"].path.read_text() == f"{name}|{name}\n"


def test_a_name_that_is_no_text_is_refused(tracker: Tracker, stub: Stub) -> None:
    odd = os.fsdecode(b"a\xff.csv")
    Path(odd).write_text("x")
    with pytest.raises(UsageError, match=r"cannot be shown to a container, .* UTF-8 alone"):
        copy(tracker, stub, step={"inputs": {"net": odd}})


def test_an_input_that_its_program_changes_makes_a_run_that_is_never_reused(
    tracker: Tracker, engine: TestEngine
) -> None:
    Path("w").mkdir()
    command = ["sh", "-c", "echo 2 >> {net}; cat {net} > {out}"]
    for _ in range(2):
        Path("w/net.csv").write_text("1\n")
        result = copy(tracker, engine, command, mounts={"w": "/w:rw"}, step={"inputs": {"net": "w/net.csv"}})
        assert not result.cache_hit
        assert output_of(result).path.read_text() == "1\n2\n"


def test_a_staged_input_is_what_the_program_sees(tracker: Tracker, engine: TestEngine) -> None:
    Path("net.csv").write_text("1")
    staged = Path("runs/staged/x.txt")
    box = Container(IMAGE, ["cp", "{net}", "{out}"], engine=engine.name)
    given = ExecutionOptions(container=box, input_paths={"net": staged}, input_materialization="requested")
    for hit in (False, True):
        result = tracker.run(
            name="model", inputs={"net": "net.csv"}, output_paths={"out": "o.txt"}, execution_options=given
        )
        assert (result.cache_hit, output_of(result).path.read_text()) == (hit, "1")
        if not hit:
            assert result.run.log is not None
            assert f"source={staged.absolute()}" in result.run.log.text()


def test_rows_of_a_sweep_run_in_processes_of_a_pool(tracker: Tracker, engine: TestEngine) -> None:
    given: dict[str, Any] = {"name": "row", "output_paths": {"out": "o.txt"}}
    given["execution_options"] = options(engine, ["sh", "-c", "echo {scale} > {out}"])
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        for status in ("computed", "hit"):
            with tracker.scenario("sweep") as sc:
                result = sc.map(None, [{"scale": 1}, {"scale": 2}], executor=pool, **given)
            texts = [(row.status, row.outputs["out"].path.read_text()) for row in result]
            assert texts == [(status, "1\n"), (status, "2\n")]


def test_values_of_the_config_and_labels_are_filled_in(tracker: Tracker, engine: TestEngine) -> None:
    command = ["sh", "-c", "echo {scale} {config.year} {year} {iteration} $FROM ${HOME} {{scale}} > {out}"]
    result = copy(
        tracker,
        engine,
        command,
        env={"FROM": "{scale}"},
        step={"config": {"scale": 0.1, "year": 1}, "year": 2030, "iteration": 2},
    )
    said = output_of(result).path.read_text()
    assert said.startswith("0.1 1 1 2 0.1 ")
    assert said.endswith("{scale}\n")


def test_secrets_stand_in_no_record_no_log_and_no_command_line(tracker: Tracker, engine: TestEngine) -> None:
    env = {"API_TOKEN": "s3cr3t-one", "OTHER": consist.Secret("s3cr3t-two"), "FROM": "{key}"}
    step = {"config": {"key": consist.Secret("s3cr3t-three")}}
    command = ["sh", "-c", 'echo "$API_TOKEN $OTHER $FROM" > {out}; echo "$OTHER"']
    result = copy(tracker, engine, command, env=env, step=step)
    assert output_of(result).path.read_text() == "s3cr3t-one s3cr3t-two s3cr3t-three\n"
    if isinstance(engine, Stub):
        assert "s3cr3t" not in str(engine.last())
    output_of(result).path.unlink()
    recorded = [path for path in Path().rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]
    assert recorded == []
    changed = copy(tracker, engine, command, env={**env, "API_TOKEN": "s3cr3t-four"}, step=step)
    assert changed.run.why().differs == ["container env.API_TOKEN: masked -> masked (changed)"]


def test_a_secret_in_the_command_is_refused(tracker: Tracker, stub: Stub) -> None:
    with pytest.raises(UsageError, match="puts a secret into the command, which every process"):
        copy(tracker, stub, ["echo", "{key}"], step={"config": {"key": consist.Secret("x")}})
    with pytest.raises(UsageError, match="puts a secret into the command"):
        copy(tracker, stub, ["echo", "{password}"], step={"config": {"password": "hunter2!"}})


def test_what_it_prints_is_kept_and_an_error_shows_its_end(tracker: Tracker, engine: TestEngine) -> None:
    result = copy(tracker, engine)
    assert result.run.log is not None
    said = result.run.log.text()
    assert said.startswith(f"$ {engine.name} run --rm --pull never --name consist-es-")
    assert "\ndone\n[exit code 0 after " in said
    with pytest.raises(ProgramError) as caught:
        copy(tracker, engine, ["sh", "-c", "echo no zone 7; exit 3"])
    said = str(caught.value)
    assert "ended with exit code 3 in a container of image 'localhost/model:1' (sha256:" in said
    assert "It printed last:\n  no zone 7" in said
    (run,) = tracker.find_runs(status="failed")
    assert "exit code 3" in str(run.why())


@pytest.mark.parametrize(
    ("command", "code", "meaning"),
    [
        (["sh", "-c", "kill -9 $$"], 137, "it was killed, most often because memory ran out"),
        (["nonesuch"], 127, "not found"),
    ],
)
def test_exit_codes_are_explained(
    tracker: Tracker, engine: TestEngine, command: list[str], code: int, meaning: str
) -> None:
    if engine.name == "podman" and code == 137:
        command = [
            "sh",
            "-c",
            "sh -c 'kill -9 $$'; exit $?",
        ]  # the first process of a container is not killed by itself
    with pytest.raises(ProgramError, match=f"exit code {code} \\(.*{meaning}"):
        copy(tracker, engine, command)


def test_an_output_that_was_not_written_is_an_error_and_the_run_is_never_reused(
    tracker: Tracker, engine: TestEngine
) -> None:
    for _ in range(2):
        with pytest.raises(OutputError, match="did not produce its output 'out'"):
            copy(tracker, engine, ["true"])


def test_an_image_that_is_not_there_is_one_error_with_the_command_that_gets_it(
    tracker: Tracker, engine: TestEngine
) -> None:
    with pytest.raises(ImageMissingError) as caught:
        copy(tracker, engine, image="localhost/nonesuch:2")
    assert str(caught.value).endswith(f"Get it with: {engine.name} pull localhost/nonesuch:2")
    assert tracker.find_runs() == []


def test_an_image_that_was_removed_is_no_hit_by_accident(tracker: Tracker, engine: TestEngine) -> None:
    copy(tracker, engine)
    engine.remove(IMAGE)
    with pytest.raises(ImageMissingError):
        copy(tracker, engine)


@pytest.mark.parametrize("name", ["docker", "podman", "apptainer"])
def test_an_engine_that_is_not_there_is_one_error(
    tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", str(here))
    image = "model.sif" if name == "apptainer" else IMAGE
    Path("model.sif").write_text("x")
    with pytest.raises(ContainerError, match=f"There is no program '{name}' on PATH"):
        tracker.run(name="model", execution_options=options(name, ["true"], image=image))
    assert tracker.find_runs() == []


def test_an_engine_that_does_not_answer_is_one_error_in_its_words(tracker: Tracker, stub: Stub) -> None:
    (stub.folder / "away").touch()
    with pytest.raises(ContainerError, match=r"docker cannot say which image .* Cannot connect to the Docker daemon"):
        copy(tracker, stub)


def test_a_forecast_is_what_then_happens_and_an_image_that_changed_between_is_a_miss(
    tracker: Tracker, engine: TestEngine
) -> None:
    Path("net.csv").write_text("a,b\n")
    given: dict[str, Any] = {"name": "model", "inputs": {"net": "net.csv"}, "output_paths": {"out": "out.txt"}}
    given["execution_options"] = options(engine)
    assert tracker.forecast(**given).verdict == "miss"
    assert engine.running() == []
    assert tracker.find_runs() == []
    tracker.run(**given)
    assert tracker.forecast(**given).verdict == "hit"
    engine.tag(IMAGE, "two")
    result = tracker.run(**given)
    assert not result.cache_hit
    assert output_of(result).path.read_text() == "a,b\ntwo"


def test_the_image_that_was_looked_up_is_the_one_that_runs(
    tracker: Tracker, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consist_es.execution.attempt import Attempt

    real = Attempt.start

    def moved(self: Attempt) -> Any:
        stub.tag(IMAGE, "two")
        return real(self)

    monkeypatch.setattr(Attempt, "start", moved)
    assert output_of(copy(tracker, stub)).path.read_text() == "a,b\none"


def test_a_dry_run_starts_nothing_and_waits_for_a_container_before(tracker: Tracker, engine: TestEngine) -> None:
    Path("net.csv").write_text("a,b\n")

    def model(sc: Any) -> None:
        sc.run(
            name="first", inputs={"net": "net.csv"}, output_paths={"o1": "o.txt"},
            execution_options=options(engine, ["sh", "-c", "cat {net} > {o1}"]),
        )  # fmt: skip
        sc.run(
            name="second", inputs={"net": "o1"}, output_paths={"o2": "o.txt"},
            execution_options=options(engine, ["sh", "-c", "cat {net} > {o2}"]),
        )  # fmt: skip

    with tracker.scenario("base", dry_run=True) as sc:
        model(sc)
    assert [step.verdict for step in (sc.dry_run.steps if sc.dry_run else [])] == ["miss", "open"]
    assert tracker.find_runs() == []
    with tracker.scenario("base") as sc:
        model(sc)
        assert sc.coupler["o2"].path.read_text() == "a,b\n"


def test_a_forecast_waits_for_a_step_that_writes_what_a_container_mounts(tracker: Tracker, stub: Stub) -> None:
    Path("settings").mkdir()
    Path("settings/a.txt").write_text("1")
    reads = options(stub, ["sh", "-c", "cat /settings/a.txt > {out}"], mounts={"settings": "/settings"})
    writes = options(stub, ["sh", "-c", "echo 2 > {a}"], mounts={"settings": "/new:rw"})
    given: dict[str, Any] = {"name": "reads", "output_paths": {"out": "o.txt"}, "execution_options": reads}
    tracker.run(**given)
    with tracker.scenario("base", dry_run=True) as sc:
        sc.run(name="writes", output_paths={"a": Path("settings/a.txt").absolute()}, execution_options=writes)
        sc.run(**given)
    assert sc.dry_run is not None
    assert [(step.verdict, step.reason) for step in sc.dry_run.steps][1] == ("open", "inputs_written_ahead")


def test_a_sweep_of_containers_takes_its_rows_from_the_config(tracker: Tracker, engine: TestEngine) -> None:
    rows = [{"scale": scale} for scale in (1, 2, 3)]
    given: dict[str, Any] = {"name": "model", "output_paths": {"out": "o.txt"}}
    given["execution_options"] = options(engine, ["sh", "-c", "echo {scale} > {out}"])
    for status in ("computed", "hit"):
        with tracker.scenario("sweep") as sc:
            result = sc.map(None, rows, **given)
        assert [row.outputs["out"].path.read_text() for row in result] == ["1\n", "2\n", "3\n"]
        assert [row.status for row in result] == [status] * 3
    with tracker.scenario("sweep") as sc, pytest.raises(UsageError, match="a script of containers is not written"):
        sc.map(None, rows, script="s.sh", **given)


SCRIPT = """
import sys
import consist_es as consist
from consist_es import Container, ExecutionOptions, Tracker

with Tracker(run_dir="runs", db_path="project.db") as tracker:
    box = Container("localhost/model:1", ["sh", "-c", "echo begun > {out}; sleep 100"], engine=sys.argv[1])
    tracker.run(name="model", output_paths={"out": "o.txt"}, execution_options=ExecutionOptions(container=box))
"""


def _until_it_runs(engine: TestEngine, process: "subprocess.Popen[bytes]") -> None:
    while not list(Path("runs").rglob("o.txt")) or not engine.running():
        assert process.poll() is None
        time.sleep(0.05)  # looks again; nothing depends on how long it is


def _started(engine: TestEngine) -> "subprocess.Popen[bytes]":
    Path("model.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "model.py", engine.name], env=env, stdout=subprocess.DEVNULL)
    _until_it_runs(engine, process)
    return process


def test_ctrl_c_stops_the_container(here: Path, engine: TestEngine) -> None:
    process = _started(engine)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert engine.running() == []
    with Tracker(run_dir="runs", db_path="project.db") as tracker:
        assert [run.status for run in tracker.find_runs()] == ["interrupted"]


def test_a_container_of_a_killed_process_is_stopped_by_the_next_step_which_says_so(
    here: Path, engine: TestEngine
) -> None:
    process = _started(engine)
    process.kill()
    process.wait(60)
    (left,) = engine.running()
    with Tracker(run_dir="runs", db_path="project.db") as tracker:
        with pytest.warns(
            consist.ConsistWarning, match=f"Run 'model' ended .*: stopped container {left}, which it had"
        ):
            copy(tracker, engine)
        assert engine.running() == []


def test_a_container_of_a_run_that_goes_on_is_left_alone(here: Path, engine: TestEngine) -> None:
    process = _started(engine)
    try:
        with Tracker(run_dir="runs", db_path="project.db") as tracker:
            copy(tracker, engine)
        assert len(engine.running()) == 1
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_a_container_whose_client_is_killed_is_stopped(tracker: Tracker, stub: Stub) -> None:
    def kill() -> None:
        while not stub.running():
            time.sleep(0.02)
        os.kill(int(str(stub.last()["pid"])), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(ProgramError, match="was ended by signal 9 in a container"):
        copy(tracker, stub, ["sleep", "100"])
    thread.join()
    assert stub.running() == []


def test_what_a_container_takes_is_not_what_its_client_takes(tracker: Tracker, stub: Stub) -> None:
    taken = copy(tracker, stub).run.resources
    assert taken is not None
    assert taken.wall_s > 0
    assert (taken.cpu_s, taken.peak_memory_bytes, taken.read_bytes) == (None, None, None)


def test_apptainer_is_called_with_its_own_words(tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command line alone: no apptainer ran here."""
    Path("bin").mkdir()
    program = Path("bin/apptainer")
    program.write_text(
        f"#!{sys.executable}\nimport os, sys\n"
        'binds = [sys.argv[i + 1] for i, a in enumerate(sys.argv) if a == "--bind"]\n'
        'folder = next(b.split(":")[0] for b in binds if ":/outputs:" in b)\n'
        'open(folder + "/o.txt", "w").write("\\n".join([*sys.argv[1:], os.environ["APPTAINERENV_A"]]))\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}")
    Path("model.sif").write_bytes(b"image")
    Path("net.csv").write_text("x")

    def run() -> RunResult:
        box = Container("model.sif", ["go", "{net}"], {"bin": "/tools"}, {"A": "1,2"}, "apptainer", workdir="/tmp")
        return tracker.run(
            name="model", inputs={"net": "net.csv"}, output_paths={"out": "o.txt"},
            execution_options=ExecutionOptions(container=box),
        )  # fmt: skip

    first = run()
    folder = output_of(first).path.parent
    assert output_of(first).path.read_text().splitlines() == [
        "run", "--containall", "--bind", f"{here}/bin:/tools:ro", "--bind", f"{folder}:/outputs:rw",
        "--bind", f"{here}/net.csv:/inputs/net/net.csv:ro", "--pwd", "/tmp", f"{here}/model.sif", "go",
        "/inputs/net/net.csv", "1,2",
    ]  # fmt: skip
    assert run().cache_hit
    Path("model.sif").write_bytes(b"image two")
    assert not run().cache_hit


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("docker://python:3", "apptainer pull model.sif docker://python:3"),
        ("gone.sif", "is not here"),
        (".", "is a folder"),
    ],
)
def test_an_image_of_apptainer_is_a_file(
    tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch, image: str, said: str
) -> None:
    Path("apptainer").write_text("#!/bin/sh\n")
    Path("apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{here}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises((ContainerError, InputError), match=said):
        tracker.run(name="model", execution_options=options("apptainer", ["true"], image=image))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"image": ""}, UsageError, "is no name of an image"),
        ({"image": "--privileged"}, UsageError, "is no name of an image"),
        ({"image": 3}, UsageTypeError, "takes a str, not int"),
        ({"command": "sleep 1"}, UsageTypeError, "takes a list of str, one for each argument"),
        ({"command": ["a\0b"]}, UsageError, "null character"),
        ({"command": [1]}, UsageTypeError, "takes str, not int"),
        ({"engine": "rkt"}, OptionError, "use one of 'docker', 'podman', 'apptainer'"),
        ({"engine": None}, OptionError, "use one of"),
        ({"mounts": {"a": "data"}}, UsageError, "the path in the container is absolute"),
        ({"mounts": {"a": "/d:rx"}}, UsageError, "the path in the container is absolute"),
        ({"mounts": {"a": "/"}}, UsageError, "would hide the whole image"),
        ({"mounts": {"a": "/x/../"}}, UsageError, "would hide the whole image"),
        ({"mounts": {"a": "/outputs/x"}}, UsageError, "where a step's inputs and outputs are put"),
        ({"mounts": {"a": "/d", "b": "/d/"}}, UsageError, "are both mounted at '/d'"),
        ({"mounts": ["a:/d"]}, UsageTypeError, "takes a mapping of a path here"),
        ({"mounts": {"a": None}}, UsageTypeError, "takes paths here and texts"),
        ({"env": {"A=B": "1"}}, UsageError, "is no name of an environment variable"),
        ({"env": {"A": 1}}, UsageTypeError, "A takes a str, not int"),
        ({"env": ["A=1"]}, UsageTypeError, "takes a mapping of str to str"),
        ({"workdir": "model"}, UsageError, "takes an absolute path in the container"),
        ({"user": 0}, UsageTypeError, "takes a text that is not empty"),
        ({"user": "1", "engine": "apptainer"}, UsageError, "Leave user out"),
        ({"options": ["-v", "/a:/b"]}, UsageError, "Use mounts= of the container"),
        ({"options": ["-v/a:/b"]}, UsageError, "Use mounts= of the container"),
        ({"options": ["--env-file=x"]}, UsageError, "Use env= of the container"),
        ({"options": ["--detach"]}, UsageError, "Leave it out"),
    ],
)
def test_a_container_that_makes_no_sense_is_refused_when_it_is_made(
    given: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        Container(**{"image": IMAGE, **given})


def _nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"fn": _nothing}, "fn does not go with it"),
        ({"outputs": ["a"]}, "say where it writes 'a'"),
        ({"cache_options": CacheOptions(code_identity="repo_git")}, "code_identity='repo_git' does not go with it"),
        ({"output_paths": {"o": "/elsewhere/o.txt"}}, "where the container sees nothing"),
        ({"inputs": {"out": "net.csv"}}, r"is an input and an output of this step. Write \{inputs.out\}"),
        ({"inputs": {}}, r"no input, output or config value 'net' for \{net\}"),
        ({"inputs": {"nett": "net.csv"}}, r"Did you mean \{nett\}"),
        ({"config": {"net": [1]}, "inputs": {}}, "'net' is list, which is no argument"),
    ],
)
def test_a_step_that_a_container_cannot_be_is_refused_and_nothing_is_recorded(
    tracker: Tracker, stub: Stub, step: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        copy(
            tracker,
            stub,
            ["echo", "{net}", "{out}"] if "inputs" not in step or "out" not in step["inputs"] else ["{out}"],
            step=step,
        )
    assert tracker.find_runs() == []


def test_executor_and_container_go_together(stub: Stub) -> None:
    box = Container(IMAGE)
    assert ExecutionOptions(executor="container", container=box).container is box
    with pytest.raises(UsageError, match="say which"):
        ExecutionOptions(executor="container")
    with pytest.raises(UsageError, match="leave executor out"):
        ExecutionOptions(executor="python", container=box)
    theirs = {"image": IMAGE, "command": "run --fast {x}", "backend": "singularity", "volumes": {"a": "/d"}}
    found = ExecutionOptions(container=theirs).container
    assert isinstance(found, Container)
    assert (found.engine, list(found.command), found.mounts) == (
        "apptainer",
        ["run", "--fast", "{{x}}"],
        {"a": "/d:rw"},
    )
    refused: list[tuple[dict[str, Any], str]] = [
        ({"image": IMAGE}, "has no 'command'"),
        ({**theirs, "ports": 1}, "has no 'ports'"),
        ({**theirs, "pull_latest": True}, "pulls nothing"),
        ({**theirs, "lineage_mode": "none"}, "always recorded"),
    ]
    for wrong, said in refused:
        with pytest.raises(UsageError, match=said):
            ExecutionOptions(container=wrong)
    with pytest.raises(UsageTypeError, match="container takes Container"):
        ExecutionOptions(container="busybox")  # type: ignore[arg-type]
