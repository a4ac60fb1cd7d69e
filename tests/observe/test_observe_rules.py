"""Which paths count, what later runs inherit, what a look-up asks, and that the user's calls are left alone."""

from __future__ import annotations

import builtins
import copy
import functools
import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.observe import hook, now
from consist_es.observe.keeping import inherited
from consist_es.observe.notes import Notes
from consist_es.observe.reads import Places
from consist_es.observe.scope import Scope
from tests.support.observe import ROOT, content, names, watch_of, watched


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    return tmp_path


def read(path: Path) -> str:
    with open(path) as file:
        return file.read()


# ---------------------------------------------------------------- which paths count

NAMES = st.sampled_from(["p", "q", "data", "log", "x.csv"])
FOLDERS = st.lists(NAMES, min_size=1, max_size=4).map(lambda parts: "/nowhere/" + "/".join(parts))


@settings(max_examples=200, deadline=None)
@given(st.sets(FOLDERS, max_size=3), st.sets(FOLDERS, max_size=3), FOLDERS)
def test_the_longest_folder_decides_and_of_equals_what_never_counts(
    roots: set[str], skipped: set[str], path: str
) -> None:
    scope = Scope(Places(roots=tuple(roots), skipped=tuple(skipped)))
    ruling = max([folder for folder in roots | skipped if (path + "/").startswith(folder + "/")], key=len, default=None)
    assert scope.counts(path) == (ruling is None or ruling not in skipped)


@pytest.mark.parametrize("temporary", [False, True])
def test_what_is_kept_of_code_is_no_read_of_a_step(
    temporary: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    scope = Scope(Places(roots=(str(tmp_path),)), temporary=temporary)
    assert scope.counts(str(tmp_path / "rates.csv"))
    assert not scope.counts(str(tmp_path / "consist-es" / "sources.sqlite"))


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/nowhere/p/x.csv", True),
        ("/elsewhere/x.csv", True),
        ("/usr/share/x.csv", False),
        ("/etc/x", False),
        (f"{tempfile.gettempdir()}/x", False),
        (f"{sys.prefix}/share/x", False),
        (os.path.expanduser("~/.cache/x"), False),
        ("/nowhere/p/.git/config", False),
        ("/nowhere/p/__pycache__/m.cpython-311.pyc", False),
        ("/nowhere/p/site-packages/x.csv", False),
        ("/nowhere/p/.ipynb_checkpoints/x.csv", False),
        ("/nowhere/p/.coverage.host.1", False),
        ("/nowhere/p/consist-es-observe-x1", False),
        ("/nowhere/p/consist-es-observe-x1/told", False),
        ("/nowhere/p/pkg.egg-info/SOURCES.txt", False),
        ("/nowhere/p/.venv/in/x.csv", True),
        ("/usr/local/model/x.csv", True),
    ],
)
def test_places_that_do_not_count_unless_a_root_lies_there(path: str, counts: bool) -> None:
    scope = Scope(Places(roots=("/nowhere/p", "/nowhere/p/.venv/in", "/usr/local/model")))
    assert scope.counts(path) is counts


@pytest.mark.parametrize("glob", ["*.tmp", "scratch", "scratch/*", "/nowhere/p/scratch/**", "p/*"])
def test_a_glob_exempts_by_name_by_relative_and_by_absolute_path(glob: str) -> None:
    scope = Scope(Places(roots=("/nowhere/p", "/nowhere"), ignored=(glob,)))
    assert not scope.counts("/nowhere/p/scratch/a.tmp")
    assert scope.counts("/nowhere/q/scratching")


# ---------------------------------------------------------------- what later runs inherit


@functools.lru_cache
def cached(path: Path) -> str:
    return read(path)


class Loader:
    def __init__(self) -> None:
        self.text = ""

    def load(self, path: Path) -> str:
        self.text = self.text or read(path)
        return self.text


STORE: dict[Path, str] = {}


def stored(path: Path) -> str:
    if path not in STORE:
        STORE[path] = read(path)
    return STORE[path]


def plain(path: Path) -> str:
    text = read(path)
    parts = {}
    parts["x"] = text
    return text


KEEPERS: list[tuple[str, Callable[[Path], object]]] = [
    ("cached", cached),
    ("Loader.load", Loader().load),
    ("stored", stored),
]


