"""Threads, tasks and processes of a watched run, and systems that tell less."""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from consist_es.observe.reads import Reads
from consist_es.system.child import processors
from tests.support.observe import ROOT, content, in_process, names, watch_of, watched

CHILD = """
import os
import consist_es
def variable(name):
    return os.environ.get(name)
def read(path):
    with open(path) as file:
        return file.read()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    return folder


def read(path: Path) -> str:
    with open(path) as file:
        return file.read()


def compiled(path: Path) -> object:
    import pyarrow.parquet as pq

    return pq.read_table(path)


# ---------------------------------------------------------------- threads and tasks


def in_pool(pool: Executor, *paths: Path) -> None:
    with pool:
        list(pool.map(read, paths))


def in_tasks(path: Path) -> None:
    async def main() -> None:
        await asyncio.gather(asyncio.to_thread(read, path), asyncio.sleep(0))

    asyncio.run(main())


def in_thread(path: Path) -> None:
    thread = threading.Thread(target=read, args=(path,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "run", [in_tasks, in_thread, lambda path: in_pool(ThreadPoolExecutor(2), path)], ids=["task", "thread", "pool"]
)
def test_what_threads_of_the_step_read_is_the_steps(run: Callable[[Path], None], root: Path) -> None:
    assert names(watched(root, lambda: run(root / "a.txt")), root) == ["a.txt"]


def test_two_runs_in_two_threads_each_get_their_own_and_a_third_thread_counts_for_both(tmp_path: Path) -> None:
    barrier, found = threading.Barrier(3), {}
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)

    def step(name: str) -> None:
        watch = watch_of(tmp_path / name)  # the kernel tells of a root of its own, and knows no threads
        watch.begin()
        barrier.wait()
        read(tmp_path / name / "x")
        os.environ.get(f"OBSERVED_BY_{name}")
        barrier.wait()
        barrier.wait()
        found[name] = watch.end()

    def stranger() -> None:
        barrier.wait()
        barrier.wait()
        os.environ.get("OBSERVED_BY_BOTH")
        barrier.wait()

    threads = [threading.Thread(target=step, args=(name,)) for name in "ab"] + [threading.Thread(target=stranger)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "ab":
        assert str(tmp_path / name / "x") in found[name].files
        assert found[name].variables.keys() == {"OBSERVED_BY_BOTH", f"OBSERVED_BY_{name}"}
    assert {path for reads in found.values() for path in reads.files} <= {str(tmp_path / n / "x") for n in "ab"}


def test_a_run_that_ended_gets_nothing_more(root: Path) -> None:
    watch = watch_of(root)
    watch.begin()
    reads = watch.end()
    read(root / "a.txt")
    assert watch.end() is reads
    assert reads == Reads(watched_by=reads.watched_by)


def test_a_run_may_end_in_another_thread_and_without_having_begun(root: Path) -> None:
    watch = watch_of(root)
    watch.begin()
    read(root / "a.txt")
    ended: list[Reads] = []
    thread = threading.Thread(target=lambda: ended.append(watch.end()))
    thread.start()
    thread.join()
    assert names(ended[0], root) == ["a.txt"]
    read(root / "b.txt")
    assert names(watched(root, lambda: read(root / "c.txt")), root) == ["c.txt"]
    assert watch_of(root).end().unsure


# ---------------------------------------------------------------- processes


def forked(path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        read(path)
        os._exit(0)
    os.waitpid(pid, 0)


def spawned(path: Path) -> None:
    in_pool(ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")), path)


PROCESSES: dict[str, Callable[[Path], object]] = {
    "fork": forked,
    "fork pool": lambda path: in_pool(ProcessPoolExecutor(2, mp_context=mp.get_context("fork")), path),
    "program": lambda path: subprocess.run(["cat", path], check=True, capture_output=True),
    "shell": lambda path: os.system(f"cat {path} > /dev/null"),
    "thread of a fork": lambda path: in_pool(ProcessPoolExecutor(1, mp_context=mp.get_context("fork")), path, path),
}


@pytest.mark.filterwarnings("ignore:This process")
@pytest.mark.parametrize("way", PROCESSES)
def test_what_children_of_the_step_read_is_the_steps(way: str, root: Path) -> None:
    reads = watched(root, lambda: PROCESSES[way](root / "a.txt"))
    assert reads.files == {str(root / "a.txt"): content(root / "a.txt")}
    assert reads.unsure == []


def test_large_work_of_the_library_within_a_step_starts_no_children(root: Path) -> None:
    free: list[int] = []
    watched(root, lambda: free.append(processors()))
    assert free == [1]


WITH_ROOT = """
    from pathlib import Path
    import multiprocessing as mp, os, subprocess, sys
    from concurrent.futures import ProcessPoolExecutor
    sys.path.insert(0, str(root))
