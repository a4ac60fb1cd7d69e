"""Packs a step's function and arguments for a worker.

What is packed goes from process to process while both run, and is never stored by this library: only the executor that
a user chose has it in hand. Functions of modules travel by name, so that a worker runs its own code, which is compared.
Functions that are nowhere to import from (closures, ``__main__`` of a notebook or script) travel by value, if
cloudpickle is installed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pickle
import types
from collections.abc import Callable
from typing import Any

import msgspec

from consist_es.errors import UsageTypeError
from consist_es.identity.text.source import Source, load_source
from consist_es.text import first_line

_MAIN = b"__main__"
_REMEDY = (
    "Define the function at the top of a module, give values that pickle, install consist-es[parallel] for functions "
    "that are nowhere to import from, or use threads."
)


class Packed(msgspec.Struct, frozen=True):
    """A value in one or two forms."""

    by_name: bytes | None
    """With functions and classes as names, also those of ``__main__``."""
    by_value: bytes | None
    """With those of ``__main__`` whole; None if there are none."""


class Parcel(msgspec.Struct, frozen=True):
    """What a worker needs to run a row."""

    fn: Packed
    arguments: Packed

    @property
    def has_values(self) -> bool:
        """True if something in it can be taken by value."""
        return self.fn.by_value is not None or self.arguments.by_value is not None


def packed(value: Any, what: str) -> Packed:
    """Pack a value. `what` names it in the error.

    Raises:
        UsageTypeError: it does not pickle.
    """
    by_name: bytes | None = None
    problem: Exception | None = None
    try:
        by_name = pickle.dumps(value, protocol=5)
    except Exception as error:  # noqa: BLE001  pickling runs the code of the user's classes
        problem = error
    if by_name is not None and _MAIN not in by_name:
        return Packed(by_name, None)
    by_value: bytes | None = None
    if importlib.util.find_spec("cloudpickle") is not None:
        import cloudpickle

        try:
            by_value = cloudpickle.dumps(value)
        except Exception as error:  # noqa: BLE001  the same
            problem = error
    if by_name is None and by_value is None:
        said = "it does not pickle" if problem is None else first_line(f"{type(problem).__name__}: {problem}")
        raise UsageTypeError(f"{what} cannot be sent to a worker: {said}. {_REMEDY}") from problem
    return Packed(by_name, by_value)


def unpacked(found: Packed, *, by_value: bool) -> Any:
    """The value in this process; in its other form if it does not have the one asked for. Raises what loading raises:
    a module that is not here, a name that a module here does not have, or anything of the user's classes."""
    first, second = (found.by_value, found.by_name) if by_value else (found.by_name, found.by_value)
    data = second if first is None else first
    return pickle.loads(data or b"")  # noqa: S301  sent by the process that started this work, stored nowhere


def came_by_value(found: Packed, *, by_value: bool) -> bool:
    """True if `unpacked` makes the value's own code anew."""
    return found.by_value is not None and (by_value or found.by_name is None)


def rehomed(fn: Any) -> types.FunctionType | None:
    """A function that came by value, made from the code of its module here, with the module's own variables; None if
    its module is a script, or does not have it. So a closure of a module is compared like all other code of modules."""
    if not isinstance(fn, types.FunctionType) or fn.__module__ in (None, "__main__", "__mp_main__"):
        return None
    module = importlib.import_module(fn.__module__)
    filename = getattr(module, "__file__", None)
    source = load_source(filename) if isinstance(filename, str) else None
    if source is None or filename is None:
        return None
    code = _codes(source, filename).get((fn.__code__.co_qualname, fn.__code__.co_firstlineno))
    if code is None or code.co_freevars != fn.__code__.co_freevars:
        return None
    made = types.FunctionType(code, vars(module), fn.__name__, fn.__defaults__, fn.__closure__)
    made.__kwdefaults__ = fn.__kwdefaults__
    for name in functools.WRAPPER_ASSIGNMENTS:
        setattr(made, name, getattr(fn, name))
    vars(made).update(vars(fn))
    return made


@functools.lru_cache(maxsize=64)
def _codes(source: Source, filename: str) -> dict[tuple[str, int], types.CodeType]:
    """Qualified name and first line -> code, of all functions of a file."""
    found: dict[tuple[str, int], types.CodeType] = {}
    waiting = [compile(source.text, filename, "exec", dont_inherit=True)]
    while waiting:
        code = waiting.pop()
        found.setdefault((code.co_qualname, code.co_firstlineno), code)
        waiting += [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return found


def home_of(fn: Callable[..., Any]) -> str:
    """Name of the module that defines a function, or the class of a callable object."""
    while hasattr(fn, "func") and not isinstance(fn, types.FunctionType):  # a partial
        fn = fn.func
    target = fn if isinstance(fn, (types.FunctionType, types.MethodType, type)) else type(fn)
    return str(getattr(target, "__module__", ""))
