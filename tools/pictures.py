"""Makes the pictures of docs/pictures from the demo: ``.venv/bin/python tools/pictures.py``.

Each command runs in a terminal of its own, and what it wrote becomes an SVG that needs no font from elsewhere. A
picture is written anew only if something other than its figures changed; ``--all`` writes all of them, and ``--report``
those of the report, in Chromium. Look at them before you commit them: tests/tools/test_pictures.py fails until they are
what the commands write today.
"""

import argparse
import contextlib
import html
import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "pictures"
COLUMNS = 100
THEME = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
     (201, 209, 217)],
)  # fmt: skip
FORMAT = """\
<svg viewBox="0 0 VIEW" role="img" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font: {char_height}px ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
{lines}
</defs>
<rect fill="#161b22" width="100%" height="100%" rx="10"/>
<g transform="translate(18, 14)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own, without its window, and without its fonts, which come from the net."""


@dataclass(frozen=True)
class Picture:
    """A picture: its name, and the commands that it shows."""

    name: str
    commands: tuple[str, ...]
    until: str = ""
    """What follows the line with this in it is left out, and that line too."""


DEMO = Picture("demo", ("demo",), until="demo.db deleted")
PROGRESS = Picture("progress", ("demo --growth 1.2",), until="base#3: objective")
LOOKS = (
    Picture("overview", ("show base#3", "why base#3/summarise", "diff base#1 base#3")),
    Picture("scenarios", ("scenarios",)),
    Picture("show", ("show widened#1",)),
    Picture("runs", ("runs --scenario widened#1",)),
    Picture("why", ("why widened#1/assign_traffic",)),
    Picture("diff", ("diff base#1 widened#1",)),
    Picture("lineage", ("lineage summary",)),
    Picture("stats", ("stats",)),
    Picture("audit", ("audit widened#1",), until="widened_summarise: step"),
    Picture("verify", ("verify",)),
)
"""These only look at what the demo recorded."""
REPORT = {"report": "#/overview", "report-compare": "#/compare?a=0&b=1"}
"""Name of a picture of the report -> the view that it shows."""
SIZE = 1240, 860
"""Of a window, in pixels."""
BY_HAND = frozenset({"data-flow"})
"""Drawn by a person."""


def draw() -> dict[str, str]:
    """Name -> SVG of every picture, from a demo that is played now."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [played(DEMO.commands[0], folder)]
        texts.append(played(PROGRESS.commands[0], folder, CONSIST_ES_PROGRESS="1"))
        texts += seen([command for picture in LOOKS for command in picture.commands], folder)
    rest = iter(texts)
    return {picture.name: svg(picture, [next(rest) for _ in picture.commands]) for picture in (DEMO, PROGRESS, *LOOKS)}


def played(command: str, folder: Path, **more: str) -> str:
    """What a command writes that runs steps: in a process of its own, for the script counts for them."""
    master, slave = pty.openpty()
    code = "from consist_es.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command.split()],
        cwd=folder,
        env=environment() | more,
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    got = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
        while part := os.read(master, 65536):
            got += part
    os.close(master)
    return plain(command, process.wait(), got.decode())


def seen(commands: Sequence[str], folder: Path) -> list[str]:
    """What commands that only look write to terminals; without an interpreter for each."""
    asked = [[*command.split(), "--project", "consist-es-demo"] for command in commands]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "terminal_server.py"],
        cwd=folder,
        env=environment(),
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        plain(command, code, text.removeprefix("n\r\n"))  # the server's own answer to questions
        for command, (code, text) in zip(commands, answers, strict=True)
    ]


def draw_report() -> None:
    """Write the pictures of the report of a demo that is played now."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("error: the pictures of the report need Chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        played(DEMO.commands[0], folder)
        page = folder / "report.html"
        command = ["report", "-o", str(page), "--no-paths", "--project", "consist-es-demo"]
        subprocess.run([sys.executable, "-m", "consist_es", *command], cwd=folder, env=environment(), check=True)
        for picture, view in REPORT.items():
            shot, window = FOLDER / f"{picture}.png", ",".join(map(str, SIZE))
            options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={window}"]
            url = f"{page.as_uri()}{view}"
            subprocess.run([browser, *options, f"--screenshot={shot}", url], check=True, stderr=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    """The same terminal on every machine."""
    return {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "TERM": "xterm-256color",
        "PYTHONPATH": str(ROOT),
        "LC_ALL": "C.UTF-8",
    }


def plain(command: str, code: int, text: str) -> str:
    """The output without the names of this machine and its user."""
    if code > 1:  # `diff` ends with 1 if there is a difference
        sys.exit(f"error: consist-es {command} failed:\n{text}")
    return re.sub(r"by \S+ on [^,\s]+", "by anna on desk", text).replace("\r\n", "\n")


def svg(picture: Picture, texts: Sequence[str]) -> str:
    """A terminal with the picture's commands and what they wrote."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    for number, (command, text) in enumerate(zip(picture.commands, texts, strict=True)):
        prompt = f"{'' if number == 0 else chr(10)}[bold green]$[/] [bold]consist-es {command}[/]"
        console.print(prompt, highlight=False)
        console.print(Text.from_ansi(cut(text, picture.until)))
    drawn = console.export_svg(title="", theme=THEME, code_format=FORMAT, unique_id=picture.name)
    bottom = max(float(y) for y in re.findall(r'<text [^>]*y="([\d.]+)"', drawn))
    drawn = drawn.replace("VIEW", f"{COLUMNS * 12.2 + 36:.0f} {bottom + 38:.0f}", 1)  # 12.2: a character of Rich's
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


def cut(text: str, until: str) -> str:
    """The text up to the line that has this in it, without empty lines at its end."""
    lines = text.splitlines()
    stop = next((at for at, line in enumerate(lines) if until and until in line), len(lines))
    return "\n".join(lines[:stop]).rstrip()


def words(drawn: str) -> set[str]:
    """The words of a picture without its figures: what must be the same whenever it is made."""
    found = re.findall(r"<text [^>]*>([^<]*)</text>", drawn)
    text = html.unescape(" ".join(found)).replace("\xa0", " ")
    text = re.sub(r"-[0-9a-f]{12}\b|b3:[0-9a-f]+|\d[\d.,:eTZ+-]*( (ms|s|min|h|B|kB|MB)\b)?", " ", text)
    return set(re.findall(r"[^\W\d_]{2,}", text)) - {"ms", "min", "kB", "MB", "less", "than"}


def stale(drawn: Mapping[str, str]) -> list[str]:
    """The names of the pictures that are not what the commands write now, or that nothing draws."""
    there = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg") if path.stem not in BY_HAND}
    return sorted(name for name in drawn.keys() | there if words(drawn.get(name, "")) != words(there.get(name, "")))


def main() -> int:
    """Write what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="also those of which only figures changed")
    parser.add_argument("--report", action="store_true", help="also those of the report")
    asked = parser.parse_args()
    if asked.report:
        draw_report()
    drawn = draw()
    changed = sorted(drawn) if asked.all else stale(drawn)
    for name in changed:
        path = FOLDER / f"{name}.svg"
        path.unlink(missing_ok=True)
        if name in drawn:
            path.write_text(drawn[name], encoding="utf-8")
    print(f"pictures: {', '.join(changed) or 'none'} changed; look at them in docs/pictures before you commit.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
