"""Names of LBNL's consist that are not provided: code that imports them runs up to their first use."""

from __future__ import annotations

from typing import Any

from consist_es.api.lbnl_names import instead_of
from consist_es.errors import NotProvidedError


class _Refusing(type):
    """Class of the stand-ins: a call says what to do instead."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise NotProvidedError(cls.__qualname__, instead_of(cls.__qualname__))


def stand_in(name: str) -> Any:
    """A class that cannot be called. Annotations, ``isinstance``, subclasses and patches work.

    `name` is the dotted name in LBNL's consist. Calls raise `NotProvidedError`.
    """
    short = name.rpartition(".")[2]
    return _Refusing(short, (), {"__qualname__": name, "__doc__": f"Stands for ``{name}``, which is not provided."})


def is_stand_in(value: Any) -> bool:
    """True for what `stand_in` made."""
    return isinstance(value, _Refusing)
