"""A mapping that finds a value when it is first asked for."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Once(dict[K, V]):
    """Key -> what ``find`` gives for it, asked once."""

    __slots__ = ("_find",)

    def __init__(self, find: Callable[[K], V]) -> None:
        self._find = find

    def __missing__(self, key: K) -> V:
        self[key] = found = self._find(key)
        return found
