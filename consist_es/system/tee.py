"""Copies what this process prints and logs to where the present step wants it, without redirecting file descriptors.

While any step is open, `sys.stdout` and `sys.stderr` are thin proxies that pass everything on to the streams they stand
for. Records of `logging` are seen where a logger hands them to its handlers: a handler of ours at the root would make
`logging.basicConfig` do nothing, and take the place of the handler of last resort.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol


class Sink(Protocol):
    """Takes what one step prints. It never raises."""

    def write(self, text: str) -> None:
        """Take some text."""


SinkOf = Callable[[], Sink | None]
"""Gives the sink of the step that this thread or task works for, or None."""
_STREAMS = ("stdout", "stderr")
_PLAIN = (io.TextIOWrapper, io.StringIO)
"""Streams that write to nothing of ours."""


class _Busy(threading.local):
    """State of one thread."""

    within = False
    """True inside a proxy: one that lies below another writes nothing twice."""
    told = False
    """True once a sink was written to."""
    decoding: tuple[Sink, Any] | None = None
    """For which sink bytes were written last, and their decoder: a character may be in two pieces."""


_busy = _Busy()
mine: ContextVar[Sink | None] = ContextVar("consist_es_prints_to", default=None)
"""The sink of the step that this thread or task executes: what most writes need, without asking anybody."""
_mine = mine.get


class Tee:
    """Stands for a text stream, and tells the present step's sink what is written to it."""

    __slots__ = ("__weakref__", "_sink_of", "_stream")

    def __init__(self, stream: Any, sink_of: SinkOf) -> None:
        object.__setattr__(self, "_stream", stream)
        object.__setattr__(self, "_sink_of", sink_of)

    def write(self, text: str) -> int:
        """Write to the stream, after the sink."""
        busy = _busy
        if not busy.within and (sink := _mine() or self._sink_of()) is not None and isinstance(text, str):
            busy.told = True
            sink.write(text if type(text) is str else str.__str__(text))  # methods of others may do anything
            if type(self._stream) not in _PLAIN:
                return self._within(text)
        return self._stream.write(text)  # type: ignore[no-any-return]

    def _within(self, text: str) -> int:
        """Write to a stream that may write to another proxy, such as one that was in place earlier."""
        _busy.within = True
        try:
            return self._stream.write(text)  # type: ignore[no-any-return]
        finally:
            _busy.within = False

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    @property
    def buffer(self) -> Any:
        """The stream's binary buffer, if it has one; the sink is told of it as well."""
        return _Bytes(self._stream.buffer, self)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # so that `isinstance(sys.stdout, io.TextIOWrapper)` is what it was
        return type(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._stream, name, value)

    def __repr__(self) -> str:
        return repr(self._stream)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def __enter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._stream.__exit__(*error)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._stream.__reduce_ex__(protocol)


class _Bytes:
    """Stands for the binary buffer of a stream."""

    def __init__(self, buffer: Any, text: Tee) -> None:
        self._buffer, self._text = buffer, text

    def write(self, data: Any) -> Any:
        """Write to the buffer, after the sink."""
        sink = None if _busy.within else self._text._sink_of()
        if sink is not None:
            with contextlib.suppress(TypeError, ValueError):  # the buffer itself says what is wrong
                sink.write(_decoded(sink, data))
        return self._buffer.write(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._buffer, name)


def _decoded(sink: Sink, data: Any) -> str:
    """Bytes as text; the beginning of a character waits for its end."""
    found = _busy.decoding
    if found is None or found[0] is not sink:
        found = _busy.decoding = sink, codecs.getincrementaldecoder("utf-8")("replace")
    return found[1].decode(memoryview(data).cast("B"))


def write_beside(stream: Any, text: str) -> None:
    """Write a text to a stream that a sink has got already: no proxy tells it again. Characters that the stream cannot
    encode are replaced."""
    before, _busy.within = _busy.within, True
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    finally:
        _busy.within = before


def original(stream: Any) -> Any:
    """What a proxy stands for; any other object itself."""
    while type(stream) is Tee:
        stream = stream._stream
    return stream


class Tees:
    """Puts the proxies in place while anybody wants them."""

    def __init__(self, sink_of: SinkOf) -> None:
        self._sink_of = sink_of
        self._users = 0
        self._mutex = threading.RLock()
        self._streams: dict[str, Tee] = {}
        self._handlers: Any = None
        """Our stand-in for `logging.Logger.callHandlers`, and what it stands for."""

    def begin(self) -> None:
        """Put them in place, unless they are."""
        with self._mutex:
            self._users += 1
            if self._users > 1:
                return
            for name in _STREAMS:
                stream = getattr(sys, name, None)
                if stream is not None:
                    self._streams[name] = tee = Tee(original(stream), self._sink_of)
                    setattr(sys, name, tee)
            before = logging.Logger.callHandlers
            self._handlers = stand_in, _ = _call_handlers(before, self._sink_of), before
            logging.Logger.callHandlers = stand_in  # type: ignore[method-assign]

    def end(self) -> None:
        """Take them away with the last user, but for a place where somebody put something of their own meanwhile."""
        with self._mutex:
            self._users -= 1
            if self._users > 0:
                return
            self._users = 0
            streams, self._streams = self._streams, {}
            for name, tee in streams.items():
                if getattr(sys, name, None) is tee:
                    setattr(sys, name, tee._stream)
            if self._handlers is None:  # an interrupt came before the last of them
                return
            (stand_in, before), self._handlers = self._handlers, None
            if logging.Logger.callHandlers is stand_in:
                logging.Logger.callHandlers = before  # type: ignore[method-assign]

    def after_fork(self) -> None:
        """A thread of the parent may have held the lock."""
        self._mutex = threading.RLock()


def _call_handlers(before: Any, sink_of: SinkOf) -> Any:
    """A `logging.Logger.callHandlers` that tells the sink of a record, unless a handler has just printed it there."""

    def callHandlers(self: logging.Logger, record: logging.LogRecord) -> None:  # noqa: N802 - its name there
        sink = sink_of()
        if sink is None or _busy.within:
            before(self, record)
            return
        _busy.told = False
        before(self, record)
        if not _busy.told:
            _busy.told = True  # for a stand-in below this one
            sink.write(_formatted(record))

    return callHandlers


_format = logging.Formatter(logging.BASIC_FORMAT)


def _formatted(record: logging.LogRecord) -> str:
    """A record as a line; the arguments of a message may be anything."""
    try:
        return f"{_format.format(record)}\n"
    except Exception as problem:  # noqa: BLE001 - a record that cannot be formatted never fails the step
        return f"{record.levelname}:{record.name}:{record.msg!r} ({type(problem).__name__})\n"
