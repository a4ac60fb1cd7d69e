"""Reads a subset of HOCON, the configuration format of the Typesafe config library (.conf files of JVM models).

Follows the format's specification, HOCON.md in github.com/lightbend/config. Reads objects with and without root braces,
arrays, dotted and quoted keys, ``=``, ``:``, ``+=`` and ``key {``, quoted, unquoted and triple-quoted strings,
concatenation, comments, ``include "file.conf"`` at the top level of a file, ``${path}`` and ``${?path}``. Refuses,
never guesses: other forms of include and includes inside objects, missing include files, arrays at the root,
substitutions that look back or go in circles, whitespace beside the dots of a key.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from consist_es.adapters.hocon_tree import Joined, Object, Path, Substitution, canonical, circular, substitutions
from consist_es.errors import ConfigFileError


class Source(msgspec.Struct, frozen=True):
    """A text to read."""

    name: str
    """Its name in messages."""
    text: str
    include: Callable[[str], "Source"]
    """Takes the name in an include statement; returns that source."""
    include_file: Callable[[str], "Source"] | None = None
    """The same for ``include file("…")``, whose name is relative to the program's working directory; None: refused."""

    def line(self, at: int) -> int:
        """The line of a character, from 1."""
        return self.text.count("\n", 0, at) + 1


MAX_DEPTH = 90
MAX_SUBSTITUTIONS = 1000
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_UNQUOTED = re.compile(r"(?:(?!//)(?:[^$\"{}\[\]:=,+#`^?!@*&\\\s]|\x85))+")  # \x85 is whitespace in Python only
_BLANK = re.compile(r"[^\S\n\x85]+")
_GAP = re.compile(r"(?:[^\S\x85]|\ufeff|#[^\n]*|//[^\n]*)*")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_TRIPLE = re.compile(r'"""(.*?"*)"""(?!")', re.DOTALL)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


def read_hocon(source: Source) -> dict[str, Any]:
    """Canonical data of a HOCON text.

    Raises:
        ConfigFileError: it is not HOCON, or not of the subset. Whatever `include` raises.
    """
    return canonical(read_tree(source))


def read_tree(source: Source) -> Object:
    """The tree of a HOCON text, with its includes.

    Raises:
        As `read_hocon`.
    """
    root = Object()
    _Parser(source, root).file()
    if sum(1 for _ in substitutions(root)) > MAX_SUBSTITUTIONS:  # the check for circles takes quadratic time
        raise ConfigFileError(source.name, None, f"more than {MAX_SUBSTITUTIONS:,} substitutions")
    if (circle := circular(root)) is not None:
        problem = f"${{{'.'.join(circle.path)}}} depends on itself, or on the object that it is part of"
        raise ConfigFileError(circle.file, circle.line, problem)
    return root


