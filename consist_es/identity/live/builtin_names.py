"""Finds names that were put on `builtins`: code in any module reads them without an import."""

import builtins
import operator
import types
from typing import Any

from consist_es.identity.live.modules import is_ours
from consist_es.values.encoding import module_name

_HOMES = frozenset({"builtins", "io", "_io"})
"""Modules of what Python itself has there."""
_ERRORS = frozenset({"EnvironmentError", "IOError", "WindowsError"})
"""Other names of `OSError`."""
_SHELL = frozenset({
    "__IPYTHON__", "copyright", "credits", "display", "exit", "get_ipython", "help", "license", "quit",
})  # fmt: skip
"""Names of interactive shells, each with its own values."""
_SINGLE = (None, True, False, NotImplemented, ...)
_LAST: list[tuple[list[str], list[Any], dict[str, Any]]] = []
"""Names and values found last, and the result."""


def put_on_builtins() -> dict[str, Any]:
    """Name -> value that neither Python nor an interactive shell has put there, functions of Python that were replaced
    among them."""
    names, values = list(vars(builtins)), list(vars(builtins).values())
    known = next(iter(_LAST), None)
    if known is None or known[0] != names or not all(map(operator.is_, known[1], values)):
        found = {name: value for name, value in zip(names, values, strict=False) if not _is_pythons(name, value)}
        known = (names, values, found)
        _LAST[:] = [known]
    return dict(known[2])


def _is_pythons(name: str, value: Any) -> bool:
    if name in _SHELL or (name.startswith("__") and isinstance(value, (str, type(None), types.ModuleType))):
        return True
    if name in ("__spec__", "__loader__") or any(value is one for one in _SINGLE):
        return True
    if name == "_" and not callable(value):
        return True  # what an interactive shell showed last
    if isinstance(value, (type, types.BuiltinFunctionType)):
        return module_name(value) in _HOMES and value.__name__ == (name if name not in _ERRORS else "OSError")
    return is_ours(module_name(value) if isinstance(value, types.FunctionType) else module_name(type(value)))
