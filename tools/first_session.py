"""Times a new user's first session, command by command: ``python3 tools/first_session.py`` prints the table of
docs/first-session.md.

It clones this checkout, makes an environment, and goes on as the README does: its first example, again, a dry run of a
changed parameter, the change itself, and the questions that follow. Times are wall-clock times of whole processes.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Print the table."""
    print(
        f"{platform.system()}, Python {platform.python_version()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"
    )
    print("\n| what | command | time |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        whole = time.monotonic()
        for what, command, code in session(Path(name)):
            seconds = timed(command, Path(name), code)
            print(f"| {what} | `{command}` | {seconds:.1f} s |", flush=True)
        print(f"| **all of it** | | {time.monotonic() - whole:.0f} s |")
    return 0


def session(folder: Path) -> Iterator[tuple[str, str, int]]:
    """What is done, the command, and the exit code that it must have."""
    model = folder / "model.py"
    yield "get it", "git clone -q CHECKOUT checkout", 0
    yield "make an environment", "python3 -m venv env", 0
    yield "install it", "env/bin/pip install -q './checkout[pandas,yaml]'", 0
    yield "see what it does", "env/bin/consist-es demo", 0
    page = (folder / "checkout" / "README.md").read_text(encoding="utf-8")
    model.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], encoding="utf-8")
    yield "run the first example", "env/bin/python model.py", 0
    yield "run it again: nothing is computed", "env/bin/python model.py", 0
    model.write_text(model.read_text(encoding="utf-8").replace('"rate": 1.1', '"rate": 1.2'), encoding="utf-8")
    # it ends where the script prints a file that is not made yet
    yield "change a parameter, and ask what would run", "env/bin/consist-es forecast env/bin/python model.py", 1
    yield "run it", "env/bin/python model.py", 0
    yield "why was it computed?", "env/bin/consist-es why baseline/grow", 0
    yield "how do the two attempts differ?", "env/bin/consist-es diff baseline#1 baseline", 1
    yield "where did the time go?", "env/bin/consist-es stats", 0
    yield "can the record be trusted?", "env/bin/consist-es verify", 0
    yield "a page for a colleague", "env/bin/consist-es report", 0


def timed(command: str, folder: Path, code: int) -> float:
    """Seconds that a command takes."""
    words = command.replace("'", "").replace("CHECKOUT", str(ROOT)).split()
    began = time.monotonic()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != code:
        sys.exit(f"error: {command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
