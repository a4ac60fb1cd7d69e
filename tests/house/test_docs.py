"""The README and the docs run as they are printed.

Of each file, all ```python blocks make one script, run by a fresh interpreter in a fresh folder; afterwards the
`$ consist-es …` lines of its ```console blocks run there, in order, and must succeed. A block whose fence says
``no-run`` is only compiled (python) or left alone (console).
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from consist_es.cli import program

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")])
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)```[ \t]*$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
LANGUAGES = {"{eval-rst}", "bash", "console", "json", "python", "sql", "text", "toml"}


@dataclass(frozen=True)
class Block:
    """One fenced block: what its fence says, its text, and the line of the page that the text begins on."""

    language: str
    runs: bool
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(page):
        language, *words = match["info"].split() or [""]
        text = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        line = page.count("\n", 0, match.start("body")) + 1
        found.append(Block(language, "no-run" not in words, text, line))
    return found


def script(page: str) -> str:
    """All python blocks that run, each on the lines that it has in the page, so that a traceback names those."""
    lines: list[str] = []
    for block in blocks(page):
        if block.language == "python" and block.runs:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join([*lines, ""]) if lines else ""


def commands(page: str) -> list[list[str]]:
    shown = [
        line for block in blocks(page) if block.language == "console" and block.runs for line in block.text.splitlines()
    ]
    words = [shlex.split(line[1:], comments=True) for line in shown if line.startswith("$ ")]
    return [command[1:] for command in words if command[:1] == ["consist-es"]]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(*command: str | Path, cwd: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, f"{command} in {cwd}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_the_page_runs_as_printed(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = path.read_text(encoding="utf-8")
    if code := script(page):
        example = tmp_path / f"{path.stem.lower().replace('-', '_')}_page.py"
        example.write_text(code, encoding="utf-8")
        run(example, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    for arguments in commands(page):  # in this process: an interpreter for each is most of the time
        result = CliRunner().invoke(program, arguments, prog_name="consist-es")
        assert result.exit_code == 0, (arguments, result.output, result.exception)


def test_the_readmes_example_is_reused_the_second_time(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(script((ROOT / "README.md").read_text(encoding="utf-8")), encoding="utf-8")
    assert run(example, cwd=tmp_path).endswith("reused: False False\n")
    assert run(example, cwd=tmp_path).endswith("reused: True True\n")
    example.write_text(example.read_text(encoding="utf-8").replace('"rate": 1.1', '"rate": 1.2'), encoding="utf-8")
    assert run(example, cwd=tmp_path).endswith("reused: True False\n")


def test_the_tutorial_can_be_pasted_bit_by_bit_and_run_after_each(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language == "python":
            with example.open("a", encoding="utf-8") as file:
                file.write(block.text)
            run(example, cwd=tmp_path)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_block_says_what_it_is_and_python_compiles(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8")):
        assert block.language in LANGUAGES, f"{name(path)}:{block.line - 1}: a block of {block.language!r}"
        if block.language == "python":
            compile("\n" * (block.line - 1) + block.text, name(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_link_to_a_file_leads_somewhere(path: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(path.read_text(encoding="utf-8"))]
    files = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    assert [file for file in files if not (path.parent / file).exists()] == []


def test_a_script_keeps_the_line_numbers_of_its_page() -> None:
    page = "one\n```python\na = 1\n```\n```python no-run\nb\n```\n- six\n\n  ```python\n  if a:\n      c = 2\n  ```\n"
    assert script(page).splitlines()[2] == "a = 1"
    assert script(page).splitlines()[10:] == ["if a:", "    c = 2"]
    assert "b" not in script(page)


def test_commands_are_read_from_console_blocks_alone() -> None:
    page = "```console\n$ consist-es audit 'a b'  # why\nits output\n$ ls\n```\n```text\n$ consist-es replay\n```\n"
    assert commands(page) == [["audit", "a b"]]
    assert commands(page.replace("console", "console no-run")) == []
