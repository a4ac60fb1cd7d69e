"""Values that a callable carries: arguments of a partial, attributes of a method's object.

They count by the digest of the callable; here they are told, so that a changed one can be named by its value.
"""

import functools
import types
from collections.abc import Collection
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.values.plain import object_fields, to_plain

_MOST = 20
_LONGEST = 200
"""Characters of a plain form that is told; of longer ones only that they changed."""


def given_values(fn: Any, unread: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """``argument`` and ``attribute`` -> name -> plain form, of short values alone; without attributes in `unread`."""
    found: dict[str, dict[str, Any]] = {"argument": {}, "attribute": {}}
    while isinstance(fn, functools.partial):
        names = {str(number): value for number, value in enumerate(fn.args)} | dict(fn.keywords)
        found["argument"] = {**_short(names), **found["argument"]}
        fn = fn.func
    if isinstance(fn, types.MethodType) and not isinstance(fn.__self__, (type, types.ModuleType)):
        fields = object_fields(fn.__self__)
        held = fields if fields is not None else dict(getattr(fn.__self__, "__dict__", {}))
        found["attribute"] = _short({name: value for name, value in held.items() if name not in unread})
    return {kind: values for kind, values in found.items() if values}


def _short(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in list(values.items())[:_MOST]:
        try:
            plain = to_plain(value, name)
        except (ConfigTypeError, ConfigValueError):
            continue
        if len(repr(plain)) <= _LONGEST:
            found[name] = plain
    return found
