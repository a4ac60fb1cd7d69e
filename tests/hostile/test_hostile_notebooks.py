"""Names from anybody, shown in a notebook: they are text there, and make no markup and no page larger (S6)."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es import RunSet, Tracker, notebook
from consist_es.events import ScenarioExited, ScenarioStarted
from tests.hostile.test_hostile_text import NAMES, told, unsafe
from tests.support.cli import append

MARKUP = (
    "<script>alert(1)</script>", "</td></table></div><img src=x onerror=alert(1)>", "\" onmouseover=\"alert(1)",
    "' onload='x", "<!--", "-->", "]]>", "<style>*{display:none}</style>", "&lt;script&gt;", "&#60;b&#62;",
    "javascript:alert(1)", "<svg/onload=x>", "<iframe src=//x>", "{{7*7}}", "$\\href{javascript:x}{y}$", "<\x00script>",
    "</div><h1>", "<a href=data:text/html,x>", "\u2028<b>", "＜script＞",
)  # fmt: skip
"""What a browser, a notebook or its renderer of formulas would obey."""
ALLOWED = {"div", "span", "strong", "table", "thead", "tr", "th", "td"}
ATTRIBUTES = {"style", "scope"}


class Page(HTMLParser):
    """Elements, attributes and text of a page, as a browser would have them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def check(page: str) -> Page:
    """A page of ours: known elements, all closed, no attribute but styles of ours, no character that is obeyed."""
    read = Page(page)
    assert read.open == []
    assert {tag for tag, _ in read.found} <= ALLOWED
    assert {name for _, attributes in read.found for name in attributes} <= ATTRIBUTES
    styles = {attributes["style"] for _, attributes in read.found if "style" in attributes}
    assert not [style for style in styles if "url" in style or "expression" in style or len(style) > 200]
    assert unsafe(page) == []
    assert len(page.encode()) < 20_000
    return read


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A project with these names everywhere, written past the API."""
    folder = tmp_path_factory.mktemp("evil")
    log = folder / "provenance.events"
    for number, name in enumerate((*NAMES, *MARKUP)):
        header = f"header-{number:012x}"
        started = ScenarioStarted(run_id=name, name=name, description=name, config={name: name}, tags=[name])
        append(log, started, scenario=header, run=header)
        for event in told(name, f"run-{number:012x}"):
            append(log, event, scenario=header, run=f"run-{number:012x}")
        append(log, ScenarioExited(status=name, seconds=1.0, missing_outputs=[name]), scenario=header, run=header)
    with Tracker(folder / "runs", folder / "provenance.db", access_mode="read_only") as tracker:
        yield tracker


def test_no_name_is_markup_in_a_notebook_or_obeyed_at_a_prompt(evil: Tracker) -> None:
    runs = evil.run_set("<b>label</b>", limit=None)
    assert len(runs) == 2 * len((*NAMES, *MARKUP))
    for run in runs:
        things: list[Any] = [run, RunSet((run,), run.name), *([run.why()] if run.kind != "scenario" else [])]
        for thing in things:
            check(thing._repr_html_())
            assert unsafe(repr(thing)) == []
            assert "\n" not in repr(thing)
    artifacts = evil.find_artifacts(limit=None)
    assert len(artifacts) == len((*NAMES, *MARKUP))
    for artifact in artifacts:
        check(artifact._repr_html_())
        assert unsafe(repr(artifact)) == []
    check(runs._repr_html_())
    assert unsafe(repr(runs)) == []


@pytest.mark.parametrize("name", MARKUP, ids=ascii)
def test_a_hostile_name_is_read_as_the_text_that_it_is(evil: Tracker, name: str) -> None:
    (run,) = evil.find_runs(name=name, kind="run", limit=None)
    result = evil.get_run_result(run)
    for thing in (run, result, RunSet((run,), name)):
        text = check(thing._repr_html_()).text
        assert name.replace("\x00", "\\x00").replace("\u2028", "\\u2028") in text


@given(st.text(st.characters(exclude_categories=()), max_size=200), st.integers(0, 60))
def test_whatever_the_text_a_page_is_whole_and_small(text: str, number: int) -> None:
    page = notebook.box(text, text, [(text, text, text)] * number, headings=(text, "b"), total=number)
    read = check(page)
    rows = [tag for tag, _ in read.found if tag == "tr"]
    assert len(rows) <= 1 + notebook.ROWS
    assert (f"and {number - len(rows) + 1:,} more" in read.text) or len(rows) == (number + 1 if number else 0)
