"""A case: a small project, two calls, and the verdict that the second one must have."""

import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Change = Callable[[Path], object]
"""What happens to the project's folder between two processes."""
ELSEWHERE = "elsewhere"
"""Where a project lies, beside its first folder, after it was moved."""

STEP = "def step(config=None):\n    ran()\n"
MAIN = "from model import step\ncall(step)\n"


@dataclass(frozen=True)
class Case:
    """One attack."""

    name: str
    group: str
    verdict: str
    """``hit`` where nothing that a step can tell has changed, ``miss`` where something has."""
    main: str
    """``main.py``, which makes the calls; the last one counts. Run twice where there is a `change`."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    change: Change | None = None
    again: str | None = None
    """``again.py``, run by the second process in its place."""
    needs: frozenset[str] = frozenset()
    """What a tool must be able to say: inputs, outputs, declared (outputs known beforehand), depends, loaded, keys,
    runtime (changes within the process), fast, blocks (a ``with`` block as a step)."""
    packages: frozenset[str] = frozenset()
    first_fails: bool = False
    """The first call is not meant to end well."""
    moved: bool = False
    """The change leaves the project in the folder `ELSEWHERE`, and the second process runs there."""
    good: str | None = None
    """What the output file must hold in the end; a hit with it is right even where a miss would be too."""


class Group:
    """Collects the cases of one kind."""

    def __init__(self, name: str, *needs: str) -> None:
        self.name, self.needs = name, needs
        self.cases: list[Case] = []

    def add(
        self,
        name: str,
        verdict: str,
        main: str = MAIN,
        *,
        files: Mapping[str, str | bytes] | None = None,
        change: Change | Mapping[str, str | bytes | None] | None = None,
        needs: str = "",
        packages: str = "",
        **rest: object,
    ) -> None:
        """Add a case; texts may be indented, and ``model.py`` is a plain step unless `files` says otherwise."""
        given = {"model.py": STEP, **(files or {})}
        written = {path: dedented(text) for path, text in given.items()}
        if isinstance(rest.get("again"), str):
            rest["again"] = dedented(str(rest["again"]))
        self.cases.append(
            Case(
                name,
                self.name,
                verdict,
                str(dedented(main)),
                written,
                edit(change) if isinstance(change, Mapping) else change,
                needs=frozenset({*self.needs, *needs.split()}),
                packages=frozenset(packages.split()),
                **rest,  # type: ignore[arg-type]
            )
        )

    def values(self, name: str, verdict: str, one: str, other: str, before: str = "", packages: str = "") -> None:
        """Two calls of one step, with two config values that are given as expressions."""
        calls = f'call(step, config={{"v": {one}}})\ncall(step, config={{"v": {other}}})\n'
        self.add(name, verdict, f"from model import step\n{before.lstrip()}\n{calls}", packages=packages)

    def edits(
        self, name: str, verdict: str, one: str, other: str, *, file: str = "model.py", needs: str = "", **more: str
    ) -> None:
        """One file edited between two processes; `more` are modules by name."""
        files = {f"{name}.py": text for name, text in more.items()}
        self.add(name, verdict, files={**files, file: one}, change={file: other}, needs=needs)


def dedented(text: str | bytes) -> str | bytes:
    """The text without the indentation that it has in the case's own source; bytes as they are."""
    return textwrap.dedent(text).lstrip("\n") if isinstance(text, str) else text


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files below `root`; a name that ends in a slash is an empty folder."""
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def edit(files: Mapping[str, str | bytes | None]) -> Change:
    """Write these files anew; None removes one."""

    def change(root: Path) -> None:
        for name, content in files.items():
            if content is None:
                (root / name).unlink()
        write(root, {name: dedented(content) for name, content in files.items() if content is not None})

    return change


def keep_times(path: Path, content: bytes) -> None:
    """Overwrite a file and set its old times again."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
