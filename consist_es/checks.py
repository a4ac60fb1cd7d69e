"""Checks of arguments: keys, run ids, names, options, years. Each error says what to do."""

import operator
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from consist_es.errors import InvalidNameError, KeyNameError, OptionError, UsageError, UsageTypeError

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
    # What is printable has none of these, and is told in one call.
    if not name.isprintable() and any(unicodedata.category(char) in {"Cc", "Cs", "Cf", "Zl", "Zp"} for char in name):
        raise InvalidNameError(what, name, "it contains a control or formatting character")
    return name


def check_run_id(run_id: object, scenario: str | None = None) -> str:
    """Like `check_name`; ``#`` and a number at the end are reserved for attempts (``baseline#2``).

    An id that ends with its `scenario`'s id, ``costs_baseline#2``, becomes ``costs_baseline``: the log counts attempts.
    """
    name = check_name(run_id, "run_id")
    if (attempt := _ATTEMPT.search(name)) is None:
        return name
    if scenario is not None and len(name) > len(scenario) and name.endswith(scenario):
        return name[: attempt.start()]
    why = "'#' and a number at its end are reserved for numbering attempts; put something after it"
    raise InvalidNameError("run_id", name, why)


def safe_name(text: str, limit: int = 60) -> str:
    """`text` as one file name: characters outside letters, digits, ``-_.`` become ``_``. Not unique by itself."""
    cleaned = re.sub(r"[^A-Za-z0-9\-_.]", "_", text)[:limit].strip(".")
    return cleaned or "_"


def key_from_path(path: PurePath, taken: Iterable[str] = ()) -> str:
    """A valid key made from a file's stem, different from those taken."""
    stem = re.sub(r"[^A-Za-z0-9_.\-]", "_", path.name.split(".")[0] or path.name)
    stem = re.sub(r"\.{2,}", ".", stem).lstrip(".-") or "file"
    return free_name(stem, taken)


def free_name(name: str, taken: Iterable[str]) -> str:
    """`name`, with the first number from 2 on that makes it unique if it is taken."""
    used, free, count = set(taken), name, 1
    while free in used:
        count += 1
        free = f"{name}_{count}"
    return free


def check_option(name: str, value: Any, allowed: Sequence[str], *, optional: bool = True) -> None:
    """Refuse a value that is not in `allowed`.

    Raises:
        OptionError: lists the allowed values.
    """
    if not (optional and value is None) and value not in allowed:
        raise OptionError(name, value, allowed)


def check_options(group: object, **allowed: Sequence[str]) -> None:
    """`check_option` for each of these attributes; None is allowed.

    Raises:
        OptionError: lists the allowed values.
    """
    for name, values in allowed.items():
        check_option(name, getattr(group, name), values)


def folders(value: object, what: str) -> tuple[str | os.PathLike[str], ...]:
    """A list of folders; a single path is one folder.

    Raises:
        UsageTypeError: an item is neither a str nor a path.
    """
    items = () if value is None else (value,) if isinstance(value, str | os.PathLike) else value
    if not isinstance(items, Iterable):
        raise UsageTypeError(f"{what} takes a folder or a list of folders, not {type(value).__name__}: {value!r}.")
    found = tuple(items)
    for item in found:
        if not isinstance(item, str | os.PathLike):
            raise UsageTypeError(f"{what} takes folders; {item!r} is {type(item).__name__}.")
    return found


def names(value: str | Iterable[str] | None, what: str) -> tuple[str, ...]:
    """A list of names; a single str is one name, never a list of characters.

    Raises:
        UsageTypeError: an item is not a str.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Iterable):
        raise UsageTypeError(f"{what} takes a list of str, not {type(value).__name__}.")
    items = tuple(value)
    for item in items:
        if not isinstance(item, str):
            raise UsageTypeError(f"{what} takes a list of str; {item!r} is {type(item).__name__}.")
    return items


def checked_year(name: str, value: Any) -> int | None:
    """A year or iteration as a plain int (numpy's integers are taken).

    Raises:
        UsageTypeError: no integer. UsageError: beyond 64 bits.
    """
    if value is None:
        return None
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise UsageTypeError(f"{name} takes an int, not {type(value).__name__}: {value!r}.")
    if not -(2**63) <= number < 2**63:
        raise UsageError(f"{name}={number} is beyond 64 bits. Use a smaller number.")
    return number


def check_labels(labelled: Any, years: Sequence[str], texts: Sequence[str]) -> None:
    """Check these attributes and replace them by the checked form. Raises as `checked_year` and `checked_text`."""
    for name in years:
        setattr(labelled, name, checked_year(name, getattr(labelled, name)))
    for name in texts:
        setattr(labelled, name, checked_text(name, getattr(labelled, name)))


def checked_limit(value: Any) -> int | None:
    """A checked limit; None for no limit.

    Raises:
        UsageTypeError: no integer. UsageError: below 0, or beyond 64 bits.
    """
    limit = checked_year("limit", value)
    if limit is not None and limit < 0:
        raise UsageError(f"limit={limit} is below 0: give how many at most, or None for all.")
    return limit


def checked_text(name: str, value: Any) -> str | None:
    """A description or label.

    Raises:
        UsageTypeError: not a str. UsageError: characters that cannot be encoded as UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise UsageTypeError(f"{name} takes a str, not {type(value).__name__}: {value!r}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{name}={value!a} contains a lone surrogate, which is not a character. Remove it.") from error
    return str(value)
