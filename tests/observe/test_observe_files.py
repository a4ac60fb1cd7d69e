"""Files that a watched run reads, makes, looks for and lists."""

from __future__ import annotations

import builtins
import csv
import glob
import json
import linecache
import mmap
import os
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consist_es.artifacts import digest
from consist_es.observe.reads import Limits
from tests.support.observe import content, names, watched

Reader = Callable[[Path], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "d").mkdir(parents=True)
    (folder / "d/x.csv").write_text("a,b\n1,2\n")
    return folder


def write_all(folder: Path) -> None:
    """One table in every format that is read below."""
    import h5py  # type: ignore[import-untyped]
    import netCDF4

    table = pd.DataFrame({"a": [1, 2], "b": [3.0, 4.0]})
    table.to_csv(folder / "t.csv", index=False)
    table.to_parquet(folder / "t.parquet")
    table.to_feather(folder / "t.feather")
    table.to_json(folder / "t.json")
    table.to_hdf(folder / "t.h5", key="t")
    np.save(folder / "t.npy", np.arange(4))
    np.savez(folder / "t.npz", a=np.arange(4))
    np.savetxt(folder / "t.txt", np.arange(4))
    with h5py.File(folder / "t.hdf", "w") as file:
        file["a"] = [1, 2]
    with netCDF4.Dataset(folder / "t.nc", "w") as data:
        data.createDimension("x", 2)
    with sqlite3.connect(folder / "t.db") as database:
        database.execute("create table t (a)")
    database.close()
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        archive.writestr("a", "b")
    table.to_parquet(folder / "t.duck.parquet")