@pytest.mark.parametrize(("name", "function"), KEEPERS, ids=[name for name, _ in KEEPERS])
def test_a_run_that_may_call_a_function_that_kept_what_it_read_inherits_the_read(
    name: str, function: Callable[[Path], object], root: Path
) -> None:
    path = root / "a.txt"
    before = content(path)
    assert watched(root, lambda: function(path)).files == {str(path): before}
    assert watched(root, lambda: function(path)).files == {}
    path.write_text("the function goes on giving what was there before")
    assert inherited(lambda file, function: file == __file__ and function == name).files[str(path)] == before
    assert str(path) not in inherited(lambda file, function: function == "plain").files


@functools.lru_cache
def cached_table(path: Path) -> object:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def test_what_compiled_code_read_for_a_function_that_keeps_it_is_inherited_too(root: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = root / "t.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    assert watched(root, lambda: cached_table(path)).files == {str(path): content(path)}
    assert str(path) in inherited(lambda file, function: function == "cached_table").files


def test_a_function_that_keeps_nothing_leaves_nothing(root: Path) -> None:
    watched(root, lambda: plain(root / "b.txt"))
    assert str(root / "b.txt") not in inherited(lambda file, function: function in ("plain", "read")).files


LISTED: dict[str, object] = {}


def listing(folder: Path) -> None:
    LISTED["names"] = os.listdir(folder)


def looking(folder: Path) -> None:
    LISTED["there"] = (folder / "none").exists()


def asking(folder: Path) -> None:
    LISTED["rate"] = os.environ.get("CONSIST_ES_TEST_RATE", folder.name)


def test_listings_looks_and_variables_are_inherited_too(root: Path) -> None:
    for function in (listing, looking, asking):
        watched(root, functools.partial(function, root))
    assert str(root) in inherited(lambda _file, function: function == "listing").folders
    assert inherited(lambda _file, function: function == "looking").files[str(root / "none")] is None
    assert "CONSIST_ES_TEST_RATE" in inherited(lambda _file, function: function == "asking").variables


def test_a_declared_file_is_inherited_by_runs_that_do_not_declare_it(root: Path) -> None:
    path, own = root / "b.txt", str(root / "own.txt")
    declared: dict[str, Any] = {"declared": (str(path), own), "inputs": ((str(path), own),)}
    assert watched(root, functools.partial(stored, path), **declared).files == {}
    assert inherited(lambda _file, function: function == "stored").files[own] == content(path), "the copy is staged"


# ---------------------------------------------------------------- what a look-up asks


def test_what_a_look_up_finds_is_what_was_recorded_until_it_changes(root: Path) -> None:
    scope = Scope(Places(roots=(str(root),)))

    def run() -> None:
        read(root / "a.txt")
        (root / "b.txt").exists()
        (root / "none").exists()
        os.listdir(root)
        (root / "out").exists() or (root / "out").write_text("made")

    reads = watched(root, run)
    listing = reads.folders[str(root)]

    def same() -> bool:
        return (
            all(now.file_now(path, value) == value for path, value in reads.files.items())
            and all(now.made_now(path, value) for path, value in reads.made.items())
            and now.listing_now(str(root), listing, scope) == listing.names
        )

    assert list(reads.made) == [str(root / "out")]
    assert same()
    (root / "b.txt").write_text("only looked for")
    assert same()
    (root / "out").unlink()
    assert same()
    for path, text in [(root / "out", "edited"), (root / "none", ""), (root / "a.txt", "changed")]:
        before = path.read_text() if path.exists() else None
        path.write_text(text)
        assert not same(), path
        path.unlink()
        if before is not None:
            path.write_text(before)
        assert same(), path
    (root / "b.txt").unlink()
    assert not same()


def test_a_file_that_cannot_be_hashed_is_not_the_recorded_one(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert now.file_now(str(root / "pipe"), "b3:0") == now.UNREADABLE
    assert now.file_now(str(root / "a.txt"), "fast:0") != "fast:0"
    assert now.module_now(str(root / "none.py")) is None


# ---------------------------------------------------------------- the user's calls are left alone


def test_a_fault_of_ours_is_a_doubt_and_never_the_users_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("broken")

    for name in ("opened", "looked", "variable"):
        monkeypatch.setattr(Notes, name, broken)
    reads = watched(root, lambda: (read(root / "a.txt"), os.path.exists(root), os.environ.get("HOME")))
    assert len([why for why in reads.unsure if "broken" in why]) == 3


def test_errors_of_the_users_calls_come_through(root: Path) -> None:
    def run() -> None:
        with pytest.raises(FileNotFoundError):
            os.stat(root / "none")
        with pytest.raises(KeyError):
            os.environ["OBSERVED_NO_SUCH"]
        with pytest.raises(TypeError):
            os.environ.get(1)  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="null"):
            os.stat("a\0b")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("observed_no_such")

    assert watched(root, run).unsure == []


def test_a_begin_or_an_end_that_comes_twice_or_is_interrupted_is_safe(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watch_of(root)
    watch.begin()
    watch.begin()
    read(root / "a.txt")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("consist_es.observe.settle.module_digests", interrupt)
        with pytest.raises(KeyboardInterrupt):
            watch.end()
    assert not hook.is_open()
    assert os.stat.__name__ == "stat"
    assert not hasattr(os.stat, "__wrapped__")
    assert names(watch.end(), root) == ["a.txt"]
    half = watch_of(root)
    with monkeypatch.context() as context:
        context.setattr("consist_es.observe.hook.add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            half.begin()
    assert half.end().unsure
    assert not hasattr(os.stat, "__wrapped__")


def test_what_stands_in_can_be_copied_and_pickled(root: Path) -> None:
    def run() -> None:
        assert pickle.loads(pickle.dumps(os.stat)) is os.stat
        assert copy.deepcopy(os.environ) == os.environ
        assert os.stat in os.supports_follow_symlinks
        assert os.stat in os.supports_dir_fd

    watched(root, run)


def test_what_somebody_else_puts_in_place_meanwhile_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "__import__", builtins.__import__)
    monkeypatch.setattr(os, "stat", os.stat)

    def mine(path: object) -> None:
        raise AssertionError

    watched(root, lambda: setattr(os, "stat", mine))
    assert vars(os)["stat"] is mine


def test_a_warning_at_import_names_the_importing_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "observed_warns.py").write_text("import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n")
    monkeypatch.syspath_prepend(str(root))

    def run() -> None:
        import observed_warns  # type: ignore[import-not-found]  # noqa: F401

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        watched(root, run)
    assert [warning.filename for warning in caught] == [__file__]
    sys.modules.pop("observed_warns")


def test_many_threads_open_files_while_runs_begin_and_end(root: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(number: int) -> bool:
        path = root / f"{number}.txt"
        path.write_text("x")
        reads = watched(root, lambda: read(path))
        return str(path) in reads.files

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(60)))
    assert not hook.is_open()


