"""Plain JSON forms of users' values: configs, facets, metadata.

`to_plain` gives a readable tree of JSON values that describes the value fully; `from_plain` gives Python values back;
`frame` (in `consist_es.values.encoding`) turns such a tree into bytes, equal exactly if the trees are. Values that JSON
lacks are dicts with one key that begins with "$": ``{"$float": "nan"}``, ``{"$tuple": [1, 2]}``. A user's own key that
begins with "$" gets a second one, so that data is never mistaken for a tag.

Nothing here evaluates or unpickles anything.
"""

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import itertools
import math
import operator
import pathlib
import re
import struct
import sys
import time
import types
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from consist_es.errors import ConfigTypeError, ConfigValueError, ConsistWarning
from consist_es.text import shortened
from consist_es.values.encoding import IN_ORDER, INT64, MANY, alike, by_frame, is_itself
from consist_es.values.encoding import MAX_TEXT as MAX_TEXT
from consist_es.values.encoding import frame as frame
from consist_es.values.encoding import module_name as module_name
from consist_es.values.encoding import type_name as type_name
from consist_es.values.secret import Masked, Secret
from consist_es.values.times import bare_zone, moment, moments_back, timestamp_back

MAX_DEPTH = 100
MAX_KEY = 256
MAX_KEYS = 100_000

SLOW_SECONDS = 1.0
_QUICK = frozenset({type(None), bool, int, float, str})
"""Types too quick to time: reading the thread's clock is a system call, and takes longer than they do."""
_SLOW: set[str] = set()
"""Names (`where`) of values already warned about as slow."""
_ATTRS = "__attrs_attrs__"
_NAN = struct.pack(">d", float("nan"))


def to_plain(value: Any, where: str = "value", *, ordered: bool = False) -> Any:
    """The JSON form of `value`; `where` names it in messages. `ordered`: the order of keys counts, for the code that
    goes through them; keys in ascending order have the same form either way.

    Raises `ConfigTypeError` for a value without a canonical form (functions, open files, generators, objects of unknown
    classes) and `ConfigValueError` for one that contains itself, is nested more than 100 deep, or has a key over 256 or
    a string over 1,000,000 characters. Both name the path to the value. Warns, once per process and `where`, of a value
    that takes longer than a second: that is a second for every step that it counts for.
    """
    if type(value) in _QUICK:
        return _Walk().plain(value, where)
    began = time.thread_time()
    plain = _Walk(ordered=ordered).plain(value, where)
    took = time.thread_time() - began
    if took > SLOW_SECONDS and where not in _SLOW:
        _SLOW.add(where)
        warnings.warn(
            f"{where}: taking the digest of this {type_name(type(value)).removeprefix('builtins.')} took {took:.1f} s, "
            "and takes that long for every step that uses it. Write it to a file and pass that as an input.",
            ConsistWarning,
            stacklevel=2,
        )
    return plain


def object_fields(value: Any) -> dict[str, Any] | None:
    """Field values of a dataclass, msgspec struct, pydantic model, attrs or named tuple instance; else None.

    Attributes set besides the fields count too, cached properties do not.
    """
    cls = type(value)
    names: Iterable[str]
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls)]
    elif isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    elif any(_ATTRS in vars(base) for base in cls.__mro__):
        names = [field.name for field in getattr(cls, _ATTRS)]
    elif isinstance(value, tuple) and hasattr(cls, "_fields"):
        names = cls._fields
    elif is_pydantic(value):
        names = [*cls.model_fields, *(value.__pydantic_extra__ or {}), *(value.__pydantic_private__ or {})]
    else:
        return None
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    for name, extra in getattr(value, "__dict__", {}).items():
        if not isinstance(getattr(cls, name, None), functools.cached_property):
            found.setdefault(name, extra)
    return found