"""


def test_forked_workers_tell_what_they_read_where_the_kernel_does_not(root: Path) -> None:
    found = in_process(
        root,
        REFUSED
        + WITH_ROOT
        + """
    import child
    def step():
        with ProcessPoolExecutor(1, mp_context=mp.get_context("fork")) as pool:
            list(pool.map(child.read, ["a.txt"]))
            pool.submit(child.variable, "OBSERVED_RATE").result()
    import child
    note("fork", watched(root, step))
    pool = ProcessPoolExecutor(1, mp_context=mp.get_context("fork"))
    pool.submit(child.read, "c.txt").result()
    for name in ("a.txt", "b.txt", "b.txt"):
        note(name + str(len(results)), watched(root, lambda: pool.submit(child.read, name).result()))
    """,
        CHILD_SOURCE=CHILD,
    )
    (fork, *workers) = found.values()
    assert list(fork["files"]) == [str(root / "a.txt")]
    assert "OBSERVED_RATE" in fork["variables"]
    assert [list(each["files"]) for each in workers] == [[str(root / f"{name}.txt")] for name in "abb"]


def test_spawned_workers_that_import_the_library_tell_what_they_read(root: Path) -> None:
    (root / "child.py").write_text(CHILD)
    found = in_process(
        root,
        REFUSED
        + WITH_ROOT
        + """
    import child
    if __name__ == "__main__":
        def step():
            with ProcessPoolExecutor(1, mp_context=mp.get_context("spawn")) as pool:
                list(pool.map(child.read, [str(root / "a.txt")]))
        note("spawn", watched(root, step))
    """,
    )
    assert str(root / "a.txt") in found["spawn"]["files"]
    assert any("cannot be seen" in text for text in found["spawn"]["unseen"])


def test_modules_of_a_child_program_count_by_their_source(root: Path) -> None:
    (root / "helper.py").write_text("RATE = 1\n")
    (root / "main.py").write_text("import helper\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}

    def run() -> None:
        subprocess.run([sys.executable, "main.py"], cwd=root, check=True, env=environment)

    for _ in range(2):  # compiled first, from its cache then
        assert names_of_modules(watched(root, run), root) == ["helper.py", "main.py"]


def names_of_modules(reads: Reads, root: Path) -> list[str]:
    assert [path for path in reads.files if path.endswith((".py", ".pyc"))] == []
    return sorted(os.path.relpath(path, root) for path in reads.modules)


def test_a_stranger_that_reads_the_same_folder_does_not_count(root: Path) -> None:
    stranger = subprocess.Popen(
        ["sh", "-c", f"while read line; do cat {root}/b.txt; echo done; done"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert stranger.stdin is not None
    assert stranger.stdout is not None
    # a process of ours would count: hand it over to another parent
    stranger.stdin.close()
    stranger.wait()
    stranger.stdout.close()
    ready, go = root.parent / "ready", root.parent / "go"
    script = f"touch {ready}; while [ ! -e {go} ]; do sleep 0.02; done; cat {root}/b.txt > {root.parent}/copied"
    subprocess.run(["sh", "-c", f"({script}) > /dev/null 2>&1 &"], check=True)

    def run() -> None:
        go.touch()
        while not (root.parent / "copied").exists() or not read(root.parent / "copied"):
            time.sleep(0.01)

    reads = watched(root, run)
    assert not [path for path in reads.files if path.startswith(str(root))]


def test_a_child_that_has_runs_of_its_own_tells_both(root: Path) -> None:
    inner = root.parent / "inner.py"
    inner.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
            from pathlib import Path
            import consist_es
            from tests.support.observe import names, watched
            root = Path({str(root)!r})
            reads = watched(root, lambda: (root / "a.txt").read_text())
            print(names(reads, root))
            """
        )
    )
    answer: list[str] = []

    def run() -> None:
        done = subprocess.run([sys.executable, str(inner)], check=True, capture_output=True, text=True)
        answer.append(done.stdout.strip())

    assert "a.txt" in names(watched(root, run), root)
    assert answer == ["['a.txt']"]


# ---------------------------------------------------------------- systems that tell less

REFUSED = """
    import consist_es.observe.fanotify as fanotify, consist_es.observe.inotify as inotify
    def refuse(self):
        raise OSError(1, "refused")
    fanotify.Fanotify.__init__ = refuse
    if os.environ.get("OBSERVED_REFUSED", "both") == "both":
        inotify.Inotify.__init__ = refuse
    if "CHILD_SOURCE" in os.environ:
        (root / "child.py").write_text(os.environ["CHILD_SOURCE"])
"""
COMPILED = """
    import pandas as pd, pyarrow.parquet as pq, pyarrow.csv, h5py, netCDF4, tables
    def step():
        pq.read_table("x.parquet"); h5py.File("x.h5").close(); netCDF4.Dataset("x.nc").close()
        pyarrow.csv.read_csv("x.csv"); pq.read_table("parts"); tables.open_file("x.h5").close()
        pq.write_table(pq.read_table("x.parquet"), "out.parquet"); h5py.File("new.h5", "w").close()
    before = h5py.File.__init__
    note("compiled", watched(root, step))
    assert h5py.File.__init__ is before
"""


