"""What the tests of `consist_es.observe` share: one watched run, and scripts that watch in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from blake3 import blake3

from consist_es.artifacts.digest import digest_path
from consist_es.observe.reads import Limits, Places, Reads
from consist_es.observe.watch import Watch

ROOT = Path(__file__).resolve().parents[2]


def value_digest(name: str, value: str | None) -> str | None:
    """Unkeyed digest of a variable's value."""
    return None if value is None else blake3(value.encode("utf-8", "surrogateescape")).hexdigest(length=8)


def first_party(file: str) -> bool:
    """These tests, and what they write; not what is installed."""
    return "site-packages" not in file and ("/tests/" in file or "/tmp/" in file) and "/consist_es/" not in file


def watched(
    root: Path,
    run: Callable[[], object],
    *,
    outputs: Iterable[str | Path] = (),
    limits: Limits | None = None,
    **places: Any,
) -> Reads:
    """What a function reads, with one root."""
    watch = watch_of(root, limits=limits, **places)
    watch.begin()
    try:
        run()
    finally:
        reads = watch.end(map(str, outputs))
    return reads


def watch_of(root: Path, *, limits: Limits | None = None, **places: Any) -> Watch:
    """A watch of one root. Tests that run at the same time read files of the checkout: those are left out."""
    ignored = (*places.pop("ignored", ()), f"{Path(__file__).resolve().parents[2]}/*")
    where = Places(roots=(str(root),), ignored=ignored, **places)
    return Watch(where, is_first_party=first_party, value_digest=value_digest, limits=limits)


def names(reads: Reads, root: Path) -> list[str]:
    """Files that were read, as seen from the root."""
    return sorted(os.path.relpath(path, root) for path in reads.files)


def content(path: Path) -> str:
    """Digest of a file or folder now."""
    return digest_path(path).value


SCRIPT = """
import json, os, sys
from pathlib import Path
from observe_support import content, names, watched
from consist_es.observe.reads import Reads
root = Path(os.environ["OBSERVED_ROOT"])
os.chdir(root)
results = {}
def note(name, reads):
    import msgspec
    results[name] = msgspec.to_builtins(reads)
"""


def in_process(root: Path, body: str, *, as_user: bool = False, **environment: str) -> dict[str, Any]:
    """What a script notes in a fresh process: results of `note(name, reads)`."""
    script = root.parent / f"script_{root.name}.py"
    script.write_text(SCRIPT + textwrap.dedent(body) + "\nPath(sys.argv[1]).write_text(json.dumps(results))\n")
    answer = root.parent / f"answer_{root.name}.json"
    surroundings = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OBSERVED_ROOT": str(root)}
    done = subprocess.run(
        [sys.executable, str(script), str(answer)],
        capture_output=True,
        text=True,
        env={**surroundings, **environment},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(answer.read_text())
    return found
