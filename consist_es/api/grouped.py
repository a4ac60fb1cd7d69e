"""Tables of many runs as one, read where they lie: ``tracker.create_grouped_view``, by the name of LBNL's consist."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consist_es.api.lbnl_queries import artifacts_by_params
from consist_es.artifacts.describe import Digester
from consist_es.checks import check_options, names
from consist_es.errors import InputError, MissingExtraError, OptionError, PathError, UsageError, warn
from consist_es.values.flat import flat
from consist_es.values.plain import from_plain

if TYPE_CHECKING:
    import pandas as pd

    from consist_es.artifacts.artifact import Artifact

DRIVERS = ("parquet", "csv")
MISSING = ("warn", "error", "skip_silent")
_RUN_FILTERS = ("model", "status", "year", "iteration")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a view is to hold, as it was asked for."""

    missing_files: str
    params: tuple[str, ...]
    namespace: str | None
    drivers: tuple[str, ...]
    facets: tuple[str, ...]
    columns: frozenset[str]
    system: bool
    runs: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_options(self, missing_files=MISSING)
        for driver in self.drivers:
            if driver not in DRIVERS:
                raise OptionError("drivers", driver, DRIVERS)


@dataclass(frozen=True)
class GroupedView:
    """Files of one kind as one table: their columns by name, those of facets, and the run that made each row.

    Nothing is copied. A file counts only with the bytes that were recorded, in its own place or in a recovery copy.
    """

    name: str
    artifacts: list[Artifact]
    """Those that are in it, newest first."""
    missing: list[Artifact]
    """Those whose recorded bytes are nowhere."""
    _places: list[Path] = field(repr=False)
    _facets: tuple[str, ...] = field(repr=False)
    _system: bool = field(repr=False)
    _digester: Digester = field(repr=False)

    def connect(self) -> Any:
        """A connection of DuckDB, in memory, that has the view under its name.

        Raises:
            MissingExtraError: duckdb, or pandas, is not installed. UsageError: the view has no file. InputError: one of
                its files was changed since it was made.
        """
        if not self.artifacts:
            raise UsageError(f"View {self.name!r} has no file: no artifact is as it was asked for.")
        duckdb, pandas = _package("duckdb", "duckdb"), _package("pandas", "pandas")
        for path, item in zip(self._places, self.artifacts, strict=True):
            if self._digester.digest_as(item, path).value != item.hash:
                raise InputError(f"{path} was changed since view {self.name!r} was made. Make the view again.")
        conn = duckdb.connect()
        conn.register("consist_files", pandas.DataFrame(self._about()))
        parts = None
        for driver in DRIVERS:
            paths = [
                _literal(path) for path, item in zip(self._places, self.artifacts, strict=True) if item.driver == driver
            ]
            if paths:
                conn.sql(_READ[driver], params={"paths": paths}).create_view(f"consist_{driver}")
                parts = _BOTH if parts else _ONE[driver]
        conn.sql(parts).create_view(self.name)
        return conn

    def df(self) -> pd.DataFrame:
        """The whole table."""
        with self.connect() as conn:
            found: pd.DataFrame = conn.table(f'"{self.name}"').df()
            return found

    def _about(self) -> dict[str, list[Any]]:
        """The columns that are the same for all rows of a file."""
        found: dict[str, list[Any]] = {"consist_file": [str(path) for path in self._places]}
        for name in self._facets:
            values = [flat(from_plain(item.facet)).get(name) for item in self.artifacts]
            found[f"facet_{name.replace('.', '_')}"] = values
        if self._system:
            found["consist_run_id"] = [item.run_id for item in self.artifacts]
            found["consist_artifact_id"] = [str(item.id) for item in self.artifacts]
        return found