def write_compiled(root: Path) -> None:
    import h5py  # type: ignore[import-untyped]
    import netCDF4

    pd.DataFrame({"a": [1]}).to_parquet(root / "x.parquet")
    (root / "x.csv").write_text("a\n1\n")
    h5py.File(root / "x.h5", "w").close()
    netCDF4.Dataset(root / "x.nc", "w").close()
    (root / "parts").mkdir()
    for name in "ab":
        pd.DataFrame({"a": [1]}).to_parquet(root / "parts" / f"{name}.parquet")


def test_where_the_kernel_tells_nothing_known_openers_are_noted(root: Path) -> None:
    write_compiled(root)
    found = in_process(root, REFUSED + COMPILED)["compiled"]
    assert found["watched_by"] == "wrappers"
    read_files = [os.path.relpath(path, root) for path in found["files"]]
    assert sorted(read_files) == ["parts", "x.csv", "x.h5", "x.nc", "x.parquet"]
    assert found["files"][str(root / "parts")] == content(root / "parts")
    assert found["unsure"] == []


def test_what_inotify_tells_warns_and_never_counts(root: Path) -> None:
    body = """
    import ctypes
    libc = ctypes.CDLL(None)
    note("it", watched(root, lambda: libc.close(libc.open(b"a.txt", 0))))
    """
    found = in_process(root, REFUSED + body, OBSERVED_REFUSED="fanotify")["it"]
    assert (found["watched_by"], found["files"]) == ("inotify", {})
    assert any("a.txt" in text for text in found["unseen"])


def test_an_ordinary_user_is_told_too(tmp_path: Path) -> None:
    body = """
    import fcntl, pyarrow.parquet as pq, pandas as pd, resource, subprocess, tempfile
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    pd.DataFrame({"a": [1]}).to_parquet(place / "x.parquet")
    (place / "a.txt").write_text("a")
    if os.getuid() == 0:
        os.seteuid(65534)
    note("own", watched(place, lambda: pq.read_table(place / "x.parquet")))
    cat = lambda: subprocess.run(["/bin/cat", place / "a.txt"], check=True, capture_output=True)
    note("child", watched(place, cat))
    os.seteuid(os.getuid())
    import shutil
    shutil.rmtree(place)
    """
    found = in_process(tmp_path, body)
    if found["own"]["watched_by"] != "fanotify":
        pytest.skip("this system refuses fanotify")
    assert [Path(path).name for path in found["own"]["files"]] == ["x.parquet"]
    assert [Path(path).name for path in found["child"]["files"]] == ["a.txt"]


def test_when_the_kernel_loses_events_the_run_is_unsure(root: Path) -> None:
    count = int(Path("/proc/sys/fs/fanotify/max_queued_events").read_text()) if sys.platform == "linux" else 0
    if not count or count > 20_000:
        pytest.skip("the queue is too long to fill")
    body = f"""
    import ctypes
    libc = ctypes.CDLL(None)
    for number in range({count} + 50):
        (root / str(number)).touch()
    def step():  # past Python: no event of ours, so nothing is drained meanwhile
        for number in range({count} + 50):
            libc.close(libc.open(os.fsencode(root / str(number)), 0))
    note("lost", watched(root, step))
    """
    found = in_process(root, body)["lost"]
    if found["watched_by"] != "fanotify":
        pytest.skip("this system refuses fanotify")
    assert any("lost count" in why for why in found["unsure"])


FIRST_AT_ONCE = """
import sys, threading
from consist_es.observe import board, children

gate, found = threading.Barrier(16), []

def ask():
    gate.wait()
    found.append((id(children.channel()), id(board.board())))

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=ask) for _ in range(16)]
for each in threads: each.start()
for each in threads: each.join()
print(len(found), len(set(found)))
"""


def test_threads_that_open_the_first_runs_at_once_share_one_channel_and_one_board() -> None:
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", FIRST_AT_ONCE], capture_output=True, text=True)
        assert done.stdout.split() == ["16", "1"], done.stderr


def test_a_run_that_ends_leaves_the_children_of_another_one_telling(root: Path) -> None:
    first, second = watch_of(root), watch_of(root)
    first.begin()
    second.begin()
    first.end()
    first.stop()
    subprocess.run([sys.executable, "-c", CHILD + "read('a.txt')"], cwd=root, check=True)
    assert names(second.end(), root) == ["a.txt"]


IN_TEMPORARY = """
import os, subprocess, sys
from pathlib import Path
from consist_es import Tracker

def step():
    names = [name for name in sorted(os.listdir(".")) if name.endswith(".txt")]
    subprocess.run([sys.executable, "-c", "import consist_es; open('a.txt').read()"], check=True)
    Path("out.csv").write_text("x\\n" + str(len(names)))
    return {"o": Path("out.csv")}

with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
    print(tracker.run(step, inputs={"a": "a.txt"}, outputs=["o"]).cache_hit)
"""


def test_a_project_in_the_folder_of_temporary_files_does_not_depend_on_the_library_s_own(root: Path) -> None:
    (root / "model.py").write_text(IN_TEMPORARY)
    hits = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "model.py"], cwd=root, capture_output=True, text=True,
            env={**os.environ, "TMPDIR": str(root)},
        )  # fmt: skip
        hits.append(done.stdout.strip() or done.stderr)
        assert "consist-es-observe" not in done.stderr
    assert hits == ["False", "True"]
