"""Output files after the step has run. A tool may run it again or restore the file; the bytes must be right."""

import os
from pathlib import Path

from attacks.case import Change, Group, keep_times

GROUP = Group("output files", "outputs")
MODEL = """
import os
def step(config, out):
    ran()
    if os.path.isdir(out):
        os.rmdir(out)
    with open(out, "w") as file:
        file.write("result of %s" % config["v"])
    return made(out)
"""
MAIN = """
from model import step
path = call(step, config={"v": 1}, output="out.txt")
open("where.txt", "w").write(str(path))
"""
GOOD = "result of 1"


def changed(name: str, verdict: str, change: Change) -> None:
    """Something happens to the output between two processes."""
    GROUP.add(
        name, verdict, MAIN, files={"model.py": MODEL}, change=lambda root: change(output(root)), good=GOOD
    )  # fmt: skip


def output(root: Path) -> Path:
    """Where the first call put the output."""
    said = root / "where.txt"
    return root / said.read_text() if said.exists() else root / "out.txt"


def to_folder(path: Path) -> None:
    """A folder in the file's place."""
    path.unlink()
    path.mkdir()


def to_link(path: Path) -> None:
    """A link to a file with other bytes in the file's place."""
    path.unlink()
    (path.parent / "other.txt").write_text("RESULT OF 1")
    path.symlink_to("other.txt")


def written(path: Path, text: str) -> None:
    """Overwrite the output, also where the tool made it read-only."""
    path.chmod(0o644)
    path.write_text(text)


def with_times(path: Path, content: bytes) -> None:
    """Overwrite the output and set its old times again."""
    path.chmod(0o644)
    keep_times(path, content)


changed("output_untouched", "hit", Path.stat)
changed("output_touched", "hit", lambda path: os.utime(path, ns=(10**18, 10**18)))
changed("output_deleted", "miss", lambda path: path.unlink())
changed("output_truncated", "miss", lambda path: written(path, GOOD[:5]))
changed("output_emptied", "miss", lambda path: written(path, ""))
changed("output_edited", "miss", lambda path: written(path, GOOD + "!"))
changed("output_edited_with_the_same_size", "miss", lambda path: written(path, "RESULT OF 1"))
changed("output_edited_with_the_same_size_and_time", "miss", lambda path: with_times(path, b"RESULT OF 1"))
changed("output_replaced_by_a_folder", "miss", to_folder)
changed("output_replaced_by_a_link_to_other_bytes", "miss", to_link)

THRICE = MAIN + "import os\nif not os.path.exists('once'):\n    open('once', 'w').close()\n    os.unlink(path)\n" + MAIN
GROUP.add(
    "output_made_again_after_it_was_deleted",
    "hit",
    THRICE,
    files={"model.py": MODEL},
    change=Path.stat,
    again=MAIN,
    good=GOOD,
)
GROUP.add(
    "outputs_of_two_configs_swapped",
    "miss",
    """
    import os
    from model import step
    one = call(step, config={"v": 1}, output="out.txt")
    kept = open(one).read()
    two = call(step, config={"v": 2}, output="out.txt")
    if one != two:
        os.chmod(one, 0o644)
        os.chmod(two, 0o644)
        os.replace(one, "x"), os.replace(two, one), os.replace("x", two)
    call(step, config={"v": 1}, output="out.txt")
    """,
    files={"model.py": MODEL},
    good=GOOD,
)
GROUP.add(
    "output_of_an_earlier_config_asked_for_again",
    "hit",
    'from model import step\nfor v in (1, 2, 1):\n    call(step, config={"v": v}, output="out.txt")\n',
    files={"model.py": MODEL},
    good=GOOD,
)
GROUP.add(
    "output_of_an_earlier_config_after_a_new_process",
    "hit",
    'from model import step\nfor v in (1, 2):\n    call(step, config={"v": v}, output="out.txt")\n',
    files={"model.py": MODEL},
    change=Path.stat,
    again='from model import step\ncall(step, config={"v": 1}, output="out.txt")\n',
    good=GOOD,
)
