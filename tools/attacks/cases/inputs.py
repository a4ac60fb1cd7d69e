"""Input files: their roles, names, contents and times."""

import os
from pathlib import Path

from attacks.case import Group, keep_times

GROUP = Group("input files", "inputs")
FILES = {"a.txt": "one\n", "b.txt": "two\n", "model.py": "def step(a=None, b=None):\n    ran(a, b)\n"}
ONE_INPUT = "from model import step\ncall(step, inputs={'a': 'a.txt'})\n"


def roles(name: str, verdict: str, one: str, other: str, needs: str = "", **more: str) -> None:
    """Two calls with other `inputs`, given as expressions."""
    rest = "".join(f", {key}={value}" for key, value in more.items())
    main = f"from model import step\ncall(step, inputs={one}{rest})\ncall(step, inputs={other}{rest})\n"
    GROUP.add(name, verdict, main, files=FILES, needs=needs)


roles("roles_swapped", "miss", "{'a': 'a.txt', 'b': 'b.txt'}", "{'a': 'b.txt', 'b': 'a.txt'}")
roles("role_renamed", "miss", "{'a': 'a.txt'}", "{'b': 'a.txt'}")
roles("role_added_with_the_same_file", "miss", "{'a': 'a.txt'}", "{'a': 'a.txt', 'b': 'a.txt'}")
roles("order_of_inputs", "hit", "{'a': 'a.txt', 'b': 'b.txt'}", "{'b': 'b.txt', 'a': 'a.txt'}")
roles("another_file_for_a_role", "miss", "{'a': 'a.txt'}", "{'a': 'b.txt'}")
roles("roles_swapped_by_key", "miss", "{'a': 'a.txt', 'b': 'b.txt'}", "{'a': 'b.txt', 'b': 'a.txt'}", "keys",
      by_key="True")  # fmt: skip
roles("by_key_again", "hit", "{'a': 'a.txt', 'b': 'b.txt'}", "{'a': 'a.txt', 'b': 'b.txt'}", "keys", by_key="True")


def changed(name: str, verdict: str, change: object, *, main: str = ONE_INPUT, **more: object) -> None:
    """Something happens to ``a.txt`` between two processes."""
    GROUP.add(name, verdict, main, files=FILES, change=change, **more)  # type: ignore[arg-type]


def touch(root: Path) -> None:
    """A later modification time."""
    os.utime(root / "a.txt", ns=(10**18, (root / "a.txt").stat().st_mtime_ns + 10**10))


def replace_keeping_times(root: Path) -> None:
    """Another file of the same size and time is moved over the input, as a copy that preserves times does."""
    new, old = root / "new.txt", root / "a.txt"
    new.write_bytes(b"ONE\n")
    os.utime(new, ns=(old.stat().st_atime_ns, old.stat().st_mtime_ns))
    new.replace(old)


def age(root: Path) -> None:
    """Bring the input to a modification time of long ago."""
    os.utime(root / "a.txt", ns=(10**18, 10**18))


def edit_and_age(root: Path) -> None:
    """Other content, and a time of long ago."""
    (root / "a.txt").write_text("ONE\n")
    age(root)


def make_again(root: Path) -> None:
    """Remove the input and write it as it was."""
    (root / "a.txt").unlink()
    (root / "a.txt").write_text("one\n")


def point_elsewhere(root: Path) -> None:
    """Let the link lead to the other file."""
    (root / "link.txt").unlink()
    (root / "link.txt").symlink_to("b.txt")


changed("input_edited", "miss", {"a.txt": "ONE and more\n"})
changed("input_edited_with_the_same_size", "miss", {"a.txt": "ONE\n"})
changed("input_edited_with_the_same_size_and_time", "miss", lambda root: keep_times(root / "a.txt", b"ONE\n"))
changed("input_replaced_with_the_same_size_and_time", "miss", replace_keeping_times)
changed("input_edited_and_given_an_old_time", "miss",
        edit_and_age)  # fmt: skip
changed("input_touched", "hit", touch)
changed("input_set_to_an_older_time", "hit", age)
changed("input_written_again_as_it_was", "hit", {"a.txt": "one\n"})
changed("input_removed_and_made_again", "hit",
        make_again)  # fmt: skip
changed("input_permissions_changed", "hit", lambda root: (root / "a.txt").chmod(0o600))
changed("input_emptied", "miss", {"a.txt": ""})
changed("last_byte_of_an_input_cut_off", "miss", {"a.txt": "one"})

FUTURE = (
    """
import os
if not os.path.exists("runs.txt"):
    open("runs.txt", "w").close()
    os.utime("a.txt", ns=(TIME, TIME))
"""
    + ONE_INPUT
)
for name, time in (("future", 10**18 * 4), ("past", 1)):
    changed(f"input_with_a_time_far_in_the_{name}_edited", "miss",
            lambda root: keep_times(root / "a.txt", b"ONE\n"), main=FUTURE.replace("TIME", str(time)))  # fmt: skip
    changed(f"input_with_a_time_far_in_the_{name}_unchanged", "hit", {}, main=FUTURE.replace("TIME", str(time)))
