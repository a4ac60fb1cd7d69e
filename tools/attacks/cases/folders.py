"""A folder as an input."""

import os
import shutil
from pathlib import Path

from attacks.case import Change, Group, keep_times

GROUP = Group("input folders", "inputs")
FILES = {
    "model.py": "def step(a):\n    ran()\n",
    "data/a.txt": "xy",
    "data/b.txt": "z",
    "data/deep/c.txt": "c",
    "data/.hidden": "h",
}
MAIN = "from model import step\ncall(step, inputs={'a': 'data'})\n"


def changed(name: str, verdict: str, change: Change) -> None:
    """Something happens below ``data`` between two processes."""
    GROUP.add(name, verdict, MAIN, files=FILES, change=change)


changed("file_in_a_folder_renamed", "miss", lambda root: (root / "data/a.txt").rename(root / "data/A.txt"))
changed("names_of_two_files_swapped", "miss", lambda root: swap(root / "data"))
changed("byte_moved_from_one_file_to_the_next", "miss", lambda root: contents(root, "x", "yz"))
changed("file_in_a_folder_edited", "miss", lambda root: contents(root, "xY", "z"))
changed("file_in_a_folder_edited_with_the_same_size_and_time", "miss",
        lambda root: keep_times(root / "data/a.txt", b"XY"))  # fmt: skip
changed("file_added_to_a_folder", "miss", lambda root: (root / "data/new.txt").write_text("n"))
changed("empty_file_added_to_a_folder", "miss", lambda root: (root / "data/new.txt").touch())
changed("file_removed_from_a_folder", "miss", lambda root: (root / "data/b.txt").unlink())
changed("file_moved_to_a_folder_below", "miss",
        lambda root: (root / "data/a.txt").rename(root / "data/deep/a.txt"))  # fmt: skip
changed("file_deep_in_a_folder_edited", "miss", lambda root: keep_times(root / "data/deep/c.txt", b"C"))
changed("empty_folder_added", "miss", lambda root: (root / "data/empty").mkdir())
changed("folder_below_renamed", "miss", lambda root: (root / "data/deep").rename(root / "data/low"))
changed("hidden_file_edited", "miss", lambda root: (root / "data/.hidden").write_text("H"))
changed("file_replaced_by_a_folder_of_its_name", "miss", lambda root: to_folder(root / "data/a.txt"))
changed("file_replaced_by_a_link_to_another", "miss", lambda root: to_link(root / "data/a.txt", "b.txt"))
changed("folder_touched", "hit", lambda root: os.utime(root / "data", ns=(10**18, 10**18)))
changed("files_in_a_folder_touched", "hit", lambda root: os.utime(root / "data/a.txt", ns=(10**18, 10**18)))
changed("files_in_a_folder_made_in_another_order", "hit", lambda root: again(root / "data"))
changed("folder_copied_over_itself", "hit", lambda root: copied(root / "data"))

GROUP.add(
    "link_in_a_folder_points_elsewhere",
    "miss",
    "import os\nif not os.path.lexists('data/link'): os.symlink('a.txt', 'data/link')\n" + MAIN,
    files=FILES,
    change=lambda root: to_link(root / "data/link", "b.txt"),
)
GROUP.add(
    "folder_or_file_of_the_same_bytes",
    "miss",
    "from model import step\ncall(step, inputs={'a': 'one/in'})\ncall(step, inputs={'a': 'two/in'})\n",
    files={"model.py": FILES["model.py"], "one/in": "xy", "two/in/in": "xy"},
)
GROUP.add(
    "empty_folder_or_empty_file",
    "miss",
    "from model import step\ncall(step, inputs={'a': 'one/in'})\ncall(step, inputs={'a': 'two/in'})\n",
    files={"model.py": FILES["model.py"], "one/in": "", "two/in/": ""},
)


def linked(name: str, verdict: str, links: str, change: Change, **files: str) -> None:
    """Links below ``data`` that the script makes first, and something that happens beyond them."""
    made = f"import os\nif not os.path.exists('made'):\n    open('made', 'w').close()\n    {links}\n"
    beyond = {"shared/net.csv": "1", "shared/deep/more.csv": "2", "shared/other.csv": "1", "far/far.csv": "3"}
    GROUP.add(name, verdict, made + MAIN, files={**FILES, **beyond, **files}, change=change)