def is_pydantic(value: Any) -> bool:
    """True for a model of pydantic 2; does not import pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(value, pydantic.BaseModel)


def _unset(value: Any, fields: Mapping[str, Any]) -> list[Any]:
    """Fields of a pydantic model that were not given and have their default; `exclude_unset` omits them."""
    if not is_pydantic(value):
        return []
    unset = sorted(name for name in type(value).model_fields if name in fields and name not in value.model_fields_set)
    return [{"$unset": unset}] if unset else []


class _Walk:
    """One call of `to_plain`, with the ids of the containers it is inside of."""

    def __init__(self, *, ordered: bool = False) -> None:
        self.open: set[int] = set()
        self._ordered = ordered

    def plain(self, value: Any, where: str) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return _text(value, where)
        if kind is int:
            return value if value in INT64 else {"$int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"$float": _not_finite(value)}
        if kind in _SCALARS:
            return _SCALARS[kind](value, where)
        return self._inside(value, where)

    def _inside(self, value: Any, where: str) -> Any:
        if (own := id(value)) in self.open:  # once: each call raises an audit event
            raise ConfigValueError(f"{where}: the value contains itself. Pass a tree of values instead.")
        if len(self.open) >= MAX_DEPTH:
            raise ConfigValueError(f"{where}: nested more than {MAX_DEPTH} deep. Flatten the value.")
        self.open.add(own)
        try:
            return self._container(value, where)
        finally:
            self.open.discard(own)

    def _container(self, value: Any, where: str) -> Any:
        kind = type(value)
        if kind is dict:
            return self._mapping(value, where)
        if kind is list:
            return self._items(value, where)
        if kind is tuple:
            return {"$tuple": self._items(value, where)}
        if kind in _SETS:
            return {_SETS[kind]: by_frame(self._items(list(value), where))}
        if isinstance(value, enum.Enum):
            return {"$enum": [type_name(kind), value.name, self.plain(value.value, f"{where}.value")]}
        if isinstance(value, pathlib.PurePath):
            return {"$path": _path(value, where)}
        return self._foreign(value, where)

    def _foreign(self, value: Any, where: str) -> Any:
        from consist_es.values import frames as plain_frames  # numpy and friends: only their own values come this far

        kind = type(value)
        tagged = plain_frames.tagged(value, where, self.plain) if kind.__module__ != "builtins" else None
        if tagged is None and isinstance(value, dt.tzinfo):
            tagged = bare_zone(value, where)
        if tagged is not None:
            return tagged
        fields = object_fields(value)
        if fields is None and isinstance(value, tuple(_BASES)):
            fields = self._subclass(value)
        if fields is not None:
            return {"$object": [type_name(kind), self._fields(fields, where), *_unset(value, fields)]}
        if isinstance(value, Mapping):
            return {"$object": [type_name(kind), {"": self.plain(dict(value), where)}]}
        if module_name(kind).partition(".")[0] == "pydantic" and hasattr(value, "get_secret_value"):
            return {"$secret": self.plain(value.get_secret_value(), where)}
        raise ConfigTypeError(
            f"{where}: {type_name(kind).removeprefix('builtins.')} is not supported: it has no canonical form. "
            "Use numbers, strings, lists, dicts, dates, paths, enums, dataclasses or arrays, "
            "or pass it through runtime_kwargs."
        )

    def _subclass(self, value: Any) -> dict[str, Any]:
        """Content and own attributes of an instance of a builtin type's subclass."""
        base = next(base for base in _BASES if isinstance(value, base))
        content, state = _BASES[base](value), object.__getstate__(value)
        return {"": content} if not state else {"": content, "state": state}

    def _fields(self, fields: dict[str, Any], where: str) -> dict[str, Any]:
        return {
            _key(name, where): self.plain(item, f"{where}.{name}" if name else where) for name, item in fields.items()
        }

    def _items(self, items: Sequence[Any], where: str) -> list[Any]:
        found = self._alike(items)
        return found or [v if is_itself(v) else self.plain(v, f"{where}[{i}]") for i, v in enumerate(items)]

    def _alike(self, items: Sequence[Any]) -> list[Any] | None:
        return alike(items) if len(items) > MANY and len(self.open) < MAX_DEPTH - 2 else None

    def _mapping(self, value: Mapping[Any, Any], where: str) -> Any:
        if len(value) > MAX_KEYS:
            raise ConfigValueError(
                f"{where}: {len(value)} keys; at most {MAX_KEYS} are allowed. Pass a file as an input."
            )
        items = self._alike(tuple(value.values()))
        if items is None:
            items = [v if is_itself(v) else self.plain(v, f"{where}[{_short(key)}]") for key, v in value.items()]
        keys = self._alike(tuple(value))
        if keys is not None and type(keys[0]) is str and max(map(len, keys)) <= MAX_KEY and "$" not in "".join(keys):
            return self._named(dict(zip(keys, items, strict=True)))
        if all(type(key) is str and _is_clean(key) for key in value):
            return self._named({_key(key, where): item for key, item in zip(value, items, strict=True)})
        if keys is None:
            keys = [self.plain(key, f"{where} key {_short(key)}") for key in value]
        pairs = [list(pair) for pair in zip(keys, items, strict=True)]
        ascending = by_frame(pairs)
        return {IN_ORDER: pairs} if self._ordered and pairs != ascending else {"$map": ascending}

    def _named(self, plain: dict[str, Any]) -> dict[str, Any]:
        if not self._ordered or all(map(operator.le, plain, itertools.islice(plain, 1, None))):
            return plain
        return {IN_ORDER: [[key, item] for key, item in plain.items()]}


