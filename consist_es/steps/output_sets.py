"""Output sets: many files that are one logical output, with facts read from their names."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consist_es.artifacts.describe import SET_DRIVER
from consist_es.artifacts.uris import inside
from consist_es.checks import check_key, check_option
from consist_es.errors import OutputSetError, UsageTypeError

DRIVER = SET_DRIVER
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class IntCapture:
    """A whole number in a file name, of exactly `digits` digits if given; captured as int."""

    digits: int | None = None

    @property
    def regex(self) -> str:
        """Regular expression for it."""
        return r"\d+" if self.digits is None else rf"\d{{{self.digits}}}"

    def ends(self, name: str, at: int) -> Iterable[int]:
        """Possible ends of a match that begins at `at`, the longest first."""
        found = re.compile(self.regex).match(name, at)
        return () if found is None else range(found.end(), at if self.digits is None else found.end() - 1, -1)

    def value(self, text: str) -> int:
        """The number."""
        return int(text)


@dataclass(frozen=True, slots=True)
class EnumCapture:
    """One of a list of words in a file name."""

    values: Sequence[str]

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not self.values or not all(isinstance(word, str) for word in self.values):
            raise UsageTypeError(f"EnumCapture takes a list of str, not {self.values!r}.")

    @property
    def regex(self) -> str:
        """Regular expression for it; longer words first, so that one word may begin with another."""
        return "|".join(re.escape(word) for word in sorted(self.values, key=len, reverse=True))

    def ends(self, name: str, at: int) -> Iterable[int]:
        """Possible ends of a match that begins at `at`, the longest first."""
        words = sorted(self.values, key=len, reverse=True)
        return (at + len(word) for word in words if name.startswith(word, at))

    def value(self, text: str) -> str:
        """The word."""
        return text


@dataclass(frozen=True, slots=True)
class FilenamePattern:
    """File names with named parts: ``FilenamePattern("skims_{year}_{mode}.omx", {"year": IntCapture(4)})``.

    A part without a capture of its own matches text without a slash. A name must match as a whole.
    """

    template: str
    captures: Mapping[str, IntCapture | EnumCapture] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields = _FIELD.findall(self.template)
        if unknown := sorted(set(self.captures) - set(fields)):
            raise OutputSetError(f"FilenamePattern({self.template!r}) has no part {unknown[0]!r}: it has {fields}.")
        if len(set(fields)) < len(fields):
            raise OutputSetError(f"FilenamePattern({self.template!r}) names a part twice. Name each part once.")

    def match(self, name: str) -> dict[str, Any] | None:
        """The captured parts of a name, or None if it does not match."""
        pieces = _FIELD.split(self.template)
        texts = self._texts(pieces, name, 0, 0, set())
        if texts is None:
            return None
        return {
            part: self.captures[part].value(text) if part in self.captures else text
            for part, text in zip(pieces[1::2], texts, strict=True)
        }

    def _texts(self, pieces: list[str], name: str, piece: int, at: int, dead: set[tuple[int, int]]) -> list[str] | None:
        """Texts of the parts from `piece` on, every one as long as it can be, or None.

        `dead`: positions known not to fit. Without it, as with a regular expression, a malicious name could take
        exponential time.
        """
        begin = at + len(pieces[piece])
        if (piece, at) in dead or not name.startswith(pieces[piece], at):
            return None
        if piece == len(pieces) - 1:
            return [] if begin == len(name) else None
        for end in self._ends(pieces[piece + 1], name, begin):
            if (rest := self._texts(pieces, name, piece + 2, end, dead)) is not None:
                return [name[begin:end], *rest]
        dead.add((piece, at))
        return None

    def _ends(self, part: str, name: str, at: int) -> Iterable[int]:
        if (capture := self.captures.get(part)) is not None:
            return capture.ends(name, at)
        slash = name.find("/", at)
        return range(len(name) if slash < 0 else slash, at, -1)


@dataclass(frozen=True, slots=True)
class OutputSet:
    """Files below `root` that together are one output.

    Args:
        root: relative to the run's own folder, or absolute.
        include: a glob, several, or a `FilenamePattern`; matched against names.
        exclude: globs of what to leave out.
        recursive: match relative paths, in all folders below.
        expected_count, expected_members: how many members, and their relative paths; or functions of the step's config.
        partition_key: a captured part that must differ between members.
        member_facets: ``member_facets(path, relative path, config)`` adds facets of one member to those captured from
            its name.
        validate: ``manifest`` or ``exists``, for compatibility; it changes nothing.
    """

    root: str | os.PathLike[str]
    include: str | Sequence[str] | FilenamePattern
    exclude: str | Sequence[str] | None = None
    recursive: bool = False
    kind: str | None = None
    schema: Any = None
    profile_file_schema: bool | None = None
    file_schema_sample_rows: int | None = None
    expected_count: int | Callable[[Any], int] | None = None
    expected_members: Sequence[str] | Callable[[Any], Sequence[str]] | None = None
    partition_key: str | None = None
    member_facets: Callable[[Path, str, Any], Mapping[str, Any] | None] | None = None
    facet: Any = None
    validate: str = "manifest"

    def __post_init__(self) -> None:
        check_option("validate", self.validate, ("manifest", "exists"), optional=False)

    def identity(self, config: Any) -> dict[str, Any]:
        """The settings that count for the step's identity: those that select and check the members.

        Expectations count too: a run that was not checked against them must not answer for one that is.
        """
        include: Any = self.include
        if isinstance(include, FilenamePattern):
            captures = {name: [type(item).__name__, item.regex] for name, item in include.captures.items()}
            include = {"template": include.template, "captures": captures}
        count, members = self._expected(config)
        return {
            "root": os.fspath(self.root),
            "include": include,
            "exclude": self.exclude,
            "recursive": self.recursive,
            "expected_count": count,
            "expected_members": None if members is None else sorted(members),
            "partition_key": self.partition_key,
        }

    def _expected(self, config: Any) -> tuple[int | None, Sequence[str] | None]:
        count = self.expected_count(config) if callable(self.expected_count) else self.expected_count
        return count, self.expected_members(config) if callable(self.expected_members) else self.expected_members

    def members(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Relative path -> captured parts, sorted.

        Raises:
            OutputSetError: the folder is missing or not a folder, or a member is a link.
        """
        if not folder.is_dir():
            raise OutputSetError(
                f"Output set root {folder} {'is not a folder' if folder.exists() else 'does not exist'}. "
                "Let the step make it."
            )
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(folder.rglob("*") if self.recursive else folder.iterdir()):
            rel = path.relative_to(folder).as_posix()
            if path.is_dir() and not path.is_symlink():
                continue
            parts = self._parts(rel)
            if parts is None:
                continue
            if path.is_symlink():
                raise OutputSetError(f"Output set member {path} is a link: write the file itself into the folder.")
            found[rel] = parts
        return found

    def globs(self) -> list[str]:
        """Glob patterns that all members match, and possibly other files."""
        if isinstance(self.include, FilenamePattern):
            return [_FIELD.sub("*", self.include.template)]
        return list(_patterns(self.include))

    def _parts(self, rel: str) -> dict[str, Any] | None:
        if any(fnmatch.fnmatchcase(rel, pattern) for pattern in _patterns(self.exclude)):
            return None
        if isinstance(self.include, FilenamePattern):
            return self.include.match(rel)
        return {} if any(fnmatch.fnmatchcase(rel, pattern) for pattern in _patterns(self.include)) else None

    def check(self, key: str, members: Mapping[str, Mapping[str, Any]], config: Any) -> None:
        """Check the members against the expectations.

        Raises:
            OutputSetError: members that are missing, too many, or the same by `partition_key`.
        """
        count, wanted = self._expected(config)
        if count is not None and len(members) != count:
            raise OutputSetError(f"Output set {key!r} has {len(members)} members, but {count} were expected.")
        if wanted is not None and set(wanted) != set(members):
            missing, extra = sorted(set(wanted) - set(members)), sorted(set(members) - set(wanted))
            raise OutputSetError(f"Output set {key!r}: missing members {missing}, unexpected members {extra}.")
        if self.partition_key is not None:
            values = [parts.get(self.partition_key) for parts in members.values()]
            if None in values or len(set(values)) < len(values):
                raise OutputSetError(
                    f"Output set {key!r}: partition_key {self.partition_key!r} does not tell members apart: {values}."
                )


def _patterns(given: str | Iterable[str] | FilenamePattern | None) -> tuple[str, ...]:
    if given is None or isinstance(given, FilenamePattern):
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def folder_of(spec: OutputSet, directory: Path) -> Path:
    """Folder of a set; `directory` is the run's own folder."""
    root = Path(spec.root)
    return root if root.is_absolute() else inside(directory, root.as_posix(), root)


def output_sets_of(given: Any) -> dict[str, OutputSet]:
    """The declared output sets of a step, checked."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(spec, OutputSet) for spec in given.values()):
        raise UsageTypeError(f"output_sets takes a mapping of key to OutputSet, not {given!r}.")
    return {check_key(key, "output_sets key"): spec for key, spec in given.items()}
