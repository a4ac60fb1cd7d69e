"""Programs that a step starts count by the version of the distribution that they are from."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ScenarioContext, Tracker
from consist_es.events import PackagesAccepted, ReadsObserved
from consist_es.identity.installed.started import Origin, origins
from tests.support.cli import run as command
from tests.support.installed import FOLDER, install

pytestmark = [
    pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning"),
    pytest.mark.skipif(os.name != "posix", reason="scripts with a first line"),
]
MAIN = "def main():\n    print('{}')\n\nif __name__ == '__main__':\n    main()\n"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with the distribution `asim`, its program, and a Python; outside of the project's folder."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    project, folder = tmp_path / "project", tmp_path / "env"
    project.mkdir()
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    script(folder / "bin" / "asim", folder)
    upgrade(folder, "1.0")
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(project)
    return folder


def site_of(folder: Path) -> Path:
    return folder / "lib" / "python3.11" / "site-packages"


def script(path: Path, folder: Path) -> None:
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(site_of(folder))!r})\n"
                    "from asim.__main__ import main\nmain()\n")  # fmt: skip
    path.chmod(0o755)


def upgrade(folder: Path, version: str, *, url: str | None = None, text: str = "") -> None:
    modules = {"asim/__init__.py": "", "asim/__main__.py": MAIN.format(text or version)}
    install(site_of(folder), "asim", version, modules, url=url)
    info = site_of(folder) / f"asim-{version}.dist-info"
    info.joinpath("entry_points.txt").write_text("[console_scripts]\nasim = asim.__main__:main\n")
    with info.joinpath("RECORD").open("a") as record:
        record.write("../../../bin/asim,,\n")


def write(text: str) -> Path:
    out = consist.output_path("out", ext="txt")
    out.write_text(text)
    return out


def output_of(*words: Any, **given: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(*words, capture_output=True, text=True, check=True, **given)
    return done.stdout


def by_name() -> Path:
    return write(output_of(["asim", "run"]))


def by_path() -> Path:
    return write(output_of([shutil.which("asim") or "", "run"]))


def by_shell() -> Path:
    return write(output_of("cd . && X=1 asim run | cat", shell=True))


def by_starter() -> Path:
    return write(output_of(["env", "X=1", "asim", "run"]))


def by_module() -> Path:
    site = Path(shutil.which("asim") or "").parent.parent / "lib" / "python3.11" / "site-packages"
    return write(output_of([shutil.which("python"), "-W", "ignore", "-m", "asim"], env={"PYTHONPATH": str(site)}))


def by_shell_and_module() -> Path:
    os.system("PYTHONPATH=../env/lib/python3.11/site-packages python -m asim > ../out.txt")
    return write(Path("../out.txt").read_text())


def by_script_of_python() -> Path:
    return write(output_of([sys.executable, shutil.which("asim")]))


def by_spawn() -> Path:
    pid = os.posix_spawn(shutil.which("asim") or "", ["asim"], dict(os.environ))
    os.waitpid(pid, 0)
    return write("done")


def by_worker() -> Path:
    pid = os.fork()
    if pid == 0:
        try:
            subprocess.run(["true"], check=True)
            subprocess.run(["asim", "run"], check=True, stdout=subprocess.DEVNULL)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return write("done")


WAYS = [
    by_name,
    by_path,
    by_shell,
    by_starter,
    by_module,
    by_shell_and_module,
    by_script_of_python,
    by_spawn,
    by_worker,
]


def opened(**given: Any) -> Tracker:
    return Tracker(run_dir="runs", db_path="provenance.db", sync="os", **given)


def run(tracker: Tracker | ScenarioContext, fn: Callable[[], Path]) -> Any:
    return tracker.run(fn, outputs=["out"])


@pytest.mark.parametrize("fn", WAYS)
def test_another_version_of_a_program_that_was_started_is_a_miss(env: Path, fn: Callable[[], Path]) -> None:
    with opened() as tracker:
        assert not run(tracker, fn).cache_hit
        assert run(tracker, fn).cache_hit
        upgrade(env, "1.1")
        forecast = tracker.forecast(fn, outputs=["out"])
        assert (forecast.verdict, forecast.differs) == ("miss", ["packages: asim 1.0 -> 1.1, which the step starts"])
        missed = run(tracker, fn)
        why = missed.run.why()
        assert (missed.cache_hit, why.reason) == (False, "packages_changed")
        assert "asim 1.0 -> 1.1, which the step starts" in str(why)
        assert run(tracker, fn).cache_hit


def test_a_program_that_is_gone_is_a_miss(env: Path) -> None:
    with opened() as tracker:
        run(tracker, by_path)
        shutil.rmtree(site_of(env) / "asim-1.0.dist-info")
        assert tracker.forecast(by_path, outputs=["out"]).differs == [
            "packages: asim 1.0 -> not installed, which the step starts"
        ]


def test_a_model_of_ones_own_that_is_started_counts_by_content(env: Path) -> None:
    upgrade(env, "1.0", url=FOLDER)
    with opened() as tracker:
        run(tracker, by_name)
        assert run(tracker, by_name).cache_hit
        upgrade(env, "1.0", url=FOLDER, text="edited")
        missed = run(tracker, by_name)
        assert not missed.cache_hit
        assert missed.outputs["out"].path.read_text() == "edited\n"


def test_an_upgrade_of_a_program_is_accepted_for_all_steps_at_once(env: Path) -> None:
    with opened() as tracker, tracker.scenario("base") as scenario:
        run(scenario, by_name)
        run(scenario, by_shell)
        upgrade(env, "1.1")
        command("accept", "--packages", "--reason", "a patch")
        for fn in (by_name, by_shell):
            hit = run(scenario, fn)
            assert hit.cache_hit
            assert hit.run.why().accepted == ["packages accepted: asim 1.0 -> 1.1: a patch"]
        events = [entry.event for entry in tracker.project.log.read()]
        accepted = [event for event in events if isinstance(event, PackagesAccepted)]
        assert [(event.before, event.after) for event in accepted] == [({"asim": "1.0"}, {"asim": "1.1"})]
        upgrade(env, "1.2")
        assert not run(scenario, by_name).cache_hit
        tracker.revoke_packages()
    assert "program asim (asim 1.0)" in command("audit", "base").stdout.replace("\n       ", " ")


def test_what_is_ignored_does_not_count(env: Path) -> None:
    with opened(ignore_packages=["asim"]) as tracker:
        run(tracker, by_name)
        upgrade(env, "1.1")
        assert run(tracker, by_name).cache_hit


def test_a_program_that_is_replaced_while_the_step_runs_makes_the_run_one_that_is_never_reused(env: Path) -> None:
    def step() -> Path:
        out = write(output_of(["asim", "run"]))
        upgrade(env, "1.1")
        return out

    with opened() as tracker:
        done = run(tracker, step)
        upgrade(env, "1.0")
        again = run(tracker, step)
        assert not again.cache_hit
        assert "asim 1.0, of which the step started a program, was replaced" in str(again.run.why())
        assert done.run.why().verdict == "miss"


def test_an_environment_in_the_projects_folder_moves_with_the_project(env: Path, tmp_path: Path) -> None:
    inside = Path.cwd() / ".venv"
    env.rename(inside)
    script(inside / "bin" / "asim", inside)

    def step() -> Path:
        return write(output_of([".venv/bin/asim"]))

    with opened() as tracker:
        run(tracker, step)
        assert run(tracker, step).cache_hit
        upgrade(inside, "1.1")
        assert not run(tracker, step).cache_hit
        upgrade(inside, "1.2")
        command("accept", "--packages", "--reason", "a patch")
        assert run(tracker, step).cache_hit


@pytest.mark.parametrize("by_path_alone", [False, True])
def test_a_program_of_the_projects_folder_counts_by_content(env: Path, by_path_alone: bool, monkeypatch: Any) -> None:
    folder = Path.cwd() / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    tool = folder / "assign"
    tool.write_text("#!/bin/sh\necho 1\n")
    tool.chmod(0o755)

    def step() -> Path:
        return write(output_of(["assign"] if by_path_alone else ["tools/assign"]))

    with opened() as tracker:
        run(tracker, step)
        assert run(tracker, step).cache_hit
        tool.write_text("#!/bin/sh\necho 2\n")
        missed = run(tracker, step)
        assert (missed.cache_hit, missed.outputs["out"].path.read_text()) == (False, "2\n")


def test_a_script_of_the_project_counts_by_content(env: Path) -> None:
    Path("assign.py").write_text("print(1)\n")

    def step() -> Path:
        return write(output_of([sys.executable, "assign.py"]))

    with opened() as tracker:
        run(tracker, step)
        assert run(tracker, step).cache_hit
        Path("assign.py").write_text("print(2)\n")
        assert not run(tracker, step).cache_hit


def test_other_programs_are_recorded_by_their_path_alone(env: Path) -> None:
    def step() -> Path:
        return write(output_of(["cat", "/dev/null"]))

    with opened() as tracker:
        run(tracker, step)
        listed = [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, ReadsObserved)]
        assert [(read.name, read.digest) for event in listed for read in event.reads if read.kind == "program"] == [
            ("cat", None)
        ]
        assert run(tracker, step).cache_hit


def test_a_program_installed_to_a_folder_of_its_own_is_found(tmp_path: Path) -> None:
    """``pip install --target``, and a script that was copied elsewhere and names its Python in the first line."""
    target = tmp_path / "target"
    install(target, "asim", "1.0", {"asim/__init__.py": ""})
    (target / "asim-1.0.dist-info" / "entry_points.txt").write_text("[console_scripts]\nasim = asim:main\n")
    (target / "bin").mkdir()
    script(target / "bin" / "asim", tmp_path)
    assert origins(str(target / "bin" / "asim"), ["asim"])[0].package == "asim 1.0"
    other = tmp_path / "elsewhere" / "bin" / "asim"
    other.parent.mkdir(parents=True)
    (target / "bin" / "python3").symlink_to(sys.executable)
    other.write_text(f"#!{target / 'bin' / 'python3'}\n")
    assert origins(str(other), ["asim"])[0].package == "asim 1.0"


@pytest.mark.parametrize(
    "words",
    [
        ["python", "-c", "import asim"],
        ["python", "-m", "joblib.externals.loky.backend.popen_loky_posix"],
        ["python", "-"],
        ["python"],
        ["python", "-m"],
        ["env"],
        ["sh", "-c", "'unclosed"],
        ["no-such-program", "asim"],
    ],
)
def test_commands_of_which_nothing_installed_is_known_stand_for_themselves(env: Path, words: list[str]) -> None:
    assert origins(words[0], words) == [Origin(words[0])]


# ---------------------------------------------------------------- files that programs write and the step reads


def told_by(command: str, *, folder: str = ".") -> Callable[[], Path]:
    """A step that reads what a program wrote."""

    def step() -> Path:
        subprocess.run(command, shell=True, check=True, cwd=folder)
        return write(Path("log.txt").read_text())

    return step


UNSURE = {
    "appends": "echo new >> log.txt",
    "appends by another program": "printf new | tee -a log.txt > /dev/null",
    "writes into the middle": "printf N | dd of=log.txt bs=1 seek=1 conv=notrunc status=none",
}
SURE = {
    "writes it anew": "echo new > log.txt",
    "writes a new file beside and moves it": "echo new > other.txt; mv other.txt log.txt",
    "removes it first": "rm log.txt; echo new > log.txt",
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells what programs write")
@pytest.mark.parametrize("how", [*UNSURE, *SURE])
def test_a_file_that_was_there_and_that_a_program_adds_to_is_never_taken_for_the_steps_own_work(
    env: Path, how: str
) -> None:
    step = told_by({**UNSURE, **SURE}[how])
    with opened() as tracker:
        Path("log.txt").write_text("old line\n" * 5)
        time.sleep(0.05)  # the times of files lag behind the clock
        first = run(tracker, step)
        text = first.outputs["out"].path.read_text()
        Path("log.txt").write_text("another old line\n" * 5)
        second = run(tracker, step)
        if how in SURE:
            assert second.cache_hit
        else:
            assert not second.cache_hit
            assert second.outputs["out"].path.read_text() != text
            assert "was there before, a program that the step started wrote to it" in str(second.run.why())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells what programs write")
@pytest.mark.parametrize("sign", [">", ">>"])
def test_files_that_a_program_writes_anew_in_a_folder_that_it_is_given_are_the_steps_own_work(
    env: Path, sign: str
) -> None:
    def step() -> Path:
        subprocess.run(["sh", "-c", f'echo new {sign} "$1"/deep/log.txt', "sh", "output"], check=True)
        return write(Path("output/deep/log.txt").read_text())

    Path("output/deep").mkdir(parents=True)
    with opened() as tracker:
        for text in ("old line\n", "another old line\n"):
            Path("output/deep/log.txt").write_text(text * 5)
            time.sleep(0.05)
            hit = run(tracker, step).cache_hit
        assert hit == (sign == ">")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells what programs write")
def test_what_is_looked_at_before_a_program_starts_is_no_read(env: Path) -> None:
    def step() -> Path:
        subprocess.run(["true", "data", "one.txt"], check=True)
        return write("x")

    Path("data").mkdir()
    for name in ("data/a.txt", "one.txt"):
        Path(name).write_text("1")
    time.sleep(0.05)
    with opened() as tracker:
        run(tracker, step)
        for name in ("data/a.txt", "one.txt", "data/b.txt"):
            Path(name).write_text("2")
        assert run(tracker, step).cache_hit


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel tells what programs write")
def test_a_file_that_a_program_makes_or_that_is_declared_as_an_output_is_the_steps_own_work(env: Path) -> None:
    step = told_by("echo new >> log.txt")
    with opened() as tracker:
        run(tracker, step)
        assert run(tracker, step).cache_hit

        def declared() -> dict[str, Path]:
            return {"out": step(), "log": Path("log.txt")}

        tracker.run(declared, outputs=["out", "log"])
        assert tracker.run(declared, outputs=["out", "log"]).cache_hit