# ---------------------------------------------------------------- leaves


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, (str, int, float, tuple, bytes)) else type(value).__name__
    return shortened(text, 60)


def _is_clean(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _key(key: str, where: str) -> str:
    if len(key) > MAX_KEY:
        raise ConfigValueError(
            f"{where}: the key {key[:40]!r}… has {len(key)} characters; at most {MAX_KEY} are allowed."
        )
    return "$" + key if key.startswith("$") else key


def _text(text: str, where: str) -> Any:
    if len(text) > MAX_TEXT:
        raise ConfigValueError(
            f"{where}: a string of {len(text)} characters; at most {MAX_TEXT} are allowed. Pass a file as an input."
        )
    return text if _is_clean(text) else {"$str": text.encode("unicode_escape").decode("ascii")}


def _bytes(value: bytes | bytearray, where: str) -> str:
    if len(value) > MAX_TEXT:
        raise ConfigValueError(f"{where}: {len(value)} bytes; at most {MAX_TEXT} are allowed. Pass a file as an input.")
    return base64.b64encode(value).decode("ascii")


def _path(value: pathlib.PurePath, where: str) -> Any:
    """Posix text; in a list with the class name if it is not the machine's own kind of path."""
    text = _text(value.as_posix(), where)
    return text if type(value) in (pathlib.PosixPath, pathlib.WindowsPath) else [type_name(type(value)), text]


def _not_finite(value: float) -> str:
    """Text of an infinity or a NaN. One with other bits than ``float("nan")`` shows them: copysign reads them."""
    bits = struct.pack(">d", value)
    return repr(value) if math.isinf(value) or bits == _NAN else f"nan:{bits.hex()}"


def _float_back(body: str) -> float:
    _, _, bits = body.partition(":")
    return float(struct.unpack(">d", bytes.fromhex(bits))[0]) if bits else float(body)


def _complex(value: complex, where: str) -> Any:
    return {"$complex": [_Walk().plain(value.real, where), _Walk().plain(value.imag, where)]}


class _Factory:
    """The default_factory of a defaultdict."""

    def __init__(self, made_by: Any) -> None:
        self.made_by = made_by


def _factory(value: _Factory, where: str) -> dict[str, Any]:
    """A class or function by its name. The project's own code also counts, as the code of any value does."""
    made_by = value.made_by
    alone = isinstance(getattr(made_by, "__self__", None), types.ModuleType)  # not a method of some object
    if not isinstance(made_by, (type, types.FunctionType)) and not (callable(made_by) and alone):
        raise ConfigTypeError(
            f"{where}: {type_name(type(made_by))} is not supported as default_factory; use a class or a function."
        )
    return {"$callable": type_name(made_by)}


_SCALARS: dict[type, Callable[[Any, str], Any]] = {
    bytes: lambda value, where: {"$bytes": _bytes(value, where)},
    bytearray: lambda value, where: {"$bytearray": _bytes(value, where)},
    complex: _complex,
    dt.date: lambda value, _: {"$date": value.isoformat()},
    dt.datetime: lambda value, where: {"$datetime": moment(value, where, _Walk().plain)},
    dt.time: lambda value, where: {"$time": moment(value, where, _Walk().plain)},
    dt.timedelta: lambda value, _: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    decimal.Decimal: lambda value, _: {"$decimal": str(value)},
    fractions.Fraction: lambda value, _: {"$fraction": [hex(value.numerator), hex(value.denominator)]},
    uuid.UUID: lambda value, _: {"$uuid": str(value)},
    range: lambda value, where: {"$range": [_Walk().plain(n, where) for n in (value.start, value.stop, value.step)]},
    re.Pattern: lambda value, where: {"$regex": [_Walk().plain(value.pattern, where), value.flags]},
    type(...): lambda _value, _: {"$ellipsis": True},
    _Factory: _factory,
    Secret: lambda value, where: {"$secret": _Walk().plain(value.value, where)},
    Masked: lambda value, _: {"$masked": value.hash},
}
_SETS: dict[type, str] = {set: "$set", frozenset: "$frozenset"}

# Base of a subclass -> its content as a value of exactly that type, whatever methods the subclass overrides.
_BASES: dict[type, Callable[[Any], Any]] = {
    collections.defaultdict: lambda value: [dict(value), value.default_factory and _Factory(value.default_factory)],
    collections.OrderedDict: lambda value: list(value.items()),  # its order is part of what it equals
    collections.deque: lambda value: [list(value), value.maxlen],
    dict: lambda value: dict(dict.items(value)),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    str: str.__str__,
    bytes: lambda value: bytes(memoryview(value)),
    bytearray: lambda value: bytearray(memoryview(value)),
    int: int.__index__,
    float: float.__float__,
    complex: complex.__complex__,
    decimal.Decimal: lambda value: decimal.Decimal(value),
}


# ---------------------------------------------------------------- back, and to bytes


def from_plain(value: Any) -> Any:
    """Python values from a plain form. Objects come back as dicts, enums as names, digests unchanged."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if is_tagged(value):
        ((tag, body),) = value.items()
        return _restored(tag, body)
    return {users_key(key): from_plain(item) for key, item in value.items()}


def is_tagged(plain: Mapping[str, Any]) -> bool:
    """True if a dict of a plain form is a tag: a value that JSON lacks."""
    if len(plain) != 1:
        return False
    (name,) = plain
    return name.startswith("$") and not name.startswith("$$")


def users_key(key: str) -> str:
    """A key of a plain form as the user wrote it."""
    return key[1:] if key.startswith("$$") else key


def _restored(tag: str, body: Any) -> Any:
    """The value of a tag; the tag itself if `to_plain` would not write its content."""
    try:
        return _RESTORE[tag](body) if tag in _RESTORE else {tag: body}
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError):
        return {tag: body}


def _moment_back(kind: Any) -> Callable[[Any], Any]:
    def restore(body: Any) -> Any:
        iso, fold = (body[0], body[1]) if isinstance(body, list) else (body, 0)
        return kind.fromisoformat(iso).replace(fold=fold)

    return restore


_RESTORE: dict[str, Callable[[Any], Any]] = {
    "$int": lambda body: int(body, 16),
    "$float": _float_back,
    "$str": lambda body: body.encode("ascii").decode("unicode_escape"),
    "$bytes": base64.b64decode,
    "$bytearray": lambda body: bytearray(base64.b64decode(body)),
    "$complex": lambda body: complex(*map(from_plain, body)),
    "$date": dt.date.fromisoformat,
    "$datetime": _moment_back(dt.datetime),
    "$time": _moment_back(dt.time),
    "$timedelta": lambda body: dt.timedelta(*body),
    "$decimal": decimal.Decimal,
    "$fraction": lambda body: fractions.Fraction(int(body[0], 16), int(body[1], 16)),
    "$uuid": uuid.UUID,
    "$range": lambda body: range(*map(from_plain, body)),
    "$regex": lambda body: from_plain(body[0]),
    "$ellipsis": lambda _body: ...,
    "$tuple": lambda body: tuple(map(from_plain, body)),
    "$set": lambda body: set(map(from_plain, body)),
    "$frozenset": lambda body: frozenset(map(from_plain, body)),
    "$path": lambda body: pathlib.PurePosixPath(from_plain(body[-1] if isinstance(body, list) else body)),
    "$enum": lambda body: body[1],
    "$object": lambda body: from_plain(body[1]),
    "$map": lambda body: {from_plain(key): from_plain(item) for key, item in body},
    "$scalar": lambda body: moments_back(body[0], from_plain(body[1])),
    "$array": lambda body: moments_back(body[0], from_plain(body[2])),
    "$pandas": lambda body: timestamp_back(*body),
}


def is_masked(plain: Any) -> bool:
    """True if a plain form replaces a value that is not recorded, see `consist_es.values.masking`."""
    return isinstance(plain, dict) and plain.keys() == {"$masked"}
