"""Text that is safe to print: the content of logs and the names of files are untrusted."""

import contextlib
import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta
from typing import TextIO

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"
"""Format characters that some scripts and emoji require; harmless."""


def shown(value: object) -> str:
    """Text that is safe on a terminal.

    Control characters (C0, C1), bidirectional and other format characters, line separators and lone surrogates become
    ``\\x1b``, ``\\u202e`` and so on. A byte in a file name that is not UTF-8 is shown as that byte.
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if _is_unsafe(char) else char for char in text)


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE and char not in _JOINERS


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def readable(text: str) -> str:
    """Text that can be written as UTF-8: other bytes of file names, and lone surrogates, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def shortened(text: str, longest: int) -> str:
    """A text, or its beginning and ``…`` if it is longer than `longest` characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def first_line(text: str) -> str:
    """The first line of a text that says something."""
    return next((line for line in text.splitlines() if line.strip()), "").rstrip()


def noted(error: BaseException, note: str) -> None:
    """Add a note to an error. A class of error that takes none keeps its error as it is."""
    with contextlib.suppress(Exception):  # `add_note` and `__notes__` may be anything
        error.add_note(note)


def fitted(text: str, stream: TextIO) -> str:
    """A text whose lines are broken between words if the stream is a terminal, and indented where they go on."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size((80, 24)).columns, 20)
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]
    return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span(seconds: float | None) -> str:
    """A duration in seconds, a short one in milliseconds, a long one also in hours, minutes and seconds."""
    if seconds is None:
        return "an unknown time"
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    long = f" ({timedelta(seconds=round(seconds))})" if seconds >= 120 else ""
    return f"{seconds:.2f} s{long}"


NEAR = 0.8
"""Ratio of `difflib` from which a name may be a misspelling of another: ``grwoth`` and ``growth`` have 0.83."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that this one may be a misspelling of; names with different numbers never are."""
    import difflib

    found = difflib.get_close_matches(name, [other for other in names if _numbers(other) == _numbers(name)], 1, NEAR)
    return found[0] if found else None


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)
