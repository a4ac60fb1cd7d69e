"""A thread's connections to a view file."""

import sqlite3
from pathlib import Path

from consist_es.views import file as view_file
from consist_es.views.changes import Seen


class Opened:
    """The file at a path, opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.conn = view_file.connect(path)
        """For queries only."""
        self.file = view_file.file_at(path)
        self.seen = Seen()
        self.all = [self.conn]

    @property
    def folds(self) -> sqlite3.Connection:
        """The one that folds, opened when it is first needed. Nobody else gets it.

        A connection for queries could be allowed to write for a moment. But then SQLite forgets all its prepared
        statements, and compiling them anew takes a fifth of a step's time.
        """
        if len(self.all) == 1:
            self.all.append(view_file.connect(self._path, writes=True))
        return self.all[1]

    def close(self) -> None:
        for conn in self.all:
            conn.close()