def query(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("select * from t").fetchall()
    database.close()


def opened(path: Path) -> object:
    with open(path, "rb") as file:
        return file.read()


def with_descriptor(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    os.read(fd, 10)
    os.close(fd)


def mapped(path: Path) -> None:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        view.read(1)


def read_netcdf(path: Path) -> None:
    import netCDF4

    netCDF4.Dataset(path).close()


def read_h5py(path: Path) -> None:
    import h5py

    with h5py.File(path) as file:
        file["a"][:]


def read_tables(path: Path) -> None:
    import tables  # type: ignore[import-untyped]

    tables.open_file(str(path)).close()


def arrow(path: Path) -> object:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def polars_scan(path: Path) -> object:
    pl = pytest.importorskip("polars")
    return pl.scan_parquet(path).collect()


def polars_csv(path: Path) -> object:
    pl = pytest.importorskip("polars")
    return pl.read_csv(path)


def duck(path: Path) -> object:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.sql(f"select * from '{path}'").fetchall()


def unpacked(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        return archive.read("a")


def read_rows(path: Path) -> list[list[str]]:
    with path.open() as file:
        return list(csv.reader(file))


def load_npz(path: Path) -> object:
    with np.load(path) as arrays:
        return arrays["a"]


PYTHON_READERS: dict[str, tuple[str, Reader]] = {
    "open": ("t.csv", opened),
    "descriptor": ("t.csv", with_descriptor),
    "pathlib": ("t.csv", lambda path: path.read_text()),
    "mmap": ("t.csv", mapped),
    "csv": ("t.csv", read_rows),
    "json": ("t.json", lambda path: json.loads(path.read_text())),
    "pandas csv": ("t.csv", pd.read_csv),
    "pandas pyarrow csv": ("t.csv", lambda path: pd.read_csv(path, engine="pyarrow")),
    "pandas feather": ("t.feather", pd.read_feather),
    "npy": ("t.npy", np.load),
    "npy mapped": ("t.npy", lambda path: np.load(path, mmap_mode="r")[0]),
    "npz": ("t.npz", load_npz),
    "loadtxt": ("t.txt", np.loadtxt),
    "fromfile": ("t.npy", np.fromfile),
    "sqlite": ("t.db", query),
    "zip": ("t.zip", unpacked),
    "copied": ("t.csv", lambda path: shutil.copyfile(path, path.parent / "copy.csv")),
    "linked": ("t.csv", lambda path: os.link(path, path.parent / "link.csv")),
}
COMPILED_READERS: dict[str, tuple[str, Reader]] = {
    "pyarrow": ("t.parquet", arrow),
    "pandas parquet": ("t.parquet", pd.read_parquet),
    "pandas hdf": ("t.h5", lambda path: pd.read_hdf(path, "t")),
    "polars scan": ("t.parquet", polars_scan),
    "polars csv": ("t.csv", polars_csv),
    "duckdb": ("t.duck.parquet", duck),
    "duckdb csv": ("t.csv", duck),
    "h5py": ("t.hdf", read_h5py),
    "tables": ("t.h5", read_tables),
    "netCDF4": ("t.nc", read_netcdf),
}


@pytest.mark.parametrize("name", [*PYTHON_READERS, *COMPILED_READERS])
def test_what_is_read_counts_by_its_content(name: str, root: Path) -> None:
    write_all(root / "d")
    file, reader = {**PYTHON_READERS, **COMPILED_READERS}[name]
    path = root / "d" / file
    reads = watched(root, lambda: reader(path))
    if reads.watched_by != "fanotify" and name in COMPILED_READERS:
        pytest.skip("this system tells nothing of compiled code")
    assert reads.files == {str(path): content(path)}
    assert reads.unsure == []


def test_a_relative_path_is_that_of_the_moment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "x.csv").write_text("other")
    monkeypatch.chdir(root)

    def run() -> None:
        opened(Path("x.csv"))
        os.chdir("d")
        opened(Path("x.csv"))
        os.chdir("..")

    assert names(watched(root, run), root) == ["d/x.csv", "x.csv"]


# ---------------------------------------------------------------- absent, looked for


def fails_to_open(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        path.read_text()


def fails_to_list(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        os.listdir(path)


ABSENT: dict[str, Reader] = {
    "open": fails_to_open,
    "os.path.exists": os.path.exists,
    "os.path.isfile": os.path.isfile,
    "Path.exists": Path.exists,
    "Path.is_dir": Path.is_dir,
    "os.access": lambda path: os.access(path, os.R_OK),
    "os.path.lexists": os.path.lexists,
    "listdir": fails_to_list,
}


@pytest.mark.parametrize("way", ABSENT)
def test_what_is_looked_for_and_absent_counts(way: str, root: Path) -> None:
    missing = root / "d" / "none.toml"
    assert watched(root, lambda: ABSENT[way](missing)).files == {str(missing): None}


def test_of_what_is_only_looked_for_its_kind_counts(root: Path) -> None:
    reads = watched(root, lambda: ((root / "d/x.csv").exists(), os.path.isdir(root / "d")))
    assert reads.files == {str(root / "d/x.csv"): "there:file", str(root / "d"): "there:folder"}


@pytest.mark.parametrize("look", [os.path.getsize, os.path.getmtime, lambda path: os.stat(path), Path.stat])
def test_who_asks_for_size_or_time_depends_on_the_content(look: Reader, root: Path) -> None:
    path = root / "d/x.csv"
    assert watched(root, lambda: look(path)).files == {str(path): content(path)}


def test_making_folders_and_resolving_paths_is_no_look(root: Path) -> None:
    def run() -> None:
        os.makedirs(root / "d", exist_ok=True)
        (root / "d").mkdir(exist_ok=True)
        (root / "d/x.csv").resolve()

    assert watched(root, run).files == {}


def test_the_functions_of_os_are_put_back(root: Path) -> None:
    def state() -> tuple[object, ...]:
        return os.stat, os.lstat, os.access, os.environ.encodekey, builtins.__import__

    before = state()
    during: list[tuple[object, ...]] = []
    watched(root, lambda: during.append(state()))
    assert state() == before
    assert all(one is not other for one, other in zip(before, during[0], strict=True))
    watched(root, lambda: shutil.copytree(root / "d", root / "e"))  # asks what `os.stat` supports


# ---------------------------------------------------------------- made within


def make(path: Path) -> int:
    return path.write_text("made")


def test_what_the_step_made_before_it_read_it_is_no_input(root: Path) -> None:
    path = root / "out.csv"
    reads = watched(root, lambda: (make(path), opened(path), path.exists(), list(root.iterdir())))
    assert (reads.files, reads.made, reads.unsure) == ({}, {}, [])


def test_an_old_output_that_is_overwritten_is_no_input(root: Path) -> None:
    path = root / "out.csv"
    make(path)
    reads = watched(root, lambda: (make(path), opened(path)))
    assert (reads.files, reads.unsure) == ({}, [])


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda path: pd.DataFrame({"a": [1]}).to_parquet(path), id="pyarrow"),
        pytest.param(lambda path: duck_write(path), id="duckdb"),
        pytest.param(lambda path: polars_write(path), id="polars"),
    ],
)
def test_an_output_of_compiled_code_is_no_input(write: Reader, root: Path) -> None:
    path = root / "out.parquet"
    for _ in range(2):  # made anew, and overwritten
        reads = watched(root, lambda: (write(path), opened(path)))
        assert (reads.files, reads.unsure) == ({}, [])


def duck_write(path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    duckdb.sql(f"copy (select 1 a) to '{path}' (format parquet)")


def polars_write(path: Path) -> None:
    pl = pytest.importorskip("polars")
    pl.DataFrame({"a": [1]}).write_parquet(path)


def test_a_file_made_under_another_name_and_moved_is_an_output(root: Path) -> None:
    path = root / "out.csv"

    def run() -> None:
        make(root / "out.tmp")
        os.replace(root / "out.tmp", path)
        opened(path)

    assert watched(root, run).files == {}
    reads = watched(root, run)
    assert (reads.files, reads.unsure) == ({}, [])


def test_a_file_that_was_looked_for_and_then_made_counts_as_it_was_left(root: Path) -> None:
    path = root / "cache.json"

    def run() -> None:
        if not path.exists():
            make(path)
        opened(path)

    reads = watched(root, run)
    assert (reads.files, reads.made, reads.unsure) == ({}, {str(path): content(path)}, [])
    assert watched(root, run).files == {str(path): content(path)}
    path.unlink()
    assert watched(root, run, outputs=[path]).made == {}


def test_a_log_that_is_appended_to_is_no_input(root: Path) -> None:
    for _ in range(2):
        reads = watched(root, lambda: (os.path.exists(root / "run.log"), append(root / "run.log")))
        assert (reads.files, reads.made, reads.unsure) == ({}, {}, [])


def test_removing_an_old_output_before_it_is_made_is_no_look(root: Path) -> None:
    path = root / "out.csv"
    make(path)

    def run() -> None:
        if path.exists():
            path.unlink()
        make(path)

    reads = watched(root, run)
    assert (reads.files, reads.unsure) == ({}, [])


# ---------------------------------------------------------------- never to be reused


def append(path: Path) -> int:
    with path.open("a") as file:
        return file.write("more")


def remove(path: Path) -> bool:
    path.unlink()
    return True


def replace(path: Path, other: Path) -> bool:
    os.replace(path, other)
    return True


def change_in_place(path: Path) -> None:
    with path.open("r+") as file:
        file.write("9")


def append_to_hdf(path: Path) -> None:
    import h5py

    with h5py.File(path, "a") as file:
        file["b"] = [1]


def insert(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("insert into t values (1)")
    database.close()


UNSURE: dict[str, tuple[str, Reader]] = {
    "read and rewritten": ("t.csv", lambda path: (opened(path), make(path))),
    "read and appended to": ("t.csv", lambda path: (opened(path), append(path))),
    "appended to and read": ("t.csv", lambda path: (append(path), opened(path))),
    "changed in place": ("t.csv", change_in_place),
    "read and removed": ("t.csv", lambda path: (opened(path), remove(path))),
    "read and replaced": (
        "t.csv",
        lambda path: (opened(path), make(path.parent / "n"), replace(path.parent / "n", path)),
    ),
    "moved away": ("t.csv", lambda path: os.rename(path, path.parent / "moved")),
    "hdf appended to": ("t.hdf", append_to_hdf),
    "database": ("t.db", insert),
}


@pytest.mark.parametrize("name", UNSURE)
def test_an_input_that_the_step_changed_makes_the_run_unsure(name: str, root: Path) -> None:
    write_all(root / "d")
    file, run = UNSURE[name]
    reads = watched(root, lambda: run(root / "d" / file))
    assert any(file in why for why in reads.unsure), reads


def test_what_the_kernel_alone_saw_rewritten_is_excused_by_an_output(root: Path) -> None:
    write_all(root / "d")
    path = root / "d/t.hdf"
    assert watched(root, lambda: append_to_hdf(path), outputs=[path]).unsure == []


def test_a_file_that_was_read_before_it_became_an_output_is_not_excused(root: Path) -> None:
    path = root / "d/x.csv"
    assert watched(root, lambda: (opened(path), make(path)), outputs=[path]).unsure


def test_a_file_that_another_process_changes_meanwhile_makes_the_run_unsure(root: Path) -> None:
    import subprocess

    path = root / "d/x.csv"
    reads = watched(root, lambda: (opened(path), subprocess.run(["sh", "-c", f"echo more >> {path}"], check=True)))
    assert any("x.csv" in why for why in reads.unsure)


def test_a_handle_that_was_open_before_counts_and_if_it_is_read_on_the_run_is_unsure(root: Path) -> None:
    path = root / "d/x.csv"
    with open(path, "rb", buffering=0) as file:
        reads = watched(root, lambda: None)
        assert (reads.files, reads.unsure) == ({str(path): content(path)}, [])
        assert watched(root, lambda: file.read(1)).unsure
        assert watched(root, file.close).unsure


def test_a_file_that_another_thread_digests_meanwhile_is_no_read_of_the_step(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, reading, go_on = root / "d/x.csv", threading.Event(), threading.Event()
    whole = digest._hash_descriptor

    def slowly(descriptor: int, size: int, tell: digest.Tell) -> tuple[str, int]:
        reading.set()
        assert go_on.wait(20)
        return whole(descriptor, size, tell)

    monkeypatch.setattr(digest, "_hash_descriptor", slowly)
    other = threading.Thread(target=digest.digest_path, args=[path])
    other.start()
    assert reading.wait(20)

    def step() -> None:
        go_on.set()
        other.join(20)

    reads = watched(root, step)
    assert (reads.files, reads.unsure) == ({}, [])


# ---------------------------------------------------------------- listings


@pytest.mark.parametrize(
    "way",
    [
        os.listdir,
        lambda folder: list(os.scandir(folder)),
        lambda folder: glob.glob(f"{folder}/*.csv"),
        lambda folder: list(folder.glob("*")),
        lambda folder: list(folder.iterdir()),
    ],
    ids=["listdir", "scandir", "glob", "Path.glob", "iterdir"],
)
def test_a_listing_counts_by_its_names(way: Reader, root: Path) -> None:
    folder = root / "d"
    before = watched(root, lambda: way(folder)).folders
    assert list(before) == [str(folder)]
    (folder / "x.csv").write_text("content does not matter")
    (folder / "__pycache__").mkdir()
    assert watched(root, lambda: way(folder)).folders == before
    (folder / "y.csv").write_text("a name does")
    assert watched(root, lambda: way(folder)).folders != before


def test_a_folder_that_compiled_code_lists_counts(root: Path) -> None:
    for name in ("a", "b"):
        pd.DataFrame({"a": [1]}).to_parquet(root / f"d/{name}.parquet")
    (root / "d/x.csv").unlink()
    reads = watched(root, lambda: arrow(root / "d"))
    assert reads.files == {str(root / "d"): content(root / "d")}


def test_what_the_step_made_or_removed_is_left_out_of_a_listing(root: Path) -> None:
    first = watched(root, lambda: (make(root / "d/out"), os.listdir(root / "d"))).folders[str(root / "d")]
    again = watched(root, lambda: (remove(root / "d/out"), os.listdir(root / "d"))).folders[str(root / "d")]
    assert first == again
    assert first.own == ["out"]


def test_a_listing_that_others_change_meanwhile_makes_the_run_unsure(root: Path) -> None:
    import subprocess

    reads = watched(root, lambda: (os.listdir(root / "d"), subprocess.run(["true"], check=True)))
    assert reads.unsure == []
    listed = watched(root, lambda: (os.listdir(root / "d"), subprocess.run(["rm", str(root / "d/x.csv")], check=True)))
    assert listed.folders  # a child removed it: the step's own work
    assert listed.unsure == []


# ---------------------------------------------------------------- stores and limits


def test_a_zarr_store_is_one_dependency(root: Path) -> None:
    import zarr

    store = root / "d/s.zarr"
    zarr.save(str(store), np.zeros((10, 10)))  # type: ignore[arg-type]
    reads = watched(root, lambda: zarr.load(str(store)))
    assert reads.files[str(store)] == content(store)
    assert all(value is None for path, value in reads.files.items() if path != str(store))
    assert reads.unsure == []


def test_above_the_limits_sizes_and_times_count_and_the_folder_is_named(root: Path) -> None:
    for count in range(6):
        (root / "d" / f"{count}.txt").write_text(str(count))

    def run() -> None:
        for count in range(6):
            opened(root / "d" / f"{count}.txt")

    reads = watched(root, run, limits=Limits(files=4))
    assert sorted(str(value)[:3] for value in reads.files.values()) == ["b3:", "b3:", "b3:", "b3:", "fas", "fas"]
    assert any(str(root / "d") in text for text in reads.unseen)
    large = watched(root, run, limits=Limits(free=2, share=0))
    assert sorted(str(value)[:3] for value in large.files.values()) == ["b3:", "b3:", "fas", "fas", "fas", "fas"]


# ---------------------------------------------------------------- what never counts


def test_declared_skipped_and_ignored_paths_do_not_count(root: Path) -> None:
    (root / "log").mkdir()
    for name in ("log/1", "views.db", "views.db-wal", "notes.tmp", "scratch"):
        make(root / name)
    (root / "alias.csv").symlink_to(root / "d/x.csv")

    def run() -> None:
        for name in ("log/1", "views.db", "views.db-wal", "notes.tmp", "d/x.csv", "alias.csv", "scratch"):
            opened(root / name)

    reads = watched(
        root,
        run,
        declared=(str(root / "d/x.csv"),),
        skipped=(str(root / "log"), str(root / "views.db")),
        ignored=("*.tmp",),
    )
    assert names(reads, root) == ["scratch"]


def test_a_link_in_a_root_that_leads_to_a_declared_folder_is_not_counted_twice(root: Path, tmp_path: Path) -> None:
    declared = tmp_path / "declared"
    declared.mkdir()
    make(declared / "x.csv")
    (root / "linked").symlink_to(declared)
    reads = watched(
        root, lambda: (os.listdir(root / "linked"), opened(root / "linked/x.csv")), declared=(str(declared),)
    )
    assert (reads.files, reads.folders) == ({}, {})


def test_files_of_python_packages_caches_and_the_system_do_not_count(root: Path, tmp_path: Path) -> None:
    package = Path(pd.__file__)
    others = [Path(os.__file__), package, Path("/etc/hostname"), Path("/proc/self/status")]

    def run() -> None:
        for path in others:
            opened(path)
        scratch = tmp_path / "scratch"
        make(scratch)
        opened(scratch)
        linecache.getlines(__file__)

    assert watched(root, run).files == {}


def test_a_file_that_compiled_code_read_and_a_child_took_away_makes_the_run_unsure(root: Path) -> None:
    import subprocess

    path = root / "d/x.csv"
    script = f"cat {path} > /dev/null; rm {path}"
    assert any("x.csv" in why for why in watched(root, lambda: subprocess.run(["sh", "-c", script], check=True)).unsure)


def test_a_pipe_is_no_file(root: Path) -> None:
    os.mkfifo(root / "pipe")
    fd = os.open(root / "pipe", os.O_RDWR)
    try:
        assert watched(root, lambda: os.close(os.open(root / "pipe", os.O_RDONLY | os.O_NONBLOCK))).files == {}
    finally:
        os.close(fd)


def test_a_link_that_leads_out_counts_once(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    pd.DataFrame({"a": [1]}).to_parquet(outside / "t.parquet")
    (root / "linked").symlink_to(outside)
    found = watched(root, lambda: arrow(root / "linked/t.parquet")).files
    also = watched(root, lambda: (opened(root / "linked/t.parquet"), arrow(root / "linked/t.parquet"))).files
    assert found == also == {str(root / "linked/t.parquet"): content(outside / "t.parquet")}


def test_a_link_to_a_file_that_compiled_code_reads_counts(root: Path, tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    (root / "t.parquet").symlink_to(tmp_path / "t.parquet")
    assert watched(root, lambda: arrow(root / "t.parquet")).files == {
        str(root / "t.parquet"): content(tmp_path / "t.parquet")
    }
