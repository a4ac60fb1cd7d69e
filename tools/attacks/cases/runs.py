"""Earlier runs that must not answer: failed, killed, incomplete; and projects that moved."""

import shutil
from pathlib import Path

from attacks.case import ELSEWHERE, Change, Group

GROUP = Group("earlier runs and other machines")

FAILS = """
import os
def step():
    ran()
    if not os.path.exists("well"):
        {how}
"""
for name, how in (
    ("failed", "raise ValueError('no')"),
    ("left_by_sys_exit", "raise SystemExit(1)"),
    ("left_by_sys_exit_without_an_error", "raise SystemExit(0)"),
    ("interrupted_by_ctrl_c", "raise KeyboardInterrupt"),
    ("killed", "os.kill(os.getpid(), 9)"),
    ("left_by_os_exit", "os._exit(0)"),
):
    GROUP.add(
        f"earlier_run_{name}",
        "miss",
        files={"model.py": FAILS.format(how=how)},
        change={"well": ""},
        first_fails=True,
    )
    GROUP.add(
        f"earlier_run_{name}_after_writing_its_output",
        "miss",
        "from model import step\ncall(step, config={'v': 1}, output='out.txt')\n",
        files={
            "model.py": f"""
            import os
            def step(config, out):
                ran()
                with open(out, "w") as file:
                    file.write("result" if os.path.exists("well") else "res")
                if not os.path.exists("well"):
                    {how}
                return made(out)
            """
        },
        change={"well": ""},
        needs="outputs",
        first_fails=True,
        good="result",
    )
GROUP.add(
    "earlier_run_without_its_output",
    "miss",
    "from model import step\ncall(step, config={'v': 1}, output='out.txt')\n",
    files={
        "model.py": """
        import os
        def step(config, out):
            ran()
            if os.path.exists("well"):
                with open(out, "w") as file:
                    file.write("result")
                return made(out)
        """
    },
    change={"well": ""},
    needs="outputs declared",
    first_fails=True,
    good="result",
)
GROUP.add(
    "run_again_after_a_failure_then_asked_again",
    "hit",
    files={"model.py": FAILS.format(how="raise ValueError('no')")},
    change={"well": ""},
    again="from model import step\ncall(step)\ncall(step)\n",
    first_fails=True,
)
GROUP.add("same_call_in_another_process", "hit", change={})
GROUP.add("same_call_in_one_process", "hit", "from model import step\ncall(step)\ncall(step)\n")

INPUT = {"model.py": "import helper\ndef step(a):\n    ran()\n", "helper.py": "X = 1\n", "data/a.txt": "one\n"}
WITH_INPUT = "from model import step\ncall(step, inputs={'a': 'data/a.txt'})\n"


def moved(root: Path) -> None:
    """The whole project under another root."""
    root.rename(root.parent / ELSEWHERE)


def copied(root: Path) -> None:
    """A copy of the project under another root; the first stays."""
    shutil.copytree(root, root.parent / ELSEWHERE, symlinks=True)


def moved_and_edited(name: str, text: str) -> Change:
    """Moved, with another file."""

    def change(root: Path) -> None:
        moved(root)
        (root.parent / ELSEWHERE / name).write_text(text)

    return change


GROUP.add("project_moved", "hit", files={"model.py": "def step():\n    ran()\n"}, change=moved, moved=True)
GROUP.add("project_with_an_input_moved", "hit", WITH_INPUT, files=INPUT, change=moved, moved=True, needs="inputs")
GROUP.add("project_copied", "hit", WITH_INPUT, files=INPUT, change=copied, moved=True, needs="inputs")
GROUP.add(
    "project_moved_and_its_input_edited",
    "miss",
    WITH_INPUT,
    files=INPUT,
    change=moved_and_edited("data/a.txt", "ONE\n"),
    moved=True,
    needs="inputs",
)
GROUP.add(
    "project_moved_and_its_helper_edited",
    "miss",
    files={"model.py": "import helper\ndef step():\n    ran(helper.X)\n", "helper.py": "X = 1\n"},
    change=moved_and_edited("helper.py", "X = 2\n"),
    moved=True,
)
for name, constant in (
    ("a_path_constant", "DATA = pathlib.Path(__file__).parent / 'data'"),
    ("a_text_constant", "DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')"),
    ("a_table_of_paths", "DATA = {'a': pathlib.Path(__file__).resolve().parent / 'data'}"),
):
    for where, files in (
        ("the_step", {"model.py": f"import os, pathlib\n{constant}\ndef step():\n    ran(DATA)\n"}),
        (
            "a_helper",
            {
                "helper.py": f"import os, pathlib\n{constant}\n",
                "model.py": "import helper\ndef step():\n    ran(helper.DATA)\n",
            },
        ),
    ):
        GROUP.add(f"project_with_{name}_of_{where}_moved", "hit", files=files, change=moved, moved=True)
WRITES = {"model.py": 'def step(config, out):\n    ran()\n    open(out, "w").write("result")\n    return made(out)\n'}
WITH_OUTPUT = "from model import step\ncall(step, config={'v': 1}, output='out.txt')\n"
GROUP.add("project_with_an_output_moved", "hit", WITH_OUTPUT, files=WRITES, change=moved, moved=True, needs="outputs",
          good="result")  # fmt: skip


def spoiled_copy(root: Path) -> None:
    """A copy whose outputs were edited; those of the first project are still right."""
    copied(root)
    for path in (root.parent / ELSEWHERE).rglob("out*.txt"):
        path.chmod(0o644)
        path.write_text("RESULT")


GROUP.add("output_edited_in_a_copy_of_the_project", "miss", WITH_OUTPUT, files=WRITES, change=spoiled_copy, moved=True,
          needs="outputs", good="result")  # fmt: skip
GROUP.add(
    "fast_comparison_of_an_input_with_another_time",
    "miss",
    WITH_INPUT.replace("})", "}, fast=True)"),
    files=INPUT,
    change={"data/a.txt": "other\n"},
    needs="inputs fast",
)
