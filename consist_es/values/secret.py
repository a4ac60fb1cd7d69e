"""Values that must not be recorded: marked by the user, or found by `consist_es.values.masking`."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Secret(Generic[T]):
    """A value that is never recorded, printed or shown; only a keyed hash is recorded, to detect changes.

    As an entry of a step's config, or as a runtime argument, the function receives the value itself. If a function
    receives the whole config, it reads ``config["key"].value``.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    @property
    def value(self) -> T:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))


class Masked:
    """Replacement of a value that is not recorded: a keyed hash of it."""

    __slots__ = ("hash",)

    def __init__(self, hash: str) -> None:
        self.hash = hash

    def __repr__(self) -> str:
        return "Masked(...)"
