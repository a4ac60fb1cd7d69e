"""`with` blocks that are left properly, wherever an interrupt (Ctrl-C) strikes.

Python handles signals at the start of every Python function and after every call of a C function. So an interrupt can
strike after `__enter__` has done its work and before `__exit__` does any; the same holds for the generators of
`contextlib`. But the `with` statement always drops the `__exit__` that it looked up at its beginning. So each statement
gets an `__exit__` object of its own, and if that is dropped while the block is open, the block is left then.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from functools import partial
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar, overload

from consist_es.errors import ConsistError

T_co = TypeVar("T_co", covariant=True)


class Leave(Protocol):
    """The `__exit__` of one `with` statement."""

    def __call__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Leave the block."""


class _Exit:
    """Descriptor of `WithBlock.__exit__`: a new object for every `with` statement, so that its end can be observed."""

    @overload
    def __get__(self, block: None, kind: type) -> Any: ...

    @overload
    def __get__(self, block: WithBlock[Any], kind: type) -> Leave: ...

    def __get__(self, block: WithBlock[Any] | None, kind: type) -> Any:
        if block is None:
            return _leave
        leave, this = partial(_leave, block), weakref.ref(block)

        def gone(held: weakref.ref[Any]) -> None:
            if (block := this()) is not None and block._entered_by is held:
                _leave(block, None, KeyboardInterrupt(), None)

        block._looked_up = weakref.ref(leave, gone)
        return leave


class WithBlock(ABC, Generic[T_co]):
    """Base of context managers. A subclass defines `_begin` and `_end`.

    `_end` may run twice, and after a `_begin` that was interrupted: make both idempotent.
    """

    _looked_up: weakref.ref[Any] | None = None
    _entered_by: weakref.ref[Any] | None = None
    """Weak reference to the `__exit__` of the statement with the open block; None inside an ExitStack and after the
    block was left."""
    __exit__ = _Exit()

    def __enter__(self) -> T_co:
        self._check_entry()
        self._entered_by = self._looked_up
        try:
            return self._begin()
        except BaseException as error:
            _leave(self, None, error, None)
            raise

    def _check_entry(self) -> None:
        """Raise if the block cannot be entered now; it is not left then."""

    @abstractmethod
    def _begin(self) -> T_co:
        """Acquire what the block needs."""

    @abstractmethod
    def _end(self, error: BaseException | None) -> None:
        """Undo `_begin`; `error` left the block, or None."""


def _leave(
    block: WithBlock[Any],
    _kind: type[BaseException] | None,
    error: BaseException | None,
    _trace: TracebackType | None,
) -> None:
    """Leave the block; run `_end` once more if anything but a `ConsistError` interrupted it."""
    try:
        block._end(error)
    except ConsistError:
        block._looked_up = block._entered_by = None
        raise
    except BaseException as struck:
        block._end(error or struck)
        block._looked_up = block._entered_by = None
        raise
    block._looked_up = block._entered_by = None