OUT = "os.symlink('../shared/net.csv', 'data/net.csv')"
linked("file_beyond_a_link_edited", "miss", OUT, lambda root: (root / "shared/net.csv").write_text("2"))
linked("file_beyond_a_link_edited_with_the_same_size_and_time", "miss", OUT,
       lambda root: keep_times(root / "shared/net.csv", b"2"))  # fmt: skip
linked("file_beyond_an_absolute_link_edited", "miss", "os.symlink(os.path.abspath('shared/net.csv'), 'data/net.csv')",
       lambda root: (root / "shared/net.csv").write_text("2"))  # fmt: skip
linked("file_beyond_two_links_edited", "miss",
       "os.symlink('../shared/link', 'data/net.csv'); os.symlink('net.csv', 'shared/link')",
       lambda root: (root / "shared/net.csv").write_text("2"))  # fmt: skip
linked("file_in_a_folder_beyond_a_link_edited", "miss", "os.symlink('../shared', 'data/in')",
       lambda root: (root / "shared/deep/more.csv").write_text("3"))  # fmt: skip
linked("file_added_to_a_folder_beyond_a_link", "miss", "os.symlink('../shared', 'data/in')",
       lambda root: (root / "shared/new.csv").touch())  # fmt: skip
linked("file_beyond_a_link_beyond_a_link_edited", "miss",
       "os.symlink('../shared', 'data/in'); os.symlink('../far', 'shared/far')",
       lambda root: (root / "far/far.csv").write_text("4"))  # fmt: skip
linked("link_turned_to_another_content", "miss", OUT, lambda root: to_link(root / "data/net.csv", "../far/far.csv"))
linked(
    "link_turned_to_the_same_content", "hit", OUT, lambda root: to_link(root / "data/net.csv", "../shared/other.csv")
)
linked("file_beside_the_one_beyond_a_link_edited", "hit", OUT, lambda root: (root / "shared/other.csv").write_text("9"))
linked("file_beyond_a_link_touched", "hit", OUT, lambda root: os.utime(root / "shared/net.csv", ns=(10**18, 10**18)))
linked("link_to_nothing_that_is_there_now", "miss", "os.symlink('../shared/late.csv', 'data/net.csv')",
       lambda root: (root / "shared/late.csv").write_text("1"))  # fmt: skip
linked("link_to_nothing_again", "hit", "os.symlink('../shared/late.csv', 'data/net.csv')",
       lambda root: (root / "shared/other.csv").write_text("9"))  # fmt: skip
linked("link_within_spelt_absolutely", "hit", "os.symlink('a.txt', 'data/net.csv')",
       lambda root: to_link(root / "data/net.csv", str(root / "data/a.txt")))  # fmt: skip

for ending in ("", ".mbtiles", ".gpkg"):
    GROUP.add(
        f"rows_that_wait_in_the_log_of_a_database{ending.replace('.', '_')}",
        "miss",
        f"""
        import os, sqlite3
        from model import step
        base = sqlite3.connect("base{ending}")
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("CREATE TABLE t (a)")
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        call(step, inputs={{"a": "base{ending}"}})
        base.execute("INSERT INTO t VALUES (1)")
        base.commit()
        call(step, inputs={{"a": "base{ending}"}})
        """,
        files={"model.py": FILES["model.py"]},
    )


def contents(root: Path, a: str, b: str) -> None:
    """Write both files anew."""
    (root / "data/a.txt").write_text(a)
    (root / "data/b.txt").write_text(b)


def swap(data: Path) -> None:
    """Exchange the names of the two files."""
    (data / "a.txt").rename(data / "x")
    (data / "b.txt").rename(data / "a.txt")
    (data / "x").rename(data / "b.txt")


def to_folder(path: Path) -> None:
    """A folder with the file of that name in it."""
    text = path.read_text()
    path.unlink()
    path.mkdir()
    (path / path.name).write_text(text)


def to_link(path: Path, target: str) -> None:
    """A link in the place of a file."""
    path.unlink()
    path.symlink_to(target)


def again(data: Path) -> None:
    """The same files, made in the reverse order."""
    kept = sorted(((path, path.read_bytes()) for path in data.glob("*.txt")), reverse=True)
    for path, _ in kept:
        path.unlink()
    for path, content in kept:
        path.write_bytes(content)


def copied(data: Path) -> None:
    """A copy in the place of the folder."""
    copy = data.with_name("copy")
    shutil.copytree(data, copy, copy_function=shutil.copy, symlinks=True)
    shutil.rmtree(data)
    copy.rename(data)
