"""Encodes plain forms (see `consist_es.values.plain`) as bytes; long lists of numbers or texts in one go."""

import itertools
import math
import struct
import types
from collections.abc import Callable, Sequence
from typing import Any

from consist_es.values.key_names import KEY_MODULES

INT64 = range(-(2**63), 2**63)
MAX_TEXT = 1_000_000
"""Characters in a string, bytes in a bytes value."""
_ENCODED = (itertools.repeat("utf-8"), itertools.repeat("surrogatepass"))
"""Encoding of texts: file names need not be UTF-8. A plain form itself holds such a text as escapes."""
_CONSTANTS = {None: b"n", True: b"t", False: b"f"}
MANY = 16
"""Lists longer than this are encoded in one go, if their items are alike."""
_NESTED = 2
"""How deep nested tuples or lists are split by position; few levels, because each may double the work."""


def type_name(cls: type | types.FunctionType | types.BuiltinFunctionType) -> str:
    """Module-qualified name of a class or function, as cache keys have it."""
    module = module_name(cls)
    return f"{KEY_MODULES.get(module, module)}.{cls.__qualname__}"


IN_ORDER = "$in_order"
"""Tag of a mapping whose keys are not in ascending order, where that counts."""


def module_name(cls: type | types.FunctionType | types.BuiltinFunctionType) -> str:
    """Module that a class or function names as its own; "" for one that `exec` made without a module."""
    found = getattr(cls, "__module__", "")
    return found if isinstance(found, str) else ""


def is_itself(value: Any) -> bool:
    """True if a value is its own plain form, as most are: then nobody needs to be told where it is."""
    kind = type(value)
    if kind is str:
        return value.isascii() and len(value) <= MAX_TEXT
    if kind is float:
        return math.isfinite(value)
    return kind is bool or value is None or (kind is int and value in INT64)


def frame(plain: Any) -> bytes:
    """Bytes of a plain form, equal exactly if the forms are: every part carries its type and length.

    The order of dict keys does not count. The format is part of every fingerprint: changing it changes them all.
    """
    out: list[bytes] = []
    _frame(plain, out.append)
    return b"".join(out)


def _frame(plain: Any, put: Callable[[bytes], None]) -> None:
    if isinstance(plain, str):
        data = plain.encode(errors="surrogatepass")
        put(b"s%d:%b" % (len(data), data))
    elif isinstance(plain, list):
        put(b"l%d:" % len(plain))
        if len(plain) > MANY:
            put(b"".join(frames(plain)))
        else:
            for item in plain:
                _frame(item, put)
    elif isinstance(plain, dict):
        put(b"m%d:" % len(plain))
        if len(plain) > MANY:
            names = sorted(plain)
            values = frames([plain[name] for name in names])
            put(b"".join(itertools.chain.from_iterable(zip(frames(names), values, strict=True))))
        else:
            for key, item in sorted(plain.items()):
                _frame(key, put)
                _frame(item, put)
    else:
        put(_number(plain))


def is_same(one: Any, other: Any) -> bool:
    """True if two plain forms have the same `frame`: 1, 1.0 and True differ, as do 0.0 and -0.0."""
    kind = type(one)
    if kind is not type(other):
        return False
    if kind is list:
        return len(one) == len(other) and all(map(is_same, one, other))
    if kind is dict:
        return one.keys() == other.keys() and all(is_same(item, other[key]) for key, item in one.items())
    return bool(one == other) and (kind is not float or repr(one) == repr(other))


def _number(plain: float | bool | None) -> bytes:
    if plain is None or isinstance(plain, bool):
        return _CONSTANTS[plain]
    return b"i%d;" % plain if isinstance(plain, int) else b"d" + struct.pack(">d", plain)


def frames(forms: Sequence[Any]) -> list[bytes]:
    """`frame` of each form; items of one type in one go, and rows of one shape by their columns."""
    kinds = set(map(type, forms)) if len(forms) > MANY else set()
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is int:
        return [b"i%d;" % form for form in forms]
    if kind is str:
        return [b"s%d:%b" % (len(data), data) for data in map(str.encode, forms, *_ENCODED)]
    if kind is float:
        packed = struct.pack(f">{len(forms)}d", *forms)
        return [b"d" + packed[at : at + 8] for at in range(0, len(packed), 8)]
    if kind is list and len(lengths := set(map(len, forms))) == 1:
        head = b"l%d:" % lengths.pop()
        return _rows(head, [frames(column) for column in zip(*forms, strict=True)], len(forms))
    if kind is dict and (keys := forms[0].keys()) and all(form.keys() == keys for form in forms):
        names = sorted(keys)
        columns = [frames([form[name] for form in forms]) for name in names]
        heads = [[frame(name)] * len(forms) for name in names]
        pairs = [column for pair in zip(heads, columns, strict=True) for column in pair]
        return _rows(b"m%d:" % len(names), pairs, len(forms))
    return [frame(form) for form in forms]


def _rows(head: bytes, columns: list[list[bytes]], count: int) -> list[bytes]:
    if not columns:
        return [head] * count
    return [head + b"".join(row) for row in zip(*columns, strict=True)]


def by_frame(forms: list[Any]) -> list[Any]:
    """Forms, sorted by their bytes."""
    framed = frames(forms)
    return [forms[place] for place in sorted(range(len(forms)), key=framed.__getitem__)]


def alike(values: Sequence[Any], nested: int = _NESTED) -> list[Any] | None:
    """Plain forms of numbers, texts, or tuples and lists of them, if all are of one type; None for others.

    Also None for a few, and if any needs a closer look: a huge number, an infinity, a long text, or one beyond ASCII.
    """
    kinds = set(map(type, values)) if len(values) > MANY else set()
    kind = kinds.pop() if len(kinds) == 1 else None
    simple = (
        (kind is int and min(values) in INT64 and max(values) in INT64)
        or (kind is float and all(map(math.isfinite, values)))
        or (kind is str and all(map(str.isascii, values)) and max(map(len, values)) <= MAX_TEXT)
        or kind in (bool, type(None))
    )
    if simple:
        return list(values)
    if kind not in (tuple, list) or not nested or len(set(map(len, values))) != 1 or not values[0]:
        return None
    columns = [alike(column, nested - 1) for column in zip(*values, strict=True)]
    if any(column is None for column in columns):
        return None
    rows = map(list, zip(*(column for column in columns if column is not None), strict=True))
    return [{"$tuple": row} for row in rows] if kind is tuple else list(rows)
