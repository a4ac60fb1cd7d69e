"""Reads the data in a configuration file's text. Invalid or ambiguous text is refused, never guessed.

Comments, whitespace and the order of keys do not show in the data. A duplicate key is refused in every format but
HOCON, which has a rule for it: elsewhere programs differ in which one counts.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consist_es.adapters.hocon import Source, read_hocon
from consist_es.adapters.numbers import exact
from consist_es.adapters.yaml_nodes import read_yaml
from consist_es.adapters.yaml_values import Shape, yaml_values
from consist_es.errors import ConfigFileError, InputError
from consist_es.values.digests import digest_of

SUFFIXES = {
    ".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml", ".ini": "ini", ".conf": "hocon",
    ".hocon": "hocon",
}  # fmt: skip
"""Suffix in lower case -> format; other files count by their bytes."""
FORMATS = ("yaml", "json", "toml", "ini", "hocon", "bytes", "pyyaml", "text", "hocon-files")
"""The last three choose a reading where programs differ: like PyYAML, which takes the last of two equal keys; as plain
text, for templates; HOCON in which ``include file("…")`` starts from the working directory."""
MAX_BYTES = 16 << 20

ReadBytes = Callable[[Path], bytes]


def read_data(path: Path, kind: str, read_bytes: ReadBytes) -> Any:
    """Data of a file of one of the `FORMATS` but ``bytes``; `read_bytes` is called for it and for its includes.

    Raises:
        ConfigFileError: it is not valid. MissingExtraError: it needs a package that is not installed.
    """
    text = _text(path, read_bytes)
    if kind in ("hocon", "hocon-files"):
        return read_hocon(source_of(path, text, read_bytes, files=kind == "hocon-files"))
    if kind == "text":
        return text.splitlines()
    if kind == "pyyaml":
        return _as_pyyaml(text, str(path))
    return _READERS[kind](text, str(path))


def _text(path: Path, read_bytes: ReadBytes) -> str:
    data = read_bytes(path)
    if len(data) > MAX_BYTES:
        raise ConfigFileError(path, None, f"{len(data):,} bytes; files up to {MAX_BYTES:,} are read as configuration")
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigFileError(path, line, "a byte that is not UTF-8") from error


def _as_pyyaml(text: str, name: str) -> Any:
    shape = Shape(name)
    data = shape.of(yaml_values(text, name))
    if not shape.orders:
        return data
    named = data if isinstance(data, dict) else {"(root)": data}
    return {**named, "(order)": ("bytes", digest_of(repr(shape.orders).encode()))}


def source_of(path: Path, text: str, read_bytes: ReadBytes, *, files: bool) -> Source:
    """A HOCON file with its includes. `files`: ``include file("…")`` is read, from the working directory."""
    return _source(path, text, read_bytes, (path,), files)


def _source(path: Path, text: str, read_bytes: ReadBytes, open_files: tuple[Path, ...], files: bool) -> Source:
    def include(name: str) -> Source:
        return included_from(path.parent, name)

    def include_file(name: str) -> Source:
        return included_from(Path(), name)

    def included_from(folder: Path, name: str) -> Source:
        found = folder / name
        if os.path.realpath(found) in map(os.path.realpath, open_files):
            raise ConfigFileError(path, None, f"include {name!r} includes itself, directly or by way of other files")
        try:
            included = _text(found, read_bytes)
        except InputError as error:
            raise ConfigFileError(path, None, f"include {name!r} cannot be read: {error}") from error
        return _source(found, included, read_bytes, (*open_files, found), files)

    return Source(str(path), text, include, include_file if files else None)


# ---------------------------------------------------------------- the formats that Python reads


class _Twice(ValueError):
    """Raised for a duplicate key in a JSON object."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(
            text, object_pairs_hook=_pairs, parse_float=exact, parse_int=lambda digits: exact(digits, whole=True)
        )
    except _Twice as error:
        key = str(error)
        found = re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text)
        lines = [text.count("\n", 0, match.start()) + 1 for match in found]
        where = f" (lines with that key: {', '.join(map(str, lines))})" if lines else ""
        problem = f"the key {key!r} is there twice in one object{where}; programs differ in which counts"
        raise ConfigFileError(name, lines[1] if len(lines) == 2 else None, problem) from error
    except RecursionError as error:
        raise ConfigFileError(name, None, "nested too deep") from error
    except ValueError as error:
        line = getattr(error, "lineno", None)
        problem = f"not valid JSON: {getattr(error, 'msg', error)}"
        raise ConfigFileError(name, line, problem) from error


def _toml(text: str, name: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(text, parse_float=exact)
    except RecursionError as error:
        raise ConfigFileError(name, None, "nested too deep") from error
    except ValueError as error:
        line = re.search(r"\(at line (\d+)", str(error))
        raise ConfigFileError(name, int(line[1]) if line else None, f"not valid TOML: {error}") from error


def _ini(text: str, name: str) -> Any:
    """As configparser reads it without interpolation, with names unchanged: section -> option -> text."""
    import configparser

    parser = configparser.RawConfigParser(default_section="\0", allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep case
    try:
        parser.read_string(text, name)
    except configparser.Error as error:
        listed = getattr(error, "errors", None)
        line = listed[0][0] if listed else getattr(error, "lineno", None)
        problem = error.message.split("\n")[0] if listed else str(error).replace("\n", " ")
        raise ConfigFileError(name, line, f"not valid INI: {problem}") from error
    return {section: dict(parser.items(section)) for section in parser.sections()}


_READERS: dict[str, Callable[[str, str], Any]] = {"yaml": read_yaml, "json": _json, "toml": _toml, "ini": _ini}
