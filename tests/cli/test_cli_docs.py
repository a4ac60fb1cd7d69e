"""docs/cli.md says what `--help` says.

Run this file as a script to write the help texts into the page anew.
"""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from consist_es.cli import program

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
BLOCK = re.compile(r"^```text\nUsage: consist-es ?([a-z-]*)\b.*?^```$", re.MULTILINE | re.DOTALL)
COMMANDS = ["", *sorted(program.commands)]


def help_of(command: str) -> str:
    return CliRunner().invoke(program, [*command.split(), "--help"], prog_name="consist-es", terminal_width=100).stdout


def words(text: str) -> list[str]:
    """The words alone: versions of click break lines in different places."""
    return text.split()


def test_every_command_is_documented_once_and_no_other() -> None:
    found = [match[1] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]
    assert sorted(found) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_has_the_help_text(command: str) -> None:
    texts = {match[1]: match[0] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}
    assert words(texts[command]) == ["```text", *words(help_of(command)), "```"], (
        f"run {Path(__file__).name} as a script"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_and_command_says_what_it_is_for(command: str) -> None:
    shown = program.commands[command] if command else program
    assert (shown.help or "").strip()
    options = [option for option in shown.params if option.param_type_name == "option"]
    assert options or command in ("completion", "db", "forecast", "import")  # about no project, or have commands
    assert all(getattr(option, "help", "") for option in options)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(lambda match: f"```text\n{help_of(match[1])}```", text), encoding="utf-8")
