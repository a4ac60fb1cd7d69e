"""The built page is that of the sources in `web/`. The first test needs no Node; so nothing stale is ever committed."""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from consist_es.report.page import built
from tests.support.api import ROOT

WEB = ROOT / "web"
BUILT = ROOT / "consist_es" / "report" / "built"
NAMES = ("report.js", "report.css", "THIRD-PARTY.txt")


def digest_of_sources() -> str:
    """As `web/build.mjs` makes it: name, size and bytes of each source."""
    names = [
        "build.mjs",
        "package-lock.json",
        "package.json",
        *(f"src/{path.name}" for path in (WEB / "src").iterdir()),
    ]
    found = hashlib.sha256()
    for name in sorted(names):
        text = (WEB / name).read_bytes()
        found.update(f"{name} {len(text)}\n".encode() + text)
    return found.hexdigest()


def test_the_built_page_is_of_these_sources() -> None:
    first = built("report.js").partition("\n")[0]
    assert digest_of_sources() in first, "stale: npm ci && npm run build, in web/"


@pytest.mark.skipif(not (WEB / "node_modules" / "esbuild").is_dir(), reason="no npm ci was run in web/")
def test_building_again_gives_the_same_bytes(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None
    subprocess.run([node, WEB / "build.mjs", tmp_path], cwd=WEB, check=True, stdin=subprocess.DEVNULL)
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (BUILT / name).read_bytes()


def test_the_licences_of_what_is_bundled_are_shipped() -> None:
    text = built("THIRD-PARTY.txt")
    assert re.findall(r"^(\S+) [\d.]+ \(MIT\)$", text, re.MULTILINE) == [
        "@dagrejs/dagre",
        "@dagrejs/graphlib",
        "preact",
    ]
    assert text.count("Permission is hereby granted") == 3


def test_versions_are_pinned_and_no_registry_is_named() -> None:
    package = (WEB / "package.json").read_text(encoding="utf-8")
    assert not re.search(r'"[\^~*]', package)
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in lock
    assert lock.count('"integrity"') >= 5