CLOCK = (
    """
import time
real, real_ns = time.time, time.time_ns
time.time = lambda: real() SHIFT
time.time_ns = lambda: real_ns() SHIFT * 10**9
"""
    + ONE_INPUT
)
for name, shift in (("back", "- 86_400"), ("ahead", "+ 86_400")):
    changed(f"clock_set_{name}_between_two_runs", "hit", {}, again=CLOCK.replace("SHIFT", shift), needs="runtime")
    changed(f"clock_set_{name}_and_input_edited", "miss",
            lambda root: keep_times(root / "a.txt", b"ONE\n"),
            main=CLOCK.replace("SHIFT", shift), again=ONE_INPUT, needs="runtime")  # fmt: skip

changed(
    "input_renamed_where_the_step_sees_its_name",
    "miss",
    {"a.txt": None, "c.txt": "one\n"},
    again=ONE_INPUT.replace("a.txt", "c.txt"),
)
TABLE = {"a.csv": "x,y\n1,2\n", "model.py": "def step(a):\n    ran(type(a))\n"}
LOADED = "from model import step\ncall(step, inputs={'a': 'a.csv'}, loaded=True)\n"
GROUP.add(
    "input_renamed_where_the_step_gets_its_content",
    "hit",
    LOADED,
    files=TABLE,
    change={"a.csv": None, "c.csv": "x,y\n1,2\n"},
    again=LOADED.replace("a.csv", "c.csv"),
    needs="loaded",
    packages="pandas",
)
GROUP.add(
    "input_moved_where_the_step_gets_its_content",
    "hit",
    LOADED,
    files=TABLE,
    change={"a.csv": None, "data/a.csv": "x,y\n1,2\n"},
    again=LOADED.replace("a.csv", "data/a.csv"),
    needs="loaded",
    packages="pandas",
)
GROUP.add(
    "loaded_input_edited",
    "miss",
    LOADED,
    files=TABLE,
    change={"a.csv": "x,y\n1,3\n"},
    needs="loaded",
    packages="pandas",
)
GROUP.add(
    "input_as_a_path_or_loaded",
    "miss",
    "from model import step\ncall(step, inputs={'a': 'a.csv'})\ncall(step, inputs={'a': 'a.csv'}, loaded=True)\n",
    files=TABLE,
    needs="loaded",
    packages="pandas",
)
GROUP.add(
    "link_to_an_input_points_elsewhere",
    "miss",
    "import os\nif not os.path.lexists('link.txt'): os.symlink('a.txt', 'link.txt')\n"
    + ONE_INPUT.replace("'a.txt'", "'link.txt'"),
    files=FILES,
    change=point_elsewhere,
)
GROUP.add(
    "target_of_a_link_edited",
    "miss",
    "import os\nif not os.path.lexists('link.txt'): os.symlink('a.txt', 'link.txt')\n"
    + ONE_INPUT.replace("'a.txt'", "'link.txt'"),
    files=FILES,
    change=lambda root: keep_times(root / "a.txt", b"ONE\n"),
)
GROUP.add(
    "byte_in_the_middle_of_a_large_input",
    "miss",
    "import os\nif not os.path.exists('a.txt'): open('a.txt', 'wb').write(bytes(40_000_000))\n" + ONE_INPUT,
    files={"model.py": FILES["model.py"]},
    change=lambda root: large(root / "a.txt"),
)


def large(path: Path) -> None:
    """Change one byte in place and set the old times again."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(20_000_000)
        file.write(b"\1")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


EDITS_ITS_INPUT = "import os\ndef step(a):\n    ran()\n    open('a.txt', 'w').write('TWO\\n')\n"
GROUP.add("input_changed_by_the_step_and_left_so", "miss", ONE_INPUT * 2,
          files={**FILES, "model.py": EDITS_ITS_INPUT})  # fmt: skip
GROUP.add(
    "input_changed_while_the_step_ran_then_set_back",
    "miss",
    ONE_INPUT,
    files={**FILES, "model.py": EDITS_ITS_INPUT},
    change={"a.txt": "one\n"},
)

CHAIN = """
from model import first, step
made = call(first, name="first", config={version}, output="mid.txt")
call(step, inputs={{"a": str(made)}})
"""
CHAINED = {
    "model.py": """
    def first(config, out):
        ran()
        with open(out, "w") as file:
            file.write(config["text"])
        return made(out)
    def step(a):
        ran()
    """
}
for name, verdict, version in (
    ("upstream_ran_again_with_the_same_bytes", "hit", "{'text': 'x', 'n': 2}"),
    ("upstream_ran_again_with_other_bytes", "miss", "{'text': 'y', 'n': 1}"),
):
    GROUP.add(
        name,
        verdict,
        CHAIN.format(version="{'text': 'x', 'n': 1}"),
        files=CHAINED,
        change={},
        again=CHAIN.format(version=version),
        needs="outputs",
    )