_READ = {
    "parquet": "SELECT * FROM read_parquet($paths, union_by_name = true, filename = 'consist_file')",
    "csv": "SELECT * FROM read_csv($paths, union_by_name = true, filename = 'consist_file')",
}
_ONE = {
    "parquet": "SELECT * EXCLUDE (consist_file) FROM consist_parquet JOIN consist_files USING (consist_file)",
    "csv": "SELECT * EXCLUDE (consist_file) FROM consist_csv JOIN consist_files USING (consist_file)",
}
_BOTH = """
SELECT * EXCLUDE (consist_file) FROM
    (SELECT * FROM consist_parquet UNION ALL BY NAME SELECT * FROM consist_csv) JOIN consist_files USING (consist_file)
"""


def grouped_view(tracker: Any, digester: Digester, name: str, asked: Asked) -> GroupedView:
    """Choose the files; see `Tracker.create_grouped_view`."""
    if not (isinstance(name, str) and name.isidentifier() and name.isascii()):
        raise UsageError(f"view_name takes a name such as links_2030, of letters, digits and _, not {name!r}.")
    made_by = None
    if asked.runs:
        made_by = {run.id for run in tracker.find_runs(limit=None, **asked.runs)}
    there: list[tuple[Artifact, Path]] = []
    missing: list[Artifact] = []
    for item in artifacts_by_params(tracker, asked.params, asked.namespace, None, None, None):
        wanted = item.driver in asked.drivers and asked.columns <= set(item.schema or {})
        if not wanted or item.producer is None or (made_by is not None and item.run_id not in made_by):
            continue
        place = _with_its_bytes(item, digester)
        if place is None:
            missing.append(item)
        else:
            there.append((item, place))
    if missing and asked.missing_files != "skip_silent":
        said = f"{len(missing)} of {len(missing) + len(there)} files of view {name!r} are gone or changed: "
        said += ", ".join(f"{item.key} of {item.run_id} ({item.uri})" for item in missing[:5])
        if asked.missing_files == "error":
            raise InputError(f"{said}. Restore them, or pass missing_files='warn'.")
        warn(f"{said}. They are left out.")
    artifacts, places = [item for item, _ in there], [place for _, place in there]
    return GroupedView(name, artifacts, missing, places, asked.facets, asked.system, digester)


def _with_its_bytes(item: Artifact, digester: Digester) -> Path | None:
    """Where the recorded bytes are: in the artifact's own place, or in a recovery copy; None if nowhere."""
    try:
        if item.hash is not None and digester.digest_as(item, item.path).value == item.hash:
            return item.path
    except (InputError, PathError):
        pass
    elsewhere = None if item.uris is None else item.uris.elsewhere
    return None if elsewhere is None or item.hash is None else elsewhere.look(item).path


def columns_of(schema: Any) -> frozenset[str]:
    """Names of the columns that a table must have: of a class, its annotated fields; or a list of names."""
    if schema is None:
        return frozenset()
    if isinstance(schema, type):
        found = {name for base in schema.__mro__ for name in vars(base).get("__annotations__", {}) if name[:1] != "_"}
        return frozenset(found)
    return frozenset(names(schema, "schema"))


def _literal(path: Path) -> str:
    """A path that DuckDB takes for this one, and not for a pattern."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def _package(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError("A grouped view", name, extra) from error


def asked_of(
    params: Iterable[str] | str | None, drivers: Iterable[str] | None, facets: Iterable[str] | None, **more: Any
) -> Asked:
    """The arguments, checked."""
    runs = {name: more[name] for name in _RUN_FILTERS if more.get(name) is not None}
    if (parent := more.get("parent_run_id")) is not None:
        runs["parent"] = parent
    return Asked(
        missing_files=more["missing_files"],
        params=names(params, "params"),
        namespace=more.get("namespace"),
        drivers=DRIVERS if drivers is None else names(drivers, "drivers"),
        facets=names(facets, "attach_facets"),
        columns=columns_of(more.get("schema")),
        system=bool(more["include_system_columns"]),
        runs=runs,
    )
