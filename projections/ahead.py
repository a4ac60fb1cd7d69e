"""Reads and folds a long log in a second process, for a rebuild: this one only hands the rows to SQLite.

The child stops at whatever is not as it should be: a damaged line, an event that a view cannot take. The caller goes on
from the last batch, and finds out what it is.
"""

import itertools
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import msgspec

from consist_es.events import Cursor
from consist_es.log.local import LocalLog
from consist_es.projections import BUILTIN
from consist_es.system.child import Child, answer, processors, questions
from consist_es.system.storage import LocalStorage
from consist_es.views.building import Log, Made
from consist_es.views.folding import BATCH, NoCollector, groups_of


def ahead(log: Log) -> Generator[Made, None, None]:
    """The batches of a log from its beginning, folded in a child; none if that is not possible."""
    if not isinstance(log, LocalLog) or type(log.storage) is not LocalStorage or processors() < 2:
        return
    try:
        with Child(__name__, "fold") as child:
            child.send(str(log.folder).encode("utf-8", "surrogateescape"))
            for message in child.messages():
                place, groups = msgspec.msgpack.decode(message)
                yield Made(Cursor(*place), groups)
    except (OSError, msgspec.MsgspecError):
        return


def fold() -> None:
    """Fold a whole log, in the child."""
    for message in itertools.islice(questions(), 1):
        with closing(LocalLog(Path(message.decode("utf-8", "surrogateescape")), read_only=True)) as log, NoCollector():
            events = log.read()
            while batch := list(itertools.islice(events, BATCH)):
                groups = [(sql, list(rows)) for sql, rows in groups_of(BUILTIN, batch)]
                answer(msgspec.msgpack.encode((msgspec.structs.astuple(log.cursor_after(batch[-1])), groups)))
