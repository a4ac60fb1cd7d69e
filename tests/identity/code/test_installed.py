"""Where code lies: what is the project's own among what is installed, which distribution a file or program is from."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from consist_es.identity.installed.archives import lines_of, member_of
from consist_es.identity.installed.finding import Finding
from consist_es.identity.installed.packages import (
    Distribution,
    distribution_of_file,
    normalised,
    refresh,
    spot_of,
    version_of,
    versions,
)
from consist_es.identity.installed.places import counting, is_first_party, package_part
from consist_es.identity.installed.started import distribution_of_program
from consist_es.identity.text.source import load_source
from tests.support.api import ROOT
from tests.support.installed import FOLDER, install

ONE = "def rate():\n    return 1\n"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder of packages that nothing is in."""
    folder = tmp_path / "lib" / "python3.11" / "site-packages"
    folder.mkdir(parents=True)
    return folder


def own(path: Path, *, of: Path | None = None, ignored: tuple[str, ...] = ()) -> bool:
    with counting("" if of is None else str(of), ignored):
        return is_first_party(str(path))


# ---------------------------------------------------------------- what is the project's own


def test_own_is_what_was_installed_from_a_folder_and_what_belongs_to_nothing(site: Path) -> None:
    install(site, "mine", "1", {"mine/__init__.py": ONE, "mine/data.csv": "1\n"}, url=FOLDER)
    install(site, "theirs", "1", {"theirs/__init__.py": ONE})
    (site / "copied.py").write_text(ONE)
    assert own(site / "mine" / "__init__.py")
    assert own(site / "mine" / "data.csv")
    assert own(site / "copied.py")
    assert not own(site / "theirs" / "__init__.py")
    assert not own(site / "nowhere.py")


def test_the_distribution_of_the_step_is_own_for_that_step_alone(site: Path) -> None:
    install(site, "theirs", "1", {"theirs/__init__.py": ONE, "theirs/core.py": ONE})
    install(site, "others", "1", {"others.py": ONE})
    step, core = site / "theirs" / "__init__.py", site / "theirs" / "core.py"
    assert own(core, of=step)
    assert not own(site / "others.py", of=step)
    assert not own(core)


def test_what_is_ignored_is_not_own_and_is_no_part(site: Path) -> None:
    install(site, "mine", "1", {"mine.py": ONE}, url=FOLDER)
    assert not own(site / "mine.py", ignored=("mine",))
    with counting("", ("mine",)):
        assert package_part(str(site / "mine.py")) == {}


def test_a_new_installation_is_noticed(site: Path) -> None:
    install(site, "area", "1", {"area.py": ONE})
    assert not own(site / "area.py")
    install(site, "area", "2", {"area.py": ONE}, url=FOLDER)
    assert own(site / "area.py")


