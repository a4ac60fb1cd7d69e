"""Queries under the names of LBNL's consist, answered from the same views as our own."""

from __future__ import annotations

import dataclasses
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from consist_es.checks import checked_limit
from consist_es.errors import OptionError, UsageError
from consist_es.projections import lineage, run_table
from consist_es.runs.sets import RunSet
from consist_es.values.flat import flat
from consist_es.values.plain import from_plain

if TYPE_CHECKING:
    import sqlite3

    import pandas as pd

    from consist_es.artifacts.artifact import Artifact
    from consist_es.projections.artifact_rows import ArtifactRow
    from consist_es.runs.run import Run

_NUMBERS = ("year", "iteration", "cache_epoch")
_COLUMNS = ("model", "year", "iteration", "stage", "phase", "status", "name", "tags", "facet", "parent_id")
_ATTRIBUTES = {"config_hash", "input_hash", "git_hash", "signature"}
_OTHERS = ("cache_epoch", "allow_missing_cache_epoch", "run_scope", "limit")

# ---------------------------------------------------------------- runs


class RunQueries:
    """``tracker.queries``: what asks for runs and their configs."""

    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self.find_runs = tracker.find_runs
        self.find_run = tracker.find_run
        self.find_latest_run = tracker.find_latest_run
        self.get_latest_run_id = tracker.get_latest_run_id
        self.find_matching_run = tracker.find_matching_run
        self.get_config_value = tracker.get_config_value

    def find_matching_runs(self, **filters: Any) -> list[Run]:
        """As `Tracker.find_matching_runs`."""
        if unknown := sorted(filters.keys() - {*_COLUMNS, *_ATTRIBUTES, *_OTHERS}):
            raise OptionError("filter", unknown[0], (*_COLUMNS, *sorted(_ATTRIBUTES), *_OTHERS))
        wanted = {name: _number(name, value) if name in _NUMBERS else value for name, value in filters.items()}
        limit = checked_limit(wanted.get("limit", 100))
        asked = {"status": "completed", **{name: wanted[name] for name in _COLUMNS if wanted.get(name) is not None}}
        if (parent := asked.pop("parent_id", None)) is not None:
            asked["parent"] = parent
        queries = self._tracker._queries
        conn = queries.conn
        found: list[Run] = []
        for row in run_table.find(conn, limit=None, **asked):
            if limit is not None and len(found) >= limit:
                break
            if row.kind == "scenario" and "model" not in asked:
                continue  # a header is no run of a model, and matches only if it is asked for
            info = row.fingerprint_info
            hashes = (row.config_digest, row.inputs_digest, row.code_digest, row.fingerprint)
            told = dict(zip(("config_hash", "input_hash", "git_hash", "signature"), hashes, strict=True))
            epoch = None if info is None else info.label_values.get("cache_epoch")
            if _is_meant(wanted, told, epoch, (row.id, row.description or "")):
                found.append(queries.run(conn, row))
        return found

    def get_config_values(
        self,
        run_id: str | Run,
        *,
        namespace: str | None = None,
        prefix: str | None = None,
        keys: Iterable[str] | None = None,
        limit: int | None = 10_000,
    ) -> dict[str, Any]:
        """Dotted key -> value of a run's facet, or of its config if it has no facet.

        Args:
            namespace: {} if that is not the model of the run.
            prefix: what the key begins with.
            keys: only these.

        Raises:
            MissingKeyError: no such run.
        """
        run = self.find_run(run_id)
        if namespace is not None and namespace != run.model_name:
            return {}
        return _cut(flat(run.config if run.facet is None else from_plain(run.facet)), prefix, keys, limit)

    def diff_runs(
        self,
        run_id_a: str | Run,
        run_id_b: str | Run,
        *,
        namespace: str | None = None,
        prefix: str | None = None,
        keys: Iterable[str] | None = None,
        limit: int | None = 10_000,
        include_equal: bool = False,
    ) -> dict[str, Any]:
        """``{"namespace": {"left", "right"}, "changes": {key: {"left", "right", "status"}}}`` of two runs.

        Facets are compared if both have one, else configs. A status is ``added``, ``removed``, ``changed`` or ``same``.

        Raises:
            MissingKeyError: no such run.
        """
        runs = [self.find_run(run_id) for run_id in (run_id_a, run_id_b)]
        by_facet = all(run.facet is not None for run in runs)
        wanted = None if keys is None else list(keys)
        left, right = (
            {}
            if namespace is not None and namespace != run.model_name
            else _cut(flat(from_plain(run.facet) if by_facet else run.config), prefix, wanted, None)
            for run in runs
        )
        changes = {
            key: {"left": left.get(key), "right": right.get(key), "status": _status(key, left, right)}
            for key in dict.fromkeys((*left, *right))
        }
        told = {key: change for key, change in changes.items() if include_equal or change["status"] != "same"}
        names = {side: run.model_name for side, run in zip(("left", "right"), runs, strict=True)}
        return {"namespace": names, "changes": dict(list(told.items())[: checked_limit(limit)])}

    def find_runs_by_facet_kv(
        self,
        *,
        namespace: str | None = None,
        key: str,
        value_str: str | None = None,
        value_num: float | None = None,
        value_bool: bool | None = None,
        limit: int | None = 100,
    ) -> list[Run]:
        """Runs with this value in their facet; `namespace` is the model.

        Raises:
            UsageError: not exactly one value.
        """
        values = [value for value in (value_str, value_num, value_bool) if value is not None]
        if len(values) != 1:
            raise UsageError("find_runs_by_facet_kv() takes one of value_str, value_num and value_bool.")
        found: list[Run] = self._tracker.find_runs(model=namespace, facet={key: values[0]}, limit=limit)
        return found


