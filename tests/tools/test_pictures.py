"""The pictures of the documentation are what the commands write today."""

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from pictures import FOLDER, draw, stale, words


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return draw()


def pictures() -> Iterator[str]:
    yield from (path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.svg")))


def test_every_picture_is_what_its_commands_write(drawn: dict[str, str]) -> None:
    assert stale(drawn) == [], "python tools/pictures.py makes them again: look at them before you commit"


def test_another_word_is_seen_and_another_figure_is_not(drawn: dict[str, str]) -> None:
    assert stale({**drawn, "stats": drawn["stats"].replace("saved_seconds", "wasted_seconds")}) == ["stats"]
    assert stale({name: text for name, text in drawn.items() if name != "stats"}) == ["stats"]
    assert words("<text x='1'>0.63&#160;s&#160;of&#160;base#3</text>") == words(
        "<text x='1'>9&#160;min of base#4</text>"
    )


def test_a_picture_is_xml_that_fetches_nothing_and_names_no_machine() -> None:
    for picture in pictures():
        ET.fromstring(picture)
        assert re.findall(r"@font-face|url\((?!#)|href=", picture) == []
        assert " root " not in picture.replace("\xa0", " ").replace("&#160;", " ")


def test_every_picture_is_shown_with_words_for_those_who_do_not_see_it() -> None:
    pages = [*FOLDER.parent.rglob("*.md"), FOLDER.parents[1] / "README.md"]
    shown = {
        match[2]: match[1]
        for page in pages
        for match in re.finditer(r"!\[([^\]]*)\]\([./\w]*pictures/([\w-]+)\.svg\)", page.read_text(encoding="utf-8"))
    }
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(shown)
    assert [name for name, words in shown.items() if len(words.split()) < 4] == []
