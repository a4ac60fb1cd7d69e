"""What is shipped: one top-level package, its views inside it, and nothing that gets in a user's way."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
USER = ROOT / "tests" / "house" / "typed_user.py"
IN_SDIST = {
    "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md",
    "consist_es", "consist_es.egg-info", "docs", "projections", "pyproject.toml", "setup.cfg", "tests", "tools", "web",
}  # fmt: skip


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the checkout and give its output; its errors are the test's."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def source_modules() -> set[str]:
    """Every module of the checkout, by the path it must have in the wheel."""
    linked = ROOT / "consist_es" / "projections"
    own = [path for path in (ROOT / "consist_es").rglob("*.py") if linked not in path.parents]
    paths = {path.relative_to(ROOT).as_posix() for path in own}
    return paths | {f"consist_es/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "projections").rglob("*.py")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from that sdist; from a copy, so that the checkout stays clean."""
    needed = "setuptools 80 or newer is needed: run python3 tools/dev.py test"
    assert int(importlib.metadata.version("setuptools").partition(".")[0]) >= 80, needed
    folder = tmp_path_factory.mktemp("packaging")
    ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "node_modules")
    shutil.copytree(ROOT, folder / "copy", symlinks=True, ignore=ignored)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", ".", cwd=folder / "copy")
    return folder / "dist"


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what installing the wheel puts into site-packages."""
    target = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--target", target)
    run(sys.executable, "-m", "pip", "install", *options, wheel, cwd=target)
    return target


def test_the_views_lie_in_the_top_level_folder() -> None:
    package = importlib.import_module("consist_es.projections")
    assert package.__file__ is not None
    assert Path(package.__file__).resolve() == ROOT / "projections" / "__init__.py"


def test_every_package_is_listed() -> None:
    folders = {Path(path).parent.as_posix().replace("/", ".") for path in source_modules()}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders


def test_the_version_is_written_once_more_in_the_package() -> None:
    package = importlib.import_module("consist_es")
    assert package.__version__ == PROJECT["project"]["version"]


def test_the_changelog_has_a_section_for_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(PROJECT['project']['version'])}\b", changelog, re.MULTILINE)


def test_the_command_is_declared() -> None:
    assert PROJECT["project"]["scripts"] == {"consist-es": "consist_es.cli:main"}


def test_every_extra_that_a_driver_asks_for_installs_the_package() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "consist_es" / "artifacts").rglob("*.py")]
    asked = {match for source in sources for match in re.findall(r"\bneed\(\"(\w+)\", \"(\w+)\"", source)}
    extras = PROJECT["project"]["optional-dependencies"]
    given = {(re.split(r"[^\w-]", text)[0], extra) for extra, texts in extras.items() for text in texts}
    assert asked
    assert asked - given == set()


def test_ruff_checks_the_views_once() -> None:
    shown = run(sys.executable, "-m", "ruff", "check", "--show-files", ".", cwd=ROOT).splitlines()
    files = [Path(line).relative_to(ROOT).as_posix() for line in shown]
    assert files.count("projections/__init__.py") == 1
    assert not [file for file in files if file.startswith("consist_es/projections/")]


def test_the_wheel_holds_every_module_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {name for name in names if not name.partition("/")[0].endswith(".dist-info")}
    page = {f"consist_es/report/built/{name}" for name in ("report.js", "report.css", "THIRD-PARTY.txt")}
    page.add("consist_es/log/postgres/schema.sql")
    assert code == source_modules() | page | {"consist_es/__init__.pyi", "consist_es/py.typed"}
    (info,) = {name.partition("/")[0] for name in names - code}
    assert f"{info}/licenses/LICENSE" in names


def test_the_sdist_holds_no_link_and_no_surprise(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert [member.name for member in members if not (member.isfile() or member.isdir())] == []
    parts = [Path(member.name).parts for member in members]
    assert {part[1] for part in parts if len(part) > 1} - IN_SDIST == set()
    assert not [part for part in parts if part[1:3] == ("consist_es", "projections")]
    assert not [part for part in parts if "__pycache__" in part]


def test_an_installed_package_leaves_the_name_projections_to_the_user(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "projections").mkdir()
    (tmp_path / "projections" / "__init__.py").write_text("WHOSE = 'the user'\n")
    script = tmp_path / "model.py"
    script.write_text(
        f"import sys\nsys.path.insert(1, {str(installed)!r})\n"
        "import projections, consist_es, consist_es.projections\n"
        "print(projections.WHOSE, consist_es.__file__, consist_es.projections.__file__, sep='\\n')\n"
    )
    whose, package, views = run(sys.executable, script, cwd=tmp_path).splitlines()
    assert whose == "the user"
    assert Path(package) == installed / "consist_es" / "__init__.py"
    assert Path(views) == installed / "consist_es" / "projections" / "__init__.py"


def test_an_installation_adds_one_top_level_name(installed: Path) -> None:
    assert {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")} == {"consist_es", "bin"}


def test_a_type_checker_sees_what_the_installed_package_takes(installed: Path, tmp_path: Path) -> None:
    """By mypy alone; ``python3 tools/dev.py external types`` asks pyright as well."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    shutil.copytree(installed, site, dirs_exist_ok=True)
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    shutil.copy(USER, tmp_path / "model.py")
    options = ("--strict", "--config-file=", "--cache-dir=cache", "--python-executable", python)
    run(sys.executable, "-m", "mypy", *options, "model.py", cwd=tmp_path)
