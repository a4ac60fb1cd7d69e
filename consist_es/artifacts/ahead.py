"""Reads a long file in parts: the next ones while the last is used."""

import os
import threading
from collections.abc import Generator
from queue import SimpleQueue

_CHUNK = 1 << 20
_PARTS = 4


def parts_ahead(descriptor: int) -> Generator[memoryview, None, None]:
    """The bytes of an open file, read by a thread. That has ended when this has: close this before the descriptor."""
    free: SimpleQueue[memoryview | None] = SimpleQueue()
    full: _Full = SimpleQueue()
    for _ in range(_PARTS):
        free.put(memoryview(bytearray(_CHUNK)))
    thread = threading.Thread(target=_read, args=(descriptor, free, full), name="consist-es-reader", daemon=True)
    thread.start()
    try:
        while (found := full.get()) is not None:
            if isinstance(found, OSError):
                raise found
            buffer, count = found
            yield buffer[:count]
            free.put(buffer)
    finally:
        free.put(None)
        thread.join()


_Full = SimpleQueue[tuple[memoryview, int] | OSError | None]
"""Parts with their sizes, or the error that ended the reading; None at the end."""


def _read(descriptor: int, free: "SimpleQueue[memoryview | None]", full: _Full) -> None:
    offset = 0
    try:
        while (buffer := free.get()) is not None:
            # At an offset: if an interrupt left the descriptor closed, its number may be another file's by now.
            count = os.preadv(descriptor, [buffer], offset)
            if not count:
                break
            offset += count
            full.put((buffer, count))
    except OSError as error:
        full.put(error)
    finally:
        full.put(None)
