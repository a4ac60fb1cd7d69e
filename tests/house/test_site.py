"""The documentation site, as far as it can be checked without Sphinx; ``python3 tools/dev.py docs`` builds it."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import consist_es
from consist_es.cli import program
from tests.house.test_docs import FENCE, blocks

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TOP = ("README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / page for page in TOP)])
TOCTREE = re.compile(r"^:::\{toctree\}\n(?P<body>.*?)^:::$", re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(r"^\.\. auto(?:class|function|exception):: (\w+)$", re.MULTILINE)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?(?P<file>[^)\s#>]*)(?:#(?P<anchor>[^)\s>]*))?>?\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)


def entries(page: Path) -> set[Path]:
    """The pages that the tables of contents of a page have."""
    found: set[Path] = set()
    for table in TOCTREE.finditer(page.read_text(encoding="utf-8")):
        lines = [line for line in table["body"].splitlines() if line and not line.startswith(":")]
        for line in lines:
            there = sorted(page.parent.glob(f"{line}.md"))
            assert there, f"{page.relative_to(ROOT)}: its table of contents has {line}, which is no page"
            found.update(there)
    return found


def without_code(text: str) -> str:
    """The text without its blocks and inline code, in which nothing is a link or a heading."""
    return re.sub(r"(`+)[^`\n]+\1", "", FENCE.sub("", text))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    found: set[str] = set()
    for match in HEADING.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["text"]).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = next(n for n in range(100) if (f"{slug}-{n}" if n else slug) not in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


def dead(page: Path, text: str) -> list[str]:
    """The links of a page's text that lead nowhere: to no file, or to no heading of it."""
    found = []
    for link in LINK.finditer(without_code(text)):
        if re.match(r"[a-z]+:", link["file"]):
            continue
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        is_there = target.exists()
        if is_there and link["anchor"] and target.suffix == ".md":
            is_there = link["anchor"] in anchors(target)
        if not is_there:
            found.append(link[0])
    return found


def test_every_page_is_in_a_table_of_contents() -> None:
    reached, todo = set[Path](), [DOCS / "index.md"]
    while todo:
        page = todo.pop()
        if page not in reached:
            reached.add(page)
            todo += entries(page)
    missing = [page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md") if page not in reached]
    assert missing == [], "add these to one of the lists at the end of docs/index.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_file_and_a_heading_of_it(page: Path) -> None:
    assert dead(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_is_found() -> None:
    page = DOCS / "tutorial.md"
    text = "[a](steps.md#outputs) [b](steps.md#output) [c](stepps.md) [d](#run-it-again) [e](#run) `[f](g.md)` [h](https://i)"
    assert dead(page, text) == ["[b](steps.md#output)", "[c](stepps.md)", "[e](#run)"]


def test_every_public_name_has_one_entry_in_the_reference() -> None:
    pages = [page.read_text(encoding="utf-8") for page in sorted((DOCS / "api").glob("*.md"))]
    listed = [name for page in pages for name in DIRECTIVE.findall(page)]
    assert sorted(listed) == vars(consist_es)["__all__"], "each once, on one of the pages in docs/api"


def test_every_command_has_a_heading() -> None:
    assert set(program.commands) <= anchors(DOCS / "cli.md")


def test_what_a_docstring_says_of_its_arguments_is_a_list() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        from docstrings import process  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(DOCS))
    lines = [
        "Do it; see docs/why.md.", "", "Args:", "    a, b: both", "        of them.", "    c: the last.", "",
        "Raises:", "    UsageError: no. MissingKeyError (KeyError): none,", "    or several.", "", "The end.",
    ]  # fmt: skip
    process(None, "function", "f", None, None, lines)
    assert [line for line in lines if line] == [
        "Do it; see :doc:`/why`.",
        ":Arguments:",
        "   * ``a``, ``b``: both of them.",
        "   * ``c``: the last.",
        ":Errors:",
        "   * ``UsageError``: no.",
        "   * ``MissingKeyError (KeyError)``: none, or several.",
        "The end.",
    ]


def test_the_page_on_a_models_own_tests_has_a_suite_that_passes(tmp_path: Path) -> None:
    page = (DOCS / "testing.md").read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language == "python":
            name = re.match(r"# (\w+\.py)\n", block.text)
            assert name, "its first line names the file"
            (tmp_path / name[1]).write_text(block.text, encoding="utf-8")
        elif block.language == "toml":
            (tmp_path / "pyproject.toml").write_text(block.text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-p",
        "no:hypothesispytest",
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout
