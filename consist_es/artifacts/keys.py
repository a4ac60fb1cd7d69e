"""The rules for artifact keys, run ids and names, used everywhere."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

from consist_es.errors import InvalidNameError, KeyNameError, UsageTypeError

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:\-]*")
_ATTEMPT = re.compile(r"#\d+$")
MAX_NAME = 256


def check_key(key: object, what: str = "artifact key") -> str:
    """Return `key` if it is a valid artifact key.

    Raises:
        UsageTypeError: not a str.
        KeyNameError: empty, too long, or of characters that are not allowed.
    """
    if not isinstance(key, str):
        raise UsageTypeError(f"{what} must be a str, not {type(key).__name__}: {key!r}.")
    if not key:
        raise KeyNameError(key, "it is empty", what=what)
    if len(key) > MAX_NAME:
        raise KeyNameError(key, f"it has {len(key)} characters", what=what)
    if ".." in key or "//" in key:
        raise KeyNameError(key, "it contains '..' or '//'", what=what)
    if not _KEY.fullmatch(key):
        raise KeyNameError(key, "it has a character that is not allowed there", what=what)
    return key


def check_name(name: object, what: str) -> str:
    """Return `name` if it can name a run, step, model or tag: printable, not blank, at most 256 characters."""
    if not isinstance(name, str):
        raise UsageTypeError(f"{what} must be a str, not {type(name).__name__}: {name!r}.")
    if not name.strip():
        raise InvalidNameError(what, name, "it is blank")
    if len(name) > MAX_NAME:
        raise InvalidNameError(what, name, f"it has {len(name)} characters")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Cf", "Zl", "Zp"} for char in name):
        raise InvalidNameError(what, name, "it contains a control or formatting character")
    return name


def check_run_id(run_id: object, scenario: str | None = None) -> str:
    """Like `check_name`; ``#`` and a number at the end are kept for attempts (``baseline#2``).

    An id that ends with that of its `scenario`, ``costs_baseline#2``, is ``costs_baseline``: the log counts attempts.
    """
    name = check_name(run_id, "run_id")
    if (attempt := _ATTEMPT.search(name)) is None:
        return name
    if scenario is not None and len(name) > len(scenario) and name.endswith(scenario):
        return name[: attempt.start()]
    why = "'#' and a number at its end are kept for numbering attempts; put something behind it"
    raise InvalidNameError("run_id", name, why)


def safe_name(text: str, limit: int = 60) -> str:
    """`text` as one file name: characters outside letters, digits, ``-_.`` become ``_``. Not unique by itself."""
    cleaned = re.sub(r"[^A-Za-z0-9\-_.]", "_", text)[:limit].strip(".")
    return cleaned or "_"


def key_from_path(path: PurePath, taken: Iterable[str] = ()) -> str:
    """A valid key made from a file's stem, unlike those already taken."""
    stem = re.sub(r"[^A-Za-z0-9_.\-]", "_", path.name.split(".")[0] or path.name)
    stem = re.sub(r"\.{2,}", ".", stem).lstrip(".-") or "file"
    return free_name(stem, taken)


def free_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or with the first number from 2 on that makes it unlike those taken."""
    used, free, count = set(taken), name, 1
    while free in used:
        count += 1
        free = f"{name}_{count}"
    return free
