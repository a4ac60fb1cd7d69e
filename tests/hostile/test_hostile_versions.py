"""The dependencies: each with a lower bound that is the one that tools/hostile/versions.py tries (S12)."""

import re
import runpy
import tomllib

import pytest

from tests.support.api import ROOT

requirements = runpy.run_path(str(ROOT / "tools" / "hostile" / "versions.py"))["requirements"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_has_a_lower_bound_that_can_be_tried() -> None:
    oldest = requirements("oldest")
    assert len(oldest) == len(PROJECT["dependencies"])
    assert [text for text in oldest if not re.fullmatch(r"[A-Za-z0-9-]+==\d[\w.]*", text)] == []
    assert requirements("newest") == PROJECT["dependencies"]


def test_the_page_has_the_versions_that_were_tried() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    tried = {which: dict(re.findall(r"([a-z0-9-]+) (\d[\d.]*\d)", line))
             for which, line in re.findall(r"^\| (oldest|newest) versions: ([^|]*)\|", page, re.MULTILINE)}  # fmt: skip
    oldest = dict(text.split("==") for text in requirements("oldest"))
    assert tried["oldest"].keys() == tried["newest"].keys() == oldest.keys()
    for name, version in oldest.items():
        assert numbers(version) == numbers(tried["oldest"][name])
        assert numbers(tried["oldest"][name]) <= numbers(tried["newest"][name])


def numbers(version: str) -> list[int]:
    """``1.0`` and ``1.0.0`` are the same version."""
    return [*map(int, version.split(".")), 0, 0][:3]


def test_the_library_needs_few_packages_at_run_time() -> None:
    names = {re.split(r"[<>=!~]", text)[0] for text in PROJECT["dependencies"]}
    assert names == {"blake3", "click", "msgspec", "pyarrow", "rich", "sqlite-utils"}


@pytest.mark.parametrize("extra", sorted(PROJECT["optional-dependencies"]))
def test_every_extra_has_lower_bounds(extra: str) -> None:
    loose = [text for text in PROJECT["optional-dependencies"][extra] if ">=" not in text and "[" not in text]
    stubs = [text for text in loose if "stubs" in text or text.startswith("types-")]
    assert loose == stubs