def test_a_large_distribution_counts_as_a_whole(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consist_es.identity.installed.packages.FOLLOWED", len(ONE))
    install(site, "large", "1", {"large/__init__.py": ONE, "large/core.py": ONE}, url=FOLDER)
    install(site, "tested", "1", {"tested/__init__.py": ONE, "tested/tests/a.py": ONE}, url=FOLDER)
    assert own(site / "tested" / "__init__.py")
    large = site / "large" / "core.py"
    assert not own(large)
    with counting():
        before = package_part(str(large))
    assert list(before) == ["package large"]
    install(site, "large", "1", {"large/__init__.py": ONE, "large/core.py": ONE + ONE}, url=FOLDER)
    with counting():
        assert package_part(str(large)) != before


def test_links_to_checkouts_are_own_and_links_to_a_store_of_files_are_not(site: Path, tmp_path: Path) -> None:
    source = tmp_path / "src"
    for name in ("package", "other"):
        (source / name).mkdir(parents=True)
        (source / name / "__init__.py").write_text(ONE)
    (source / "alone.py").write_text(ONE)
    install(site, "package", "1", {})
    install(site, "alone", "1", {})
    (site / "package").symlink_to(source / "package")
    (site / "alone.py").symlink_to(source / "alone.py")
    install(site, "stored", "1", {"stored/core.py": ONE})
    (site / "stored" / "__init__.py").symlink_to(source / "other" / "__init__.py")
    for name in ("package", "alone", "stored"):
        record = site / f"{name}-1.dist-info" / "RECORD"
        record.write_text("package/__init__.py,,\nalone.py,,\nstored/__init__.py,,\n")
    assert own(site / "package" / "__init__.py")
    assert own(site / "alone.py")
    assert not own(site / "stored" / "__init__.py")
    whole = tmp_path / "elsewhere" / "site-packages"
    whole.parent.mkdir()
    whole.symlink_to(site)
    assert not own(whole / "stored" / "__init__.py")


def test_each_file_of_a_namespace_is_its_own_distributions(site: Path) -> None:
    install(site, "space_mine", "1", {"space/mine/__init__.py": ONE}, url=FOLDER)
    install(site, "space_theirs", "1", {"space/theirs/__init__.py": ONE})
    (site / "space" / "copied.py").write_text(ONE)
    assert own(site / "space" / "mine" / "__init__.py")
    assert not own(site / "space" / "theirs" / "__init__.py")
    assert own(site / "space" / "copied.py")


def test_python_and_this_library_are_never_own() -> None:
    standard = Path(ast.__file__)
    archive = standard.parent.parent / f"python{sys.version_info[0]}{sys.version_info[1]}.zip" / "ast.py"
    assert not own(standard)
    assert not own(archive)
    assert not own(ROOT / "consist_es" / "plain.py")
    assert own(Path(__file__))


def test_an_egg_is_a_folder_of_packages_of_its_own(site: Path) -> None:
    egg = site / "area-1-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "area.py").write_text(ONE)
    assert spot_of(str(egg / "area.py")) == (egg.as_posix(), "area.py")
    assert spot_of(str(site)) is None
    assert spot_of("model.py") is None


# ---------------------------------------------------------------- distributions


def test_conda_says_of_its_packages_that_they_came_from_a_folder(site: Path) -> None:
    install(site, "area", "1", {"area.py": ONE}, url=FOLDER)
    (site / "area-1.dist-info" / "INSTALLER").write_text("conda\n")
    assert not Distribution(site / "area-1.dist-info").own
    (site / "area-1.dist-info" / "INSTALLER").write_text("pip\n")
    assert Distribution(site / "area-1.dist-info").own
    for broken in ("{", "[]", "3"):
        (site / "area-1.dist-info" / "direct_url.json").write_text(broken)
        assert not Distribution(site / "area-1.dist-info").own


def test_half_removed_distributions_have_a_name_and_no_version(site: Path) -> None:
    (site / "Half_Gone-1.dist-info").mkdir()
    half = Distribution(site / "Half_Gone-1.dist-info")
    assert (half.name, half.version, sorted(half.modules)) == ("half-gone", "unknown", ["half_gone"])
    assert not half.files
    assert normalised("A_b.-c") == "a-b-c"


def test_old_metadata_names_its_modules(site: Path) -> None:
    old = site / "Old_Name-1-py3.11.egg-info"
    old.mkdir()
    (old / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: old-name\nVersion: 0.9\n")
    (old / "top_level.txt").write_text("other\n")
    (site / "other").mkdir()
    (site / "other" / "__init__.py").write_text(ONE)
    refresh()
    found = distribution_of_file(str(site / "other" / "__init__.py"))
    assert found is not None
    assert (found.name, found.version) == ("old-name", "0.9")


def test_the_state_of_a_model_of_ones_own_is_its_content(site: Path) -> None:
    install(site, "mine", "1", {"mine.py": ONE}, url=FOLDER)
    found = Distribution(site / "mine-1.dist-info")
    before = found.state
    (site / "mine.py").write_text(ONE + ONE)
    assert found.state != before
    assert before.startswith("1 b3:")
    install(site, "theirs", "1", {"theirs.py": ONE})
    assert Distribution(site / "theirs-1.dist-info").state == "1"


def test_the_state_of_an_editable_one_is_its_sources(site: Path, tmp_path: Path) -> None:
    source = tmp_path / "a checkout"
    (source / "mine").mkdir(parents=True)
    (source / "mine" / "core.py").write_text(ONE)
    (source / "venv").mkdir()
    for name in ("venv/pyvenv.cfg", "venv/x.py", "notes.txt"):
        (source / name).write_text("")
    install(site, "mine", "1", {}, url=f'{{"url": "{source.as_uri()}", "dir_info": {{"editable": true}}}}')
    found = Distribution(site / "mine-1.dist-info")
    before = found.state
    (source / "venv" / "x.py").write_text("1")
    (source / "notes.txt").write_text("1")
    assert found.state == before
    (source / "mine" / "core.py").write_text(ONE + ONE)
    assert found.state != before


def test_versions_are_of_other_peoples_packages(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "mine", "1", {"mine.py": ONE}, url=FOLDER)
    install(site, "theirs", "2", {"theirs.py": ONE})
    refresh()
    python = version_of("python")
    files = [str(site / "mine.py"), str(site / "theirs.py"), ast.__file__]
    assert versions(files) == {"python": python, "theirs": "2"}
    assert versions(files, ignored=["theirs"]) == {"python": python}
    assert versions([], ["mine"]) == {"mine": "not installed", "python": python}
    monkeypatch.syspath_prepend(str(site))
    assert versions([], ["mine"])["mine"].startswith("1 b3:")


# ---------------------------------------------------------------- programs


def test_a_program_is_from_the_distribution_that_installed_it_in_any_environment(site: Path, tmp_path: Path) -> None:
    scripts = tmp_path / "bin"
    scripts.mkdir()
    for name in ("model", "other", "python3.11"):
        (scripts / name).write_text("#!python\n")
    install(site, "asim", "1.3", {"asim/__init__.py": ONE})
    record = site / "asim-1.3.dist-info" / "RECORD"
    record.write_text(record.read_text() + "../../../bin/model,,\n")
    refresh()
    found = distribution_of_program(scripts / "model")
    assert found is not None
    assert (found.name, found.version) == ("asim", "1.3")
    assert distribution_of_program(scripts / "other") is None
    (tmp_path / "link").symlink_to(scripts / "model")
    linked = distribution_of_program(tmp_path / "link")
    assert linked is not None
    assert linked.name == "asim"
    assert distribution_of_program("no-such-program") is None
    assert distribution_of_program(tmp_path / "model") is None
    module = distribution_of_program(scripts / "python3.11", ["-m", "asim", "run"])
    assert module is not None
    assert module.name == "asim"
    assert distribution_of_program(scripts / "python3.11", ["-m"]) is None
    assert distribution_of_program(scripts / "python3.11", ["-m", "json.tool"]) is None


# ---------------------------------------------------------------- zip files, finders


def test_a_path_into_a_zip_file_stands_for_a_member(tmp_path: Path) -> None:
    archive = tmp_path / "lib.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("area/core.py", ONE)
        opened.writestr("bad.py", b"\xff\xfe\xff")
    assert member_of(str(archive / "area" / "core.py")) == ONE.encode()
    assert lines_of(str(archive / "area" / "core.py")) == ONE.splitlines(keepends=True)
    source = load_source(str(archive / "area" / "core.py"))
    assert source is not None
    assert own(archive / "area" / "core.py")
    assert lines_of(str(archive / "bad.py")) == []
    for nothing in ("area/gone.py", "area", "gone.zip/x.py"):
        assert member_of(str(archive / nothing)) is None
    (tmp_path / "no.zip").write_text("no")
    assert member_of(str(tmp_path / "no.zip" / "x.py")) is None
    assert member_of("x.py") is None
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("area/core.py", ONE + ONE)
    assert member_of(str(archive / "area" / "core.py")) == (ONE + ONE).encode()


class Broken:
    """A finder that raises."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        raise RuntimeError(name)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [object(), Broken, *sys.meta_path])


def test_a_finder_that_raises_finds_nothing(broken: None) -> None:
    assert Finding().place("no_such_module") is None


def test_finding_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("outer", "outer/space", "outer/space/inner"):
        (tmp_path / name).mkdir()
    (tmp_path / "outer" / "space" / "inner" / "__init__.py").write_text("raise SystemExit")
    (tmp_path / "outer" / "space" / "inner" / "leaf.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    place = Finding().place("outer.space.inner.leaf")
    assert place is not None
    assert place.file == str(tmp_path / "outer" / "space" / "inner" / "leaf.py")
    assert Finding().place("outer.space.inner.leaf.deeper") is None
    assert Finding().place("outer.gone") is None
    assert "outer" not in sys.modules


# ---------------------------------------------------------------- an installer

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "zmodel"
version = "VERSION"
[tool.setuptools]
packages = ["zmodel"]
"""
SCRIPT = """
from consist_es import Tracker, output_path
def step():
    import zmodel
    out = output_path("o", ext="txt")
    out.write_text(str(zmodel.rate()))
    return out
with Tracker("runs") as tracker:
    result = tracker.run(step, outputs=["o"])
    print(result.cache_hit, result.output.path.read_text())
"""


def play(folder: Path, site: Path) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})\n{SCRIPT}"],
        cwd=folder, env=env, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def pip(site: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-build-isolation"]
    subprocess.run([*command, "--no-deps", "--upgrade", "--target", str(site), *arguments], check=True, timeout=120)


def test_a_model_that_pip_installed_from_its_folder_counts_by_content(tmp_path: Path, site: Path) -> None:
    for needed in ("pip", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"needs {needed}")
    source, work = tmp_path / "source", tmp_path / "work"
    (source / "zmodel").mkdir(parents=True)
    work.mkdir()
    said = []
    for version, rate in (("1", "return 1"), ("1", "return 2"), ("2", "return 2  # still")):
        (source / "pyproject.toml").write_text(PROJECT.replace("VERSION", version))
        (source / "zmodel" / "__init__.py").write_text(f"def rate():\n    {rate}\n")
        shutil.rmtree(source / "build", ignore_errors=True)  # from which old files would be installed again
        pip(site, str(source))
        said += [play(work, site), play(work, site)]
    assert said == ["False 1", "True 1", "False 2", "True 2", "True 2", "True 2"]
