"""A real Chromium that opens reports, without a driver: what the page then holds is its answer."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.api import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome")
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--no-first-run", "--hide-scrollbars", "--enable-logging=stderr", "--lang=en",
)  # fmt: skip
_NOISE = re.compile(r"CONSOLE[^\n]*")
_SCRIPT = Path(__file__).with_name("visits.js")


class Visit(msgspec.Struct):
    """What the page held at one address."""

    address: str
    theme: str
    text: str
    tables: dict[str, list[list[str]]]
    titles: list[str]
    """What differs, of each pair."""
    sheet: str
    boxes: int
    problems: list[Any]
    """What axe-core found."""
    passes: int = 0


class Visits(msgspec.Struct):
    """What a page held at several addresses, one after another."""

    found: list[Visit]
    keys: list[str]
    """Sheet and address after a step was opened in the overview by keys, and after Escape."""
    resources: list[str]
    happened: list[str]
    """What hostile text did, if it did anything."""

    def at(self, address: str) -> Visit:
        """The visit of an address."""
        return next(visit for visit in self.found if visit.address == address)


def browser() -> str:
    """The browser's program. Without one the test is skipped, but never on CI."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    if os.environ.get("CI"):
        pytest.fail(f"no browser: one of {', '.join(NAMES)} is needed on CI (Debian: apt install chromium)")
    pytest.skip("no browser here (Debian: apt install chromium)")


def opened(
    file: Path, address: str = "", *, size: str = "1400,1000", shot: Path | None = None
) -> tuple[str, list[str]]:
    """The page as it is after a few seconds of its own time, and what it wrote to the console."""
    profile = file.parent / f".profile-{file.stem}"
    told = [f"--screenshot={shot}"] if shot else ["--dump-dom"]
    for _ in range(3):  # its own time may be over before a stream of the page was read
        text, noise = _asked(file, address, [f"--user-data-dir={profile}", f"--window-size={size}", *told])
        if shot or 'data-ready="1"' in text or "data-failed" in text:
            break
    return text, noise


def _asked(file: Path, address: str, options: list[str]) -> tuple[str, list[str]]:
    done = subprocess.run(
        [browser(), *_OPTIONS, *options, "--virtual-time-budget=60000", f"{file.resolve().as_uri()}{address}"],
        capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, _NOISE.findall(done.stderr)


def visited(file: Path, visits: Sequence[tuple[str, str, bool]]) -> Visits:
    """Visit addresses of a report, each with a theme (``light``, ``dark``), and if asked for with axe-core.

    The file is a copy without the policy that lets no other script run.
    """
    page, there = _POLICY.subn("", file.read_text(encoding="utf-8"))
    assert there == 1
    axe = AXE.read_text(encoding="utf-8") if any(axed for _, _, axed in visits) else ""
    script = _SCRIPT.read_text(encoding="utf-8").replace("[...VISITS]", json.dumps(list(visits)))
    copy = file.with_name(f"visited-{file.name}")
    copy.write_text(
        page.replace("</body>", f"<script>{axe}</script><script>{script}</script></body>"), encoding="utf-8"
    )
    text, noise = opened(copy)
    assert noise == []
    match = re.search(r'<pre id="visits">(.*?)</pre>', text, re.DOTALL)
    assert match is not None, text[-2000:]
    return msgspec.json.decode(html.unescape(match[1]), type=Visits)


def data_of(page: str) -> dict[str, Any]:
    """The data in a page that are not packed."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found
