"""A line about an event: text and style."""

from typing import NamedTuple

GOOD, ODD, BAD, QUIET = "green", "yellow", "bold red", "dim"


class Line(NamedTuple):
    """Text and style of an event's line."""

    text: str
    style: str = ""
