"""The config adapter for GTFS feeds: their tables, not the archive around them, and the days that they serve."""

import csv
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consist_es.adapters.folder import content_of, walk
from consist_es.adapters.protocol import AdapterResult, Reference
from consist_es.errors import ConfigFileError, InputError, UsageTypeError
from consist_es.values.digests import digest_of

_REMEDY = "Correct the feed, or let it count by its bytes, as an input."
_MOST = 4 << 30
"""Most bytes of a feed's tables, so that a small archive cannot fill the memory."""


class GtfsAdapter:
    """Feeds as zip archives or folders. What counts of a feed is its members by their bytes, of tables (.txt) without
    line ends and a byte order mark; times and compression in the archive do not. The service window, from calendar.txt
    and calendar_dates.txt, is part of the account."""

    name = "gtfs"
    version = "1"

    def __init__(self, *feeds: str | os.PathLike[str]) -> None:
        if not feeds or not all(isinstance(feed, str | os.PathLike) for feed in feeds):
            raise UsageTypeError(f"GtfsAdapter takes paths of feeds, not {feeds!r}.")
        self.feeds = tuple(Path(feed) for feed in feeds)

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the feeds; see `Adapter.canonicalize`.

        Raises:
            InputError: a feed is missing or cannot be read, or two feeds have the same name.
            ConfigFileError: it is no feed.
        """
        data: dict[str, Any] = {}
        references: list[Reference] = []
        for feed in self.feeds:
            if feed.name in data:
                raise InputError(f"GtfsAdapter: two feeds are called {feed.name}. Rename one.")
            if not feed.exists():
                raise InputError(f"GtfsAdapter: {feed} does not exist (looked at {feed.absolute()}).")
            tables = dict(_folder(feed) if feed.is_dir() else _archive(feed))
            if "stops.txt" not in tables:
                raise ConfigFileError(feed, None, "no stops.txt in it, so it is no GTFS feed", _REMEDY)
            members = {name: digest_of(table) for name, table in sorted(tables.items())}
            data[feed.name] = {"members": members, "service window": _window(feed, tables)}
            references.append(Reference(str(feed), feed.name))
        return AdapterResult(data, references)


def _archive(feed: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(feed) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST:
                raise ConfigFileError(feed, None, f"more than {_MOST:,} bytes of tables", _REMEDY)
            names = [name for name in archive.namelist() if _counts(name)]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ConfigFileError(
                    feed, None, f"{twice[0]} is there twice; programs differ in which counts", _REMEDY
                )
            for name in names:
                yield name, _plain(name, archive.read(name))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ConfigFileError(feed, None, f"not a zip archive that can be read: {error}", _REMEDY) from error


def _folder(feed: Path) -> Iterator[tuple[str, bytes]]:
    for name in walk(feed):
        if _counts(name):
            yield name, _plain(name, content_of(feed / name))


def _counts(name: str) -> bool:
    """True for members that are no folders and no notes of the system that packed them."""
    last = name.rpartition("/")[2]
    return bool(last) and not last.startswith(".") and not name.startswith("__MACOSX/")


def _plain(name: str, content: bytes) -> bytes:
    if not name.endswith(".txt"):
        return content
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").rstrip(b"\n")


def _window(feed: Path, tables: dict[str, bytes]) -> str:
    """First and last day on which something may run, or that none is told."""
    days: list[str] = []
    for table, columns in (("calendar.txt", ("start_date", "end_date")), ("calendar_dates.txt", ("date",))):
        try:
            rows = csv.DictReader(io.StringIO(tables.get(table, b"").decode("utf-8")))
            for row in rows:
                if row.get("exception_type", "").strip() != "2":
                    days += [row[column].strip() for column in columns if row.get(column)]
        except (UnicodeDecodeError, csv.Error, AttributeError) as error:
            raise ConfigFileError(feed, None, f"{table} is no table: {error}", _REMEDY) from error
    return f"{min(days)} to {max(days)}" if days else "not told"
