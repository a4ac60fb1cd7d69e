"""What may take long shows how far it is: on the command line, and in trackers that are asked to."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from consist_es import Tracker
from consist_es.artifacts import digest
from consist_es.artifacts.digest import digest_path
from consist_es.project.project import Project
from consist_es.system import bar
from tests.support.cli import record, run

REAL = bar.Bar


class Recorder:
    """Stands for a bar."""

    made: ClassVar[list[tuple[str, str]]] = []
    calls: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, label: str, unit: str = "") -> None:
        self.made.append((label, unit))

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    monkeypatch.setattr(Recorder, "made", [])
    monkeypatch.setattr(Recorder, "calls", [])
    monkeypatch.setattr(bar, "Bar", Recorder)
    return Recorder


def test_views_that_are_built_on_opening_show_it(here: Path) -> None:
    log = record()
    assert Recorder.made == []  # a tracker that is not asked
    Path("provenance.db").unlink()
    run("scenarios")
    assert Recorder.made == [("Building the views", "")]
    assert Recorder.calls[-1] == (Project(Path("provenance.db"), read_only=True).log.head().seq,) * 2
    run("scenarios")
    assert len(Recorder.made) == 1
    Path("provenance.db").unlink()
    Tracker("runs", "provenance.db", progress=False).close()
    assert len(Recorder.made) == 1
    Path("provenance.db").unlink()
    Tracker("runs", "provenance.db", progress=True).close()
    assert len(Recorder.made) == 2
    assert log.exists()


@pytest.mark.parametrize("number", [1, 3])
def test_much_that_is_read_for_digests_shows_it(here: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(digest, "_LONG", 3000)
    monkeypatch.setattr(digest, "_MANY", 1000)
    monkeypatch.setattr(digest, "CHUNK", 700)
    folder = Path("much")
    folder.mkdir()
    for name in range(number):
        (folder / f"{name}.bin").write_bytes(b"x" * 4000)
    project = Project(Path("p.db"))
    before = digest_path(folder, cache=project.digests)
    assert Recorder.made == []
    project.show_bars()
    assert digest_path(folder, cache=project.digests) == before
    assert Recorder.made == [("Reading files", "bytes")]
    assert max(Recorder.calls) == (4000 * number,) * 2
    assert len(Recorder.calls) >= 6 * number
    (folder / "0.bin").write_bytes(b"x" * 100)
    if number == 1:
        digest_path(folder, cache=project.digests)
        assert len(Recorder.made) == 1
    project.close()


def test_a_bar_of_bytes_has_their_units(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for unit, words in (("bytes", "MB"), ("", "2000000/4000000")):
        written = Terminal()
        monkeypatch.setattr(bar, "PATIENCE", 0.0)
        monkeypatch.setattr(sys, "stderr", written)
        monkeypatch.setenv("COLUMNS", "120")
        with REAL("Reading files", unit) as shown:
            shown(2_000_000, 4_000_000)
        assert words in written.getvalue()
