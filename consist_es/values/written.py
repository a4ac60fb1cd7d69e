"""Plain forms as people write the values: ``{2025: 1.0}`` for a mapping, ``(1, 2)`` for a tuple, ``2030-01-31``."""

from collections.abc import Callable, Iterable
from typing import Any

from consist_es.text import shortened
from consist_es.values.plain import from_plain, is_masked, is_tagged, users_key

MISSING = "(none)"


def written(plain: Any, limit: int = 60) -> str:
    """Text of a recorded value, of at most `limit` characters; ``masked`` for a secret, ``(none)`` for None."""
    if plain is None:
        return MISSING
    return shortened(_text(plain), limit)


def _text(plain: Any) -> str:
    if isinstance(plain, list):
        return f"[{_listed(plain)}]"
    if not isinstance(plain, dict):
        return repr(plain)
    if is_masked(plain):
        return "masked"
    if not is_tagged(plain):
        return f"{{{', '.join(f'{users_key(key)!r}: {_text(item)}' for key, item in plain.items())}}}"
    ((tag, body),) = plain.items()
    try:
        return _TAGS[tag](body) if tag in _TAGS else _restored(plain)
    except (TypeError, ValueError, LookupError, AttributeError):  # not what this library writes
        return repr(plain)


def _restored(plain: Any) -> str:
    value = from_plain(plain)
    if value == plain or isinstance(value, str):
        return repr(value)
    return _text(value) if isinstance(value, dict) else str(value)


def _listed(items: Iterable[Any]) -> str:
    return ", ".join(map(_text, items))


def _tuple(body: list[Any]) -> str:
    return f"({_listed(body)},)" if len(body) == 1 else f"({_listed(body)})"


def _object(body: list[Any]) -> str:
    cls, fields = body[0], body[1]
    name = str(cls).rpartition(".")[2]
    return f"{name}({', '.join(f'{users_key(key)}={_text(item)}' for key, item in fields.items())})"


_TAGS: dict[str, Callable[[Any], str]] = {
    "$tuple": _tuple,
    "$set": lambda body: f"{{{_listed(body)}}}" if body else "set()",
    "$frozenset": lambda body: f"frozenset({{{_listed(body)}}})",
    "$map": lambda body: f"{{{', '.join(f'{_text(key)}: {_text(item)}' for key, item in body)}}}",
    "$path": lambda body: _text(body[-1] if isinstance(body, list) else body),
    "$scalar": lambda body: _text(body[1]),
    "$object": _object,
    "$enum": lambda body: f"{str(body[0]).rpartition('.')[2]}.{body[1]}",
    "$pandas": lambda body: str(body[1]),
    "$callable": str,
}
"""Tag -> text of its body; all others are written as the value that `from_plain` gives."""


def object_of(plain: Any) -> tuple[Any, Any, str] | None:
    """Class, fields and unset field names of an object; None for other values."""
    match plain:
        case {"$object": [cls, fields]}:
            return cls, fields, ""
        case {"$object": [cls, fields, {"$unset": [*names]}]}:
            return cls, fields, ", ".join(map(str, names))
    return None


def by_text(plain: Any) -> Any:
    """A mapping with keys such as 2025 as one with keys of text; anything else as it is."""
    if not isinstance(plain, dict) or plain.keys() != {"$map"}:
        return plain
    names = {str(name): item for name, item in plain["$map"] if isinstance(name, (str, int, float))}
    return names if len(names) == len(plain["$map"]) else plain
