"""The record of the software that a run saw."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es.identity.git import git_state
from consist_es.project import environment as environment_module
from consist_es.project.environment import environment, with_variables


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    environment_module._environment.cache_clear()
    yield
    environment_module._environment.cache_clear()


def git(root: Path, *arguments: str) -> None:
    names = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *names, *arguments], cwd=root, check=True, capture_output=True, env=clean)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return tmp_path


def test_it_names_python_platform_and_packages(tmp_path: Path) -> None:
    found = environment(tmp_path)
    assert found.python == platform.python_version()
    assert found.platform == platform.platform()
    assert found.packages["msgspec"] == importlib.metadata.version("msgspec")
    assert found.git_commit is None
    assert found.git_dirty is None


def test_it_is_read_once_per_process(tmp_path: Path) -> None:
    assert environment(tmp_path) is environment(tmp_path)


def test_another_package_version_gives_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = environment(tmp_path)
    environment_module._environment.cache_clear()
    monkeypatch.setattr(environment_module, "_packages", lambda: {**first.packages, "msgspec": "0.0"})
    assert environment(tmp_path).digest != first.digest


def test_the_commit_and_a_change_since_are_named(repository: Path) -> None:
    clean = environment(repository)
    assert clean.git_commit is not None
    assert len(clean.git_commit) == 40
    assert clean.git_dirty is None
    (repository / "a.txt").write_text("2")
    environment_module._environment.cache_clear()
    dirty = environment(repository)
    assert dirty.git_commit == clean.git_commit
    assert dirty.git_dirty is not None
    assert dirty.digest != clean.digest


def test_without_git_there_is_no_commit(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(repository) is None


def test_a_repository_without_commit_has_no_state(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert git_state(tmp_path) is None


def test_untracked_python_counts_and_other_untracked_files_do_not(repository: Path) -> None:
    states = [git_state(repository)]
    (repository / "new.txt").write_text("1")
    states.append(git_state(repository))
    (repository / "new.py").write_text("1")
    states.append(git_state(repository))
    (repository / "new.py").write_text("2")
    states.append(git_state(repository))
    assert states[0] == states[1]
    assert len({str(state) for state in states}) == 3


def test_a_repository_cannot_make_us_run_its_programs(repository: Path) -> None:
    script = repository / ".git" / "evil"
    script.write_text(f"#!/bin/sh\ntouch {repository}/ran\n")
    script.chmod(0o755)
    (repository / ".gitattributes").write_text("*.txt diff=evil\n")
    for name in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command"):
        git(repository, "config", name, str(script))
    (repository / "a.txt").write_text("2")
    assert git_state(repository) is not None
    assert not (repository / "ran").exists()


def test_a_surrounding_hook_does_not_mislead_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = git_state(repository)
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    assert git_state(repository) == expected


def test_a_change_that_git_cannot_show_leaves_no_state(repository: Path) -> None:
    (repository / "a.txt").write_text("2")
    (repository / ".git" / "index").write_bytes(b"no index at all" * 100)
    assert git_state(repository) is None


def test_an_untracked_link_to_nowhere_counts_by_its_name(repository: Path) -> None:
    (repository / "a.py").symlink_to("gone")
    one = git_state(repository)
    (repository / "a.py").rename(repository / "b.py")
    other = git_state(repository)
    assert one is not None
    assert other is not None
    assert None not in (one.dirty, other.dirty)
    assert one.dirty != other.dirty


def test_a_git_that_does_not_answer_is_as_if_there_were_none(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object, **given: Any) -> None:
        raise subprocess.TimeoutExpired("git", given["timeout"])

    monkeypatch.setattr(subprocess, "run", hangs)
    assert git_state(repository) is None


def test_a_package_that_is_half_removed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("half", "Metadata-Version: 2.1\n"), ("whole", "Name: A__b.C-d\nVersion: 1\n")):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "METADATA").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    environment_module._packages.cache_clear()
    try:
        assert environment(tmp_path).packages == {"a-b-c-d": "1"}
    finally:
        environment_module._packages.cache_clear()


def test_variables_make_another_environment() -> None:
    base = environment(None)
    one, other = (with_variables(base, {"A": value}) for value in ("1", None))
    assert one.variables == {"A": "1"}
    assert len({base.digest, one.digest, other.digest}) == 3
    assert one == with_variables(base, {"A": "1"})
