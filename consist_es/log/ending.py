"""The end of the log as this process saw it last, and whether it still is there.

A look at the end lists the folder, opens the newest segment, reads its last lines and checks their chain. Most looks
find what the last one found. So the end is remembered, with the state of its files.

It still is the end while the segment is the same file, has the same size and time of change, and has no successor: a
whole batch is never taken out of a segment but by a successor, so a segment's end only moves on, and then its size
does. That needs the size to be that of the last whole batch. Where anything else followed, the next writer cuts it off
and may write as many bytes: then the end is looked for again each time.
"""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from consist_es.events import Cursor
from consist_es.system.seam import Stamp
from consist_es.system.storage import Storage


class Ending(NamedTuple):
    """An end of the log that was seen."""

    cursor: Cursor
    path: Path
    """The segment with it."""
    following: Path
    """The segment after that, if there is one."""
    stamp: Stamp | None
    """State of the segment's file when it was seen; None if anything followed the last whole batch."""

    def holds(self, storage: Storage) -> bool:
        """True if it certainly is the end."""
        with suppress(OSError):  # the next look finds the fault
            if self.stamp is not None and storage.stamp(self.path) == self.stamp:
                return storage.stamp(self.following) is None
        return False


def ending(cursor: Cursor, path: Path, following: Path, stamp: Stamp | None) -> Ending:
    """An end that was seen. `stamp`: of its segment, from before the cursor was read or under the writers' lock."""
    whole = stamp is not None and stamp.size == cursor.offset
    return Ending(cursor, path, following, stamp if whole else None)
