"""What a parameter receives by its annotation, each looked at by itself."""

import ast
import functools
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import ExecutionOptions, Tracker
from tests.support.api import ROOT

PATH, TEXT, ARTIFACT, FRAME, TABLE = "PosixPath", "str", "Artifact", "DataFrame", "Table"

HEAD = """
import functools, os, pathlib, typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, List, NewType, Optional, TypeVar, Union
from consist_es import Artifact, RunContext
import consist_es as consist
if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import Table
    from pathlib import Path as P, PurePosixPath
    from geopandas import GeoDataFrame
    from matplotlib.path import Path as Outline
    from consist import Artifact as Theirs
    import unknown.package as up
ZonePath = NewType("ZonePath", Path)
Deeper = NewType("Deeper", ZonePath)
T = TypeVar("T", bound=Path)
U = TypeVar("U", str, Path)
V = TypeVar("V")
AnyPath = Union[Path, str]
"""
ANNOTATIONS = {
    "Path": PATH,
    "pathlib.Path": PATH,
    "pathlib.PurePosixPath": PATH,
    "os.PathLike": PATH,
    "os.PathLike[str]": PATH,
    "'os.PathLike[str]'": PATH,
    "'Path'": PATH,
    "P": PATH,
    "PurePosixPath": PATH,
    "Optional[P]": PATH,
    "Optional[Path]": PATH,
    "Optional['Path']": PATH,
    "Path | None": PATH,
    "None | Path": PATH,
    "'Path | None'": PATH,
    "P | GeoDataFrame": PATH,
    "GeoDataFrame | P": PATH,
    "Annotated[Path, 'csv']": PATH,
    "Annotated['P', 'csv']": PATH,
    "Annotated[up.Frame, Path]": FRAME,
    "Annotated[str, Path]": TEXT,
    "Union[str, P]": TEXT,
    "AnyPath": PATH,
    "Final[Path]": PATH,
    "ZonePath": PATH,
    "Deeper": PATH,
    "T": PATH,
    "U": TEXT,
    "V": FRAME,
    "str": TEXT,
    "Optional[str]": TEXT,
    "Artifact": ARTIFACT,
    "consist.Artifact": ARTIFACT,
    "Theirs": ARTIFACT,
    "Optional[Theirs]": ARTIFACT,
    "pa.Table": TABLE,
    "Table": TABLE,
    "Optional[Table]": TABLE,
    "GeoDataFrame": FRAME,
    "up.Table": FRAME,
    "Outline": FRAME,
    "List[Path]": FRAME,
    "list[P]": FRAME,
    "typing.Literal['Path']": FRAME,
    "up.Generic[Path]": FRAME,
    "not a name": FRAME,
    "Path[": FRAME,
    "Any": FRAME,
}


MAIN = """
import json, warnings
from consist_es import Tracker
warnings.simplefilter("ignore")
SEEN, found = [], {}
with Tracker(run_dir="runs", db_path="p.db", sync="os", observe="off") as tracker:
    for number, step in STEPS.items():
        tracker.run(step, inputs={"z": "z.csv"}, config={"number": number}, name=f"step {number}")
        found[number] = SEEN[-1]
print(json.dumps(found))
"""


def script(here: Path, header: str, annotations: dict[str, str]) -> dict[str, str]:
    """Annotation -> name of the type that a step of a module with this header received."""
    lines = [header, HEAD, "STEPS = {}"]
    for number, text in enumerate(annotations):
        define = f"    def step(z: {text}, other: GeoDataFrame = None): SEEN.append(type(z).__name__)"
        if _compiles(define.strip()):
            caught = ["except (NameError, TypeError):", "    pass", "else:", f"    STEPS[{number}] = step"]
            lines += ["try:", define, *caught]
    (here / "z.csv").write_text("a\n1\n")
    (here / "main.py").write_text("\n".join([*lines, MAIN]))
    done = subprocess.run(
        [sys.executable, "main.py"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    texts = list(annotations)
    return {texts[int(number)]: name for number, name in json.loads(done.stdout).items()}


def _compiles(line: str) -> bool:
    try:
        compile(line, "line", "exec")
    except SyntaxError:
        return False
    return True


def test_each_annotation_is_looked_at_alone(here: Path) -> None:
    pytest.importorskip("pandas")
    found = script(here, "from __future__ import annotations", ANNOTATIONS)
    assert {text: name for text, name in found.items() if name != ANNOTATIONS[text]} == {}
    assert len(found) == len(ANNOTATIONS) - 2  # two are no Python at all


def test_annotations_that_are_evaluated_and_texts_of_others(here: Path) -> None:
    pytest.importorskip("pandas")
    header = "GeoDataFrame = 'GeoDataFrame'"
    found = script(here, header, ANNOTATIONS | {repr(text): wanted for text, wanted in ANNOTATIONS.items()})
    wanted = {text: ANNOTATIONS.get(text) or ANNOTATIONS[ast.literal_eval(text)] for text in found}
    assert {text: name for text, name in found.items() if name != wanted[text]} == {}
    assert len(found) > 60


def test_partials_methods_callable_objects_and_closures(tracker: Tracker, here: Path) -> None:
    (here / "z.csv").write_text("a\n1\n")
    seen: list[str] = []

    class Model:
        def step(self, z: "os.PathLike[str]", other: "Unknown" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
            seen.append(type(z).__name__)

        def __call__(self, z: "Path | None", other: "Unknown" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
            seen.append(type(z).__name__)

    local = Path

    def closed(z: "local", other: "Unknown" = None) -> None:  # type: ignore[name-defined, valid-type]  # noqa: F821
        seen.append(type(z).__name__ if issubclass(local, Path) else "")

    def with_rest(rest: int, z: "Path", other: "Unknown" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
        seen.append(type(z).__name__)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps: list[Callable[..., None]] = [Model().step, Model(), closed, functools.partial(with_rest, 1)]
        for number, step in enumerate(steps):
            tracker.run(step, inputs={"z": "z.csv"}, name=f"step {number}")
    assert seen == [PATH] * 4


def test_the_context_is_found_by_an_annotation_of_any_form(tracker: Tracker) -> None:
    seen: list[str] = []

    def step(run: "consist.RunContext | None", other: "Unknown" = None) -> None:  # type: ignore[name-defined]  # noqa: F821
        seen.append(type(run).__name__)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker.run(step, execution_options=ExecutionOptions(inject_context=True))
    assert seen == ["RunContext"]