def _number(name: str, value: Any) -> Any:
    """A number that may be given as text."""
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        raise UsageError(f"{name}={value!r} is no whole number: give one, such as {name}=2030.") from None


def _is_meant(wanted: Mapping[str, Any], hashes: Mapping[str, str | None], epoch: Any, texts: tuple[str, str]) -> bool:
    if any(wanted.get(name) not in (None, hashes[name]) for name in hashes):
        return False
    asked, scope = wanted.get("cache_epoch"), wanted.get("run_scope")
    unknown = epoch is None and wanted.get("allow_missing_cache_epoch")
    if asked not in (None, epoch) and not unknown:
        return False
    return scope is None or any(text.startswith(scope) for text in texts)


def _cut(
    values: Mapping[str, Any], prefix: str | None, keys: Iterable[str] | None, limit: int | None
) -> dict[str, Any]:
    wanted = None if keys is None else {keys} if isinstance(keys, str) else {*keys}
    found = [
        (key, value)
        for key, value in values.items()
        if key.startswith(prefix or "") and (wanted is None or key in wanted)
    ]
    return dict(found[: checked_limit(limit)])


def _status(key: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> str:
    if key not in left or key not in right:
        return "removed" if key in left else "added"
    return "same" if left[key] == right[key] else "changed"


def history(tracker: Any, limit: int | None, tags: Iterable[str] | None) -> pd.DataFrame:
    """The newest runs as a DataFrame."""
    return RunSet.from_runs(tracker.find_runs(tags=tags, limit=limit)).to_frame()


# ---------------------------------------------------------------- artifacts


@dataclasses.dataclass(frozen=True)
class RunArtifacts:
    """The artifacts of a run, by key."""

    inputs: dict[str, Artifact] = dataclasses.field(default_factory=dict)
    outputs: dict[str, Artifact] = dataclasses.field(default_factory=dict)


def artifacts_of(tracker: Any, run_id: str | Run) -> RunArtifacts:
    """Inputs and outputs of a run."""
    return RunArtifacts(inputs=tracker.get_run_inputs(run_id), outputs=tracker.get_run_outputs(run_id))


def artifact_at(tracker: Any, uri: str, table_path: str | None, array_path: str | None) -> Artifact | None:
    """The newest artifact at a URI."""
    queries = tracker._queries
    conn = queries.conn
    for row in lineage.by_uri(conn, uri):
        if table_path in (None, row.table_path) and array_path in (None, row.array_path):
            found: Artifact = queries.artifact(conn, row)
            return found
    return None


def historical_path(tracker: Any, artifact: Artifact, run: Run | None) -> Path:
    """The path of an artifact; one that was made by hand lies where the run had its files."""
    if artifact.uris is not None:
        return artifact.path
    root = artifact.root or (None if run is None else run.run_dir or None)
    return dataclasses.replace(artifact, uris=tracker._engine.uris, root=root).path


# ---------------------------------------------------------------- artifacts by their facets

_COMPARISON = re.compile(r"\s*([^<>=!\s]+)\s*(>=|<=|=)\s*([^<>=!\s][^<>=!]*?)\s*")
_HOLDS: dict[str, Callable[[Any, float], Any]] = {">=": operator.ge, "<=": operator.le}


class _Param(NamedTuple):
    """A comparison of a value of a facet."""

    key: str
    sign: str
    value: str

    def holds(self, values: Mapping[str, Any]) -> bool | None:
        """True if the value is as compared; None if the facet has no such key."""
        if self.key not in values:
            return None
        value = values[self.key]
        if self.sign == "=":
            return _is(value, self.value)
        return _is_number(value) and bool(_HOLDS[self.sign](value, float(self.value)))


def _param(text: Any) -> _Param:
    match = _COMPARISON.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UsageError(f"{text!r} is no comparison: write 'key=value', 'key>=number' or 'key<=number'.")
    found = _Param(*match.groups())
    if found.sign != "=" and _as_number(found.value) is None:
        raise UsageError(f"{text!r} compares with {found.value!r}, which is no number. Use '=' for texts.")
    return found


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is(value: Any, text: str) -> bool:
    """True if a value is what the text says: by number, by ``true`` and ``false``, by ``null``, or letter by letter."""
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if _is_number(value):
        return bool(_as_number(text) == value)
    return text in ("null", "None") if value is None else str(value) == text


def artifacts_by_params(
    tracker: Any,
    params: Iterable[str],
    namespace: str | None,
    key_prefix: str | None,
    family_prefix: str | None,
    limit: int | None,
) -> list[Artifact]:
    """Artifacts by values of their facets, newest first."""
    wanted, most = [_param(text) for text in ([params] if isinstance(params, str) else params)], checked_limit(limit)
    queries = tracker._queries
    conn = queries.conn
    found: list[Artifact] = []
    for row in lineage.find_artifacts(conn, limit=None):
        if most is not None and len(found) >= most:
            break
        if not row.key.startswith(key_prefix or ""):
            continue
        values = flat(from_plain(row.facet))
        if family_prefix is not None and not str(values.get("artifact_family", "")).startswith(family_prefix):
            continue
        if _holds(conn, row, values, wanted, namespace):
            found.append(queries.artifact(conn, row))
    return found


def _holds(
    conn: sqlite3.Connection, row: ArtifactRow, values: Mapping[str, Any], wanted: Iterable[_Param], space: str | None
) -> bool:
    """True if all comparisons hold. The first word of a key is a model if the facet has no such key."""
    spaces = {} if space is None else {space: None}
    for param in wanted:
        held = param.holds(values)
        if held is None and "." in param.key:
            first, _, rest = param.key.partition(".")
            held, spaces[first] = param._replace(key=rest).holds(values), None
        if not held:
            return False
    return not spaces or spaces.keys() <= _models(conn, row)


def _models(conn: sqlite3.Connection, row: ArtifactRow) -> set[str]:
    """The models of the run that made an artifact, or of those that used a file from outside."""
    if row.producer_key is not None:
        made = run_table.by_key(conn, row.producer_key)
        return set() if made is None else {made.model}
    node = lineage.downstream(conn, row.artifact_id, 1)
    return set() if node is None else {child.run.model for child in node.runs}