def test_the_library_reads_on_its_own_account(root: Path) -> None:
    from consist_es.artifacts.digest import digest_path

    def run() -> None:
        digest_path(root / "a.txt")
        with hook.quiet(root / "b.txt"):
            read(root / "b.txt")

    assert watched(root, run).files == {}


@pytest.mark.parametrize("package", ["matplotlib", "numba", "joblib", "psutil", "tqdm"])
def test_what_libraries_do_by_themselves_is_no_read(package: str, root: Path, tmp_path: Path) -> None:
    pytest.importorskip(package)
    bodies = {
        "matplotlib": "import matplotlib.pyplot as p; p.switch_backend('Agg'); p.plot([1]); p.savefig('f.png')",
        "numba": "import numba; numba.njit(lambda x: x + 1)(1)",
        "joblib": "import joblib; joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(i) for i in range(4))",
        "psutil": "import psutil; psutil.virtual_memory(); psutil.Process().open_files()",
        "tqdm": "import os, tqdm; list(tqdm.tqdm(range(3), file=open(os.devnull, 'w')))",
    }
    script = tmp_path / "step.py"
    script.write_text(
        "import sys, os\nfrom pathlib import Path\n"
        "from tests.support.observe import watched\n"
        "def step():\n    " + bodies[package] + "\n"
        "if __name__ == '__main__':\n"
        "    root = Path('work'); root.mkdir(exist_ok=True); os.chdir(root)\n"
        "    reads = watched(Path.cwd(), step)\n"
        "    print(reads.files, reads.folders, reads.modules, reads.variables, reads.unsure)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
        timeout=240,
    )
    assert done.stdout.strip() == "{} {} {} {} []", done.stderr[-2000:]
