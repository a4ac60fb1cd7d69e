"""On what something is measured."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

from consist_es import __version__
from consist_es.system.machine import filesystem_of


def machine(folder: Path) -> str:
    """Description of the machine, the file system of a folder, and versions."""
    return (
        f"{os.cpu_count()}-core {platform.system()}, {filesystem_of(folder) or 'unknown file system'}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, consist-es {__version__}"
    )
