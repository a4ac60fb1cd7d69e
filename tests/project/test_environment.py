"""The record of the software that a run saw."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es.identity.git import git_state
from consist_es.identity.installed.metadata import header
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


def test_git_is_not_asked_where_no_folder_above_has_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*_: object, **_given: object) -> None:
        raise AssertionError("git was started")

    monkeypatch.setattr(subprocess, "run", unexpected)
    assert git_state(tmp_path) is None


@pytest.mark.parametrize("how", ["below", "link", "worktree", "name with newline"])
def test_a_repository_is_found_from_where_git_finds_it(repository: Path, tmp_path: Path, how: str) -> None:
    expected = git_state(repository)
    assert expected is not None
    place = repository / "below" / "deeper"
    if how == "name with newline":
        place = repository / "two\nlines"
    place.mkdir(parents=True)
    if how == "link":
        link = tmp_path.parent / f"{tmp_path.name}-link"
        link.symlink_to(place, target_is_directory=True)
        place = link
    elif how == "worktree":
        place = tmp_path.parent / f"{tmp_path.name}-tree"
        git(repository, "worktree", "add", "-q", str(place))
    found = git_state(place)
    assert found is not None
    assert (found.commit, found.dirty) == (expected.commit, expected.dirty)


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


# ---------------------------------------------------------------- the same as importlib.metadata finds

METADATA = {
    "plain": b"Metadata-Version: 2.1\nName: Plain\nVersion: 1.0\nSummary: x\n\nName: not this\n",
    "late": b"Metadata-Version: 2.1\nSummary: \xc3\xa9\nName: late\nVersion: 2\n\n",
    "continued": b"Metadata-Version: 2.1\nPlatform: a\n  b\nName: continued\nVersion: 3\n\n",
    "continued_name": b"Name: folded\n  name\nVersion: 3\n\n",
    "continued_version": b"Name: folded-version\nVersion: 3\n\t.1\n\n",
    "windows": b"Metadata-Version: 2.1\r\nName: windows\r\nVersion: 4\r\n\r\nbody",
    "old_mac": b"Metadata-Version: 2.1\rName: old-mac\rVersion: 5\r\rbody",
    "spaces": b"Name:   spaces \t \nVersion:6\n\n",
    "small_letters": b"name: small-letters\nVERSION: 7\n\n",
    "twice": b"Name: twice\nName: thrice\nVersion: 8\nVersion: 9\n\n",
    "foreign": b"Name: f\xc3\xb6reign\nVersion: 10\n\n",
    "in_body": b"Metadata-Version: 2.1\n\nName: in-body\nVersion: 11\n",
    "no_header": b"just text\nName: no-header\nVersion: 12\n",
    "mail": b"From somebody\nName: mail\nVersion: 13\n\n",
    "empty_name": b"Name: \nVersion: 14\n\n",
    "no_end": b"Name: no-end\nVersion: 15",
    "long": b"Name: long\nSummary: " + b"x" * 5000 + b"\nVersion: 16\n\n",
    "long_version": b"Name: long-version\nSummary: " + b"x" * 4045 + b"\nVersion: 16.1234567890\n\n",
    "continued_later": b"Name: later\nSummary: " + b"x" * (4096 - 33) + b"\nVersion: 1\n  .2\n\n",
    "after_many_lines": b"Platform: a\n" * 19 + b"Name: many\nVersion: 1\n\n",
    "continued_after_many_lines": b"Platform: a\n" * 18 + b"Name: many\nVersion: 1\n  .2\n\n",
    "control": b"Name: con\x0ctrol\x1c\nVersion: 17\x0b\n\n",
    "empty": b"",
}
_REFERENCE = """
import importlib.metadata, json, sys
print(json.dumps([[d.metadata["Name"], d.metadata["Version"]] for d in importlib.metadata.distributions()]))
"""
_OURS = """
import json, sys
from consist_es.identity.installed.metadata import installed_headers
print(json.dumps(list(installed_headers())))
"""


def both(*paths: Path) -> tuple[list[Any], list[Any]]:
    """What we find, and what importlib.metadata does, in fresh processes."""
    root = Path(environment_module.__file__).parents[2]
    path = os.pathsep.join(map(str, (*paths, root)))
    found = []
    for code in (_OURS, _REFERENCE):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(json.loads(done.stdout))
    return found[0], found[1]


@pytest.mark.parametrize("name", METADATA)
def test_each_form_of_metadata_says_what_importlib_says(tmp_path: Path, name: str) -> None:
    for file in ("METADATA", "PKG-INFO"):
        folder = tmp_path / f"{name}-0.{'dist-info' if file == 'METADATA' else 'egg-info'}"
        folder.mkdir()
        (folder / file).write_bytes(METADATA[name])
    expected = importlib.metadata.PathDistribution(tmp_path / f"{name}-0.dist-info").metadata
    assert header(str(tmp_path / f"{name}-0.dist-info")) == (expected["Name"], expected["Version"])
    assert header(str(tmp_path / f"{name}-0.egg-info")) == (expected["Name"], expected["Version"])


def test_all_that_is_installed_is_found_in_the_order_of_importlib(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        for name, text in METADATA.items():
            (folder / f"{name}-1.dist-info").mkdir(parents=True)
            (folder / f"{name}-1.dist-info" / "METADATA").write_bytes(text)
    (one / "Twice_named-1.dist-info").mkdir()
    (one / "Twice_named-1.dist-info" / "METADATA").write_text("Name: twice-named\nVersion: 1\n\n")
    (one / "twice.named-2.dist-info").mkdir()
    (one / "twice.named-2.dist-info" / "METADATA").write_text("Name: twice-named\nVersion: 2\n\n")
    (two / "file-3.egg-info").write_text("Name: file\nVersion: 3\n\n")
    (two / "second-4.dist-info").mkdir()
    (two / "second-4.dist-info" / "METADATA").write_bytes(b"")
    (two / "second-4.dist-info" / "PKG-INFO").write_text("Name: second\nVersion: 4\n\n")
    (two / "removed-5.dist-info").mkdir()
    ours, reference = both(one, two, tmp_path / "missing")
    assert ours == reference
    assert ["Plain", "1.0"] in ours


@pytest.mark.parametrize("kind", ["archive", "egg", "finder"])
def test_archives_eggs_and_finders_of_others_are_left_to_importlib(tmp_path: Path, kind: str) -> None:
    text = "Name: elsewhere\nVersion: 1\n\n"
    if kind == "archive":
        with zipfile.ZipFile(tmp_path / "there.zip", "w") as archive:
            archive.writestr("elsewhere-1.dist-info/METADATA", text)
        place = tmp_path / "there.zip"
    elif kind == "egg":
        place = tmp_path / "elsewhere-1.egg"
        (place / "EGG-INFO").mkdir(parents=True)
        (place / "EGG-INFO" / "PKG-INFO").write_text(text)
    else:
        place = tmp_path
        (tmp_path / "sitecustomize.py").write_text(
            "import importlib.metadata, pathlib, sys\n"
            "class Finder:\n"
            "    def find_spec(*_): return None\n"
            "    def find_distributions(*_):\n"
            f"        return [importlib.metadata.Distribution.at(pathlib.Path({str(tmp_path / 'hidden')!r}))]\n"
            "sys.meta_path.append(Finder)\n"
        )
        (tmp_path / "hidden").mkdir()
        (tmp_path / "hidden" / "METADATA").write_text(text)
    ours, reference = both(place)
    assert ours == reference
    assert ["elsewhere", "1"] in ours


def test_an_upgrade_in_place_is_seen_by_the_next_process(tmp_path: Path) -> None:
    file = tmp_path / "plain-1.dist-info" / "METADATA"
    file.parent.mkdir()
    for version in ("1.0", "1.1"):
        file.write_text(f"Name: plain\nVersion: {version}\n\n")
        os.utime(file, ns=(1, 1))
        assert ["plain", version] in both(tmp_path)[0]


def test_variables_make_another_environment() -> None:
    base = environment(None)
    one, other = (with_variables(base, {"A": value}) for value in ("1", None))
    assert one.variables == {"A": "1"}
    assert len({base.digest, one.digest, other.digest}) == 3
    assert one == with_variables(base, {"A": "1"})