class _Parser:
    def __init__(self, source: Source, root: Object) -> None:
        self.source = source
        self.text = source.text
        self.root = root
        self.at = 0
        self.path: Path = ()
        """Path of the object being read."""
        self.depth = 0
        self.arrays = 0
        """Number of arrays around the current position."""

    # ------------------------------------------------------------ characters

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        raise ConfigFileError(self.source.name, self.source.line(self.at if at is None else at), problem)

    def sees(self, token: str) -> bool:
        return self.text.startswith(token, self.at)

    def takes(self, token: str) -> bool:
        found = self.sees(token)
        self.at += len(token) * found
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def gap(self) -> None:
        """Skip whitespace, newlines and comments."""
        self.match(_GAP)

    def separator(self, closing: str) -> bool:
        """Skip the separator between two fields or elements; False before the end of the object or array."""
        start = self.at
        self.gap()
        comma = self.takes(",")
        parted = comma or "\n" in self.text[start : self.at]
        self.gap()
        if self.sees(","):
            self.fail("a comma too many")
        if self.at == len(self.text) or (closing and self.sees(closing)):
            return False
        if not parted:
            self.fail(f"{self.shown()} after a value; a comma or a new line is expected")
        return True

    def shown(self) -> str:
        return repr(self.text[self.at : self.at + 10].split("\n")[0]) if self.at < len(self.text) else "the end"

    # ------------------------------------------------------------ objects

    def file(self) -> None:
        """Read a whole file: its fields, with or without braces around them."""
        self.gap()
        if self.sees("["):
            self.fail("an array at the root; an object is expected")
        if self.takes("{"):
            self.fields(self.root, "}")
            self.gap()
        else:
            self.fields(self.root, "")
        if self.at < len(self.text):
            self.fail(f"{self.shown()} after the end of the root object")

    def fields(self, place: Object, closing: str) -> None:
        """Read fields up to and including the closing brace, or to the end of the text."""
        self.gap()
        while self.at < len(self.text) and not (closing and self.sees(closing)):
            if not self.statement():
                self.field(place)
            if not self.separator(closing):
                break
        if closing and not self.takes(closing):
            self.fail("an object without its closing brace")

    def statement(self) -> bool:
        """Read an include, if there is one here; returns whether there was."""
        found = _UNQUOTED.match(self.text, self.at)
        if found is None or found.group() != "include":
            return False
        if self.path or self.depth:
            self.fail("an include inside an object; only the top level of a file can have one here")
        self.at = found.end()
        self.gap()
        include, wrapped = self.source.include, 0
        if self.source.include_file is not None:
            wrapped += self.takes("required(")
            if self.takes("file("):
                include, wrapped = self.source.include_file, wrapped + 1
        if not self.sees('"'):
            self.fail(f'include {self.shown()}; only include "file" is understood')
        start = self.at
        name = self.quoted()
        if not self.takes(")" * wrapped):
            self.fail(f"{self.shown()} where an include ends")
        if not name.endswith((".conf", ".hocon", ".json")) or "://" in name:
            self.fail(f"include {name!r}; only names of .conf, .hocon and .json files are understood", start)
        _Parser(include(name), self.root).file()
        return True

    def field(self, place: Object) -> None:
        start = self.at
        key = self.key()
        appended = self.takes("+=")
        if not (appended or self.takes("=") or self.takes(":") or self.sees("{")):
            self.fail(f"{self.shown()} after the key {'.'.join(key)!r}; one of = : += {{ is expected", start)
        if appended and self.arrays:
            self.fail("+= inside an array, where keys have no path", start)
        outer, self.path = self.path, self.path + key
        if len(self.path) > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep", start)
        self.gap()
        value = self.value()
        if appended:
            value = Joined((Substitution(self.path, True, self.source.name, self.source.line(start)), [value]))
        self.path = outer
        place.put(key, value)

    def key(self) -> Path:
        """Read a path expression, up to the character that ends it."""
        segments, fresh, start = [""], True, self.at
        while True:
            if self.sees('"'):
                segments[-1] += self.quoted()
                fresh = False
            elif found := self.match(_UNQUOTED):
                first, *more = found.group().split(".")
                segments[-1] += first
                fresh = fresh and not first
                for segment in more:
                    if fresh:
                        self.fail("an empty segment in a key", start)
                    segments.append(segment)
                    fresh = not segment
            elif (blank := self.match(_BLANK)) is None or not self.continues():
                break
            elif fresh or self.sees("."):
                self.fail("whitespace beside the dot of a key", start)
            else:
                segments[-1] += blank.group()
        if fresh:
            self.fail(f"{self.shown()} where a key is expected" if segments == [""] else "a key that ends in a dot")
        return tuple(segments)

    def continues(self) -> bool:
        """True if another piece of a key or text begins here."""
        return self.sees('"') or _UNQUOTED.match(self.text, self.at) is not None

    # ------------------------------------------------------------ values

    def value(self) -> Any:
        """Read everything up to the end of the line, a comma or a closing bracket, as one value."""
        start = self.at
        parts: list[Any] = []
        while True:
            blank = self.match(_BLANK)
            part = self.part()
            if part is _NOTHING:
                break
            if blank and parts:
                parts.append(_Blank(blank.group()))
            parts.append(part)
        if not parts:
            self.fail(f"{self.shown()} where a value is expected")
        if len(parts) == 1:
            return _plain(parts[0])
        if any(isinstance(part, list | Object) for part in parts):
            return self.collections([part for part in parts if not isinstance(part, _Blank)], start)
        if any(isinstance(part, Substitution) for part in parts):
            return Joined(_with_texts_joined(parts))
        text = "".join(parts)
        if text[0] in "-0123456789" and not any(isinstance(part, _Quoted | _Blank) for part in parts):
            return ("number", text)  # such as 1. or 007: some programs read a number
        return text

    def part(self) -> Any:
        """Read one piece of a value, or `_NOTHING`."""
        if self.sees('"'):
            return _Quoted(self.quoted())
        if self.takes("${"):
            return self.substitution()
        if self.sees("{") or self.sees("["):
            return self.nested()
        if found := self.match(_NUMBER) or self.match(_UNQUOTED):
            return found.group()
        return _NOTHING

    def collections(self, parts: list[Any], start: int) -> Any:
        """Combine arrays or objects in a row, perhaps with substitutions between them."""
        kinds = {type(part) for part in parts} - {Substitution}
        if len(kinds) > 1:
            self.fail("values of different kinds in a row: text, arrays and objects do not mix", start)
        if any(isinstance(part, Substitution) for part in parts):
            return Joined(tuple(parts))
        if kinds == {list}:
            return [item for part in parts for item in part]
        for part in parts[1:]:
            parts[0].absorb(part)
        return parts[0]

    def nested(self) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"nested more than {MAX_DEPTH} deep")
        found: Any
        if self.takes("{"):
            found = Object()
            self.fields(found, "}")
        else:
            self.at += 1
            self.arrays += 1
            found = self.items()
            self.arrays -= 1
        self.depth -= 1
        return found

    def items(self) -> list[Any]:
        found: list[Any] = []
        self.gap()
        while not self.sees("]"):
            found.append(self.value())
            if not self.separator("]"):
                break
        if not self.takes("]"):
            self.fail("an array without its closing bracket")
        return found

    def substitution(self) -> Substitution:
        start = self.at - 2
        optional = self.takes("?")
        self.match(_BLANK)
        path = self.key()
        if not self.takes("}"):
            self.fail(f"{self.shown()} in a substitution; only ${{path}} and ${{?path}} are understood")
        return Substitution(path, optional, self.source.name, self.source.line(start))

    def quoted(self) -> str:
        start = self.at
        if self.sees('"""'):
            if found := self.match(_TRIPLE):
                return found.group(1)
        elif found := self.match(_QUOTED):
            return self.unescaped(found.group(), start)
        return self.fail("a quoted text without its end", start)

    def unescaped(self, quoted: str, start: int) -> str:
        try:
            return str(json.loads(quoted))
        except ValueError as error:
            return self.fail(f"the quoted text {quoted[:20]} is not valid: {error}", start)


class _Blank(str):
    """Whitespace between two pieces of a value."""

    __slots__ = ()


class _Quoted(str):
    """Quoted text, never a number or word."""

    __slots__ = ()


_NOTHING = object()


def _with_texts_joined(parts: list[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(str(part) if isinstance(part, str) else part)
    return tuple(found)


def _plain(part: Any) -> Any:
    """A single piece: text, or the number or word that unquoted text means."""
    if isinstance(part, _Quoted):
        return str(part)
    if not isinstance(part, str):
        return part
    if part in _WORDS:
        return _WORDS[part]
    if _NUMBER.fullmatch(part) is None:
        return part
    if len(part) > 40:
        return ("number", part)
    number = float(part) if set(part) & set(".eE") else int(part)
    return number if repr(number) == part else ("number", part)
