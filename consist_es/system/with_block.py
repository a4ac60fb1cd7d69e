"""`with` blocks that are left properly wherever an interrupt (Ctrl-C) strikes.

Python looks for signals whenever a function written in Python begins, and after every call of one written in C. So
there are places where `__enter__` has done its work and `__exit__` will not be called, or has been called and has done
nothing yet; the same holds of the generators of `contextlib`. What the `with` statement itself holds is another matter:
however it is left, it gives up the `__exit__` that it looked up at its beginning. So each statement gets one of its
own, and where that goes away and the block is still open, the block is left then.
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
    """What a `with` statement calls at its end."""

    def __call__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Leave the block."""


class _Exit:
    """`__exit__` of a `WithBlock`: one object for every `with` statement, so that its going away can be seen."""

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
    """Base of context managers. A subclass says what is done at the beginning and at the end.

    The end may come more than once, after an interrupt in the middle of it, and also where the beginning was not
    whole: what is done already is not done again.
    """

    _looked_up: weakref.ref[Any] | None = None
    _entered_by: weakref.ref[Any] | None = None
    """The `__exit__` of the statement that has the block open; None where there is no such statement, but contextlib's
    ExitStack, or where the block was left: then nothing is to be heard of it any more."""
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
        """Raise where it cannot be entered now; nothing is left then."""

    @abstractmethod
    def _begin(self) -> T_co:
        """What the block needs."""

    @abstractmethod
    def _end(self, error: BaseException | None) -> None:
        """Undo that; `error` left the block, or None."""


def _leave(
    block: WithBlock[Any],
    _kind: type[BaseException] | None,
    error: BaseException | None,
    _trace: TracebackType | None,
) -> None:
    """Leave the block; once more where something struck in the middle that has nothing to do with it."""
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
