"""A tracker's queries for earlier runs and artifacts."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, Unpack, overload
from uuid import UUID

from consist_es.api.lbnl_names import LbnlQueries
from consist_es.api.parts import Parts
from consist_es.artifacts.artifact import Artifact
from consist_es.checks import check_option, names
from consist_es.errors import (
    ArtifactMissingError,
    ConsistWarning,
    MissingKeyError,
    OptionError,
    UsageError,
    UsageTypeError,
)
from consist_es.execution.observed import observations
from consist_es.projections import lineage, lineage_tree, run_table
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.run_names import run_named
from consist_es.projections.run_rows import RunRow
from consist_es.runs.queries import Queries, artifact_row, ref
from consist_es.runs.run import Run, RunResult
from consist_es.text import shown

if TYPE_CHECKING:
    from consist_es.reading.compare import Comparison
    from consist_es.runs.sets import RunSet


_LISTED = 5
"""Number of runs that an error lists."""
_OF_RUNS = ("creator", "consumer", "run")
"""Filters of artifacts that name a run."""


class RunFilters(TypedDict, total=False):
    """Filters of `find_runs`; None does not filter."""

    tags: Iterable[str] | None
    year: int | None
    iteration: int | None
    stage: str | None
    phase: str | None
    model: str | None
    status: str | None
    name: str | None
    kind: str | None
    parent_id: str | None
    parent: str | None
    scenario: str | None
    facet: Mapping[str, Any] | None
    metadata: Mapping[str, Any] | None
    limit: int | None


class ArtifactFilters(TypedDict, total=False):
    """Filters of `find_artifacts`; None does not filter."""

    key: str | None
    digest: str | None
    uri: str | None
    driver: str | None
    kind: str | None
    creator: str | None
    consumer: str | None
    run: str | None
    limit: int | None


class Index(Protocol):
    """Result of `index_by_field` and `index_by_facet`."""

    @property
    def name(self) -> str: ...


class CrateOptions(TypedDict, total=False):
    """What a RO-Crate needs beyond the record."""

    script: str | os.PathLike[str]
    license: str
    author: str | None
    publisher: str | None
    published: str | None
    data: bool


class TrackerQueries(Parts, LbnlQueries):
    """The reading half of `Tracker`.

    Run ids give the latest attempt, ``id#n`` the n-th; a `Run` stands for itself.
    """

    _answers: Queries
    _cut: set[tuple[str, int]]
    """Lines of code that were warned of a cut by the default limit."""

    @property
    def _queries(self) -> Queries:
        """The queries. Notes the read: a step that queries while it runs is never reused."""
        for run in observations():
            run.other("the record of other runs")
        return self._answers

    # ------------------------------------------------------------ runs

    def get_run(self, run_id: str | Run) -> Run | None:
        """The latest attempt of a run id, or the n-th by ``id#n``; None if there is none."""
        queries = self._queries
        conn = queries.conn
        row = run_table.get(conn, ref(run_id))
        return None if row is None else queries.run(conn, row)

    @overload
    def find_runs(self, *, index_by: None = None, **filters: Unpack[RunFilters]) -> list[Run]: ...
    @overload
    def find_runs(self, *, index_by: str | Index, **filters: Unpack[RunFilters]) -> dict[Any, Run]: ...
    def find_runs(
        self, *, index_by: str | Index | None = None, **filters: Unpack[RunFilters]
    ) -> list[Run] | dict[Any, Run]:
        """Runs that match all filters, newest first.

        Without a limit all are given if a scenario, a parent or `index_by` is named; else the newest 100, with a
        warning if there are more.

        Args:
            index_by: a field or ``facet.<key>``: gives a dict of the newest run per value.
            tags: has all of them.
            year, iteration, stage, phase, model, status, name, kind, parent_id, scenario: equal to this.
            parent: the same as `parent_id`.
            facet: dotted key -> value.
            metadata: key -> value.
            limit: at most so many; None for all.

        Raises:
            OptionError: a filter that does not exist.
        """
        if index_by is None:
            return self._find(filters)
        name = index_by if isinstance(index_by, str) else getattr(index_by, "name", None)
        if not isinstance(name, str):
            raise OptionError(
                "index_by", index_by, ("a run field", "facet.<key>", "index_by_field()", "index_by_facet()")
            )
        from consist_es.runs.sets import field_of

        return {field_of(run, name): run for run in reversed(self._find({"limit": None, **filters}))}

    def _find(self, filters: Mapping[str, Any]) -> list[Run]:
        queries = self._queries
        conn, given = queries.conn, self._given(filters)

        def found(limit: int | None) -> list[RunRow]:
            return run_table.find(conn, limit=limit, **given)

        from consist_es.api.limits import limited  # few processes search

        rows = limited(
            "find_runs()",
            filters,
            ("scenario", "parent", "parent_id"),
            found,
            lambda: run_table.how_many(conn, **given),
            self._cut,
        )
        return [queries.run(conn, row) for row in rows]

    @staticmethod
    def _given(filters: Mapping[str, Any]) -> dict[str, Any]:
        """Filters for the run table, without the limit."""
        given = {name: value for name, value in filters.items() if name not in ("limit", "parent_id")}
        if (parent := filters.get("parent_id")) is not None:
            given["parent"] = parent
        for name in ("facet", "metadata"):
            if not isinstance(given.get(name) or {}, Mapping):
                raise UsageTypeError(f"{name} takes a mapping of key to value, not {type(given[name]).__name__}.")
        return given

    def find_run(
        self, run_id: str | Run | None = None, *, id: str | Run | None = None, **filters: Unpack[RunFilters]
    ) -> Run:
        """The only run that matches; `id` is the same as `run_id`.

        Raises:
            UsageError (ValueError): none, or several. MissingKeyError: no run of that id.
        """
        wanted = run_id if id is None else id
        if wanted is not None:
            queries = self._queries
            conn = queries.conn
            return queries.run(conn, run_named(conn, ref(wanted)))
        runs = self._find({"limit": _LISTED + 1, **filters})
        if len(runs) != 1:
            number = run_table.how_many(self._queries.conn, **self._given(filters)) if runs else 0
            listed = ", ".join(run.id for run in runs[:_LISTED]) or "none"
            raise UsageError(
                f"find_run({_shown(filters)}) needs exactly one run and found {number:,}: {listed}. "
                "Filter further, or ask find_latest_run() or find_runs()."
            )
        return runs[0]

    def find_latest_run(self, **filters: Unpack[RunFilters]) -> Run:
        """The matching run with the highest iteration, and of several such the newest.

        Raises:
            UsageError (ValueError): none matches.
        """
        runs = self._find({"limit": None, **filters})
        if not runs:
            raise UsageError(
                f"find_latest_run({_shown(filters)}): no run matches. Correct the filters, or leave one out."
            )
        return max(runs, key=lambda run: -1 if run.iteration is None else run.iteration)

    def get_latest_run_id(self, **filters: Unpack[RunFilters]) -> str:
        """The id of `find_latest_run`."""
        return self.find_latest_run(**filters).id

    def get_run_config(self, run_id: str | Run) -> Any:
        """The config that a run was given, as it was given; see `Run.config` for what is not restored.

        Raises:
            MissingKeyError: no such run.
        """
        return self.find_run(run_id).config

    def get_run_result(
        self, run_id: str | Run, keys: str | Iterable[str] | None = None, validate: str = "lazy"
    ) -> RunResult:
        """The result of an earlier run as its caller received it, for use with `ref`.

        Args:
            run_id: of the run.
            keys: the outputs to give; None for all.
            validate: ``lazy`` and ``none`` do not look at the files, ``strict`` requires each to exist.

        Raises:
            MissingKeyError: no such run or output. ArtifactMissingError: strict, and a file is gone.
        """
        check_option("validate", validate, ("lazy", "strict", "none"), optional=False)
        queries = self._queries
        conn = queries.conn
        row = run_named(conn, ref(run_id))
        outputs = queries.artifacts(conn, lineage.results(conn, row.key))
        if keys is not None:
            for key in (wanted := names(keys, "keys")):
                if key not in outputs:
                    raise MissingKeyError("output", key, outputs, f"These are the results of run {row.id!r}.")
            outputs = {key: outputs[key] for key in wanted}
        for key, artifact in outputs.items():
            if validate == "strict" and not artifact.path.exists():
                raise ArtifactMissingError(
                    f"Output {key!r} of run {run_id!r} is not at {artifact.path}. "
                    "Run the step again, or restore the file."
                )
        return RunResult(queries.run(conn, row), outputs, cache_hit=row.cache == "hit")

    def diff_runs(self, run_id_1: str, run_id_2: str) -> dict[str, tuple[Any, Any]]:
        """Config values that differ: dotted key -> (first run's, second run's); None for a run that lacks it."""
        from consist_es.runs.sets import config_diff

        return config_diff(self.find_run(run_id_1), self.find_run(run_id_2))

    def compare(self, a: str | Run, b: str | Run) -> Comparison:
        """Compare two scenarios, or two steps: where they part, and what differs at each step.

        `a` and `b` are runs, or what selects them on the command line: ``"base"``, ``"base#1"``,
        ``"base/demand@2030.1"``. Of several that a text may mean the newest is taken.

        Raises:
            MissingKeyError: there is no such scenario or step. UsageError: one is a scenario and the other a step.
            UsageTypeError: a side is neither a run nor a str.
        """
        from consist_es.reading.compare import compare
        from consist_es.reading.select import scenario_or_step

        conn = self._queries.conn
        if wrong := [side for side in (a, b) if not isinstance(side, str | Run)]:
            raise UsageTypeError(f"compare() takes runs, or texts that select them such as 'base', not {wrong[0]!r}.")
        sides = [scenario_or_step(conn, side.key if isinstance(side, Run) else side).run for side in (a, b)]
        return compare(conn, *sides)

    def run_set(self, label: str = "", **filters: Unpack[RunFilters]) -> RunSet:
        """The runs that match as a set to split, align and compare, or to turn into an Arrow table."""
        from consist_es.runs.sets import RunSet  # heavy for its size, like its two functions above

        return RunSet.from_query(self, label, **filters)

    # ------------------------------------------------------------ their artifacts

    def get_run_outputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Outputs of a run by key; for a scenario those of all its steps, the latest per key.

        Raises:
            MissingKeyError: no such run.
        """
        return self._queries.outputs(run_id)

    def get_run_inputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Inputs of a run by binding name; for a scenario those that none of its steps made.

        Raises:
            MissingKeyError: no such run.
        """
        queries = self._queries
        conn = queries.conn
        row = run_named(conn, ref(run_id))
        find = lineage.scenario_inputs if row.kind == "scenario" else lineage.inputs
        return queries.artifacts(conn, find(conn, row.key))

    def get_run_artifact(self, run_id: str | Run, key: str | None = None) -> Artifact:
        """One output of a run: that of `key`, or its only one. A scenario's collected keys count.

        Raises:
            MissingKeyError: no such run or output; lists the outputs.
        """
        outputs = self._queries.outputs(run_id)
        if key is None and len(outputs) == 1:
            return next(iter(outputs.values()))
        if key is not None and key not in outputs:
            outputs = {**outputs, **self._queries.collected(run_id)}
        if key is None or key not in outputs:
            raise MissingKeyError("output", key, outputs, f"These are the outputs of run {run_id!r}.")
        return outputs[key]

    def load_run_output(self, run_id: str | Run, key: str | None = None, **options: Any) -> Any:
        """The data of one output of a run; see `consist_es.load`."""
        from consist_es.artifacts.drivers.loading import load  # with all drivers

        return load(self.get_run_artifact(run_id, key), **options)

    # ------------------------------------------------------------ artifacts

    def get_artifact(
        self, key_or_id: str | UUID | None = None, run_id: str | None = None, *, key: str | None = None
    ) -> Artifact | None:
        """An artifact by id, or the newest of a key; None if there is none. `key` is the same as `key_or_id`.

        With `run_id`, of that run by binding name or output key; of a scenario also of its steps and its coupler, where
        `collect_by_keys(prefix=…)` puts names.

        Raises:
            UsageError: neither a key nor an id, or both.
        """
        if (key_or_id is None) == (key is None):
            raise UsageError("get_artifact() takes a key or an id, once: get_artifact('trips').")
        queries, wanted = self._queries, key if key_or_id is None else key_or_id
        conn = queries.conn
        try:
            return queries.artifact(conn, artifact_row(conn, str(wanted), run_id))
        except MissingKeyError:
            return None

    def find_artifacts(self, **filters: Unpack[ArtifactFilters]) -> list[Artifact]:
        """Artifacts that match all filters, newest first.

        Without a limit all are given if a run, a digest or a URI is named; else the newest 100, with a warning if there
        are more.

        Args:
            key, digest, uri, driver, kind: equal to this.
            creator, consumer, run: id of the run that made it, that used it, or either of the two.
            limit: at most so many; None for all.
        """
        queries = self._queries
        given: dict[str, Any] = {name: value for name, value in filters.items() if name != "limit"}
        given |= {name: queries.key_of(given[name]) for name in _OF_RUNS if given.get(name) is not None}
        conn = queries.conn

        def found(limit: int | None) -> list[ArtifactRow]:
            return lineage.find_artifacts(conn, limit=limit, **given)

        whole = (*_OF_RUNS, "digest", "uri", "parent")
        from consist_es.api.limits import limited

        rows = limited("find_artifacts()", filters, whole, found, lambda: lineage.how_many(conn, **given), self._cut)
        return [queries.artifact(conn, row) for row in rows]

    def find_artifacts_with_same_content(self, artifact: Artifact) -> list[Artifact]:
        """Every artifact with the same bytes, newest first, including itself."""
        return self.find_artifacts(digest=artifact.hash, limit=None) if artifact.hash else [artifact]

    def get_artifact_lineage(self, key_or_id: str | UUID | Artifact, max_depth: int | None = None) -> dict[str, Any]:
        """The lineage of an artifact: ``{"artifact", "runs": [{"run", "inputs": {name: …}}]}``, nested.

        A node that is already elsewhere in the tree has ``"repeated": True`` and no children.

        Raises:
            MissingKeyError: no such artifact.
        """
        return self._tree(key_or_id, lineage_tree.upstream, "inputs", max_depth)

    def get_artifact_descendants(
        self, key_or_id: str | UUID | Artifact, max_depth: int | None = None
    ) -> dict[str, Any]:
        """Artifacts made from an artifact: ``{"artifact", "runs": [{"run", "outputs": {name: …}}]}``, nested.

        Every step counts that used the same bytes of it: a file from outside has a record in each scenario.

        Raises:
            MissingKeyError: no such artifact.
        """
        return self._tree(key_or_id, lineage_tree.downstream, "outputs", max_depth)

    def _tree(
        self,
        key_or_id: str | UUID | Artifact,
        grown: Callable[[sqlite3.Connection, str, int | None], lineage_tree.ArtifactNode | None],
        below: str,
        max_depth: int | None,
    ) -> dict[str, Any]:
        queries = self._queries
        conn = queries.conn
        node = grown(conn, artifact_row(conn, key_or_id).artifact_id, max_depth)
        if node is None:
            raise MissingKeyError("artifact", key_or_id, ())
        return _nested(queries, conn, node, below)

    def print_lineage(self, key_or_id: str | UUID | Artifact, max_depth: int | None = None) -> None:
        """Print the lineage of an artifact as an indented tree; control characters are shown as ``\\x1b``."""
        for line in _lines(self.get_artifact_lineage(key_or_id, max_depth), 0, set()):
            print(shown(line))

    # ------------------------------------------------------------ exports

    def export(
        self,
        format: str,
        path: str | os.PathLike[str],
        scenarios: str | Iterable[str] | None = None,
        *,
        force: bool = False,
        **about: Unpack[CrateOptions],
    ) -> Path:
        """Write scenarios, or the whole record, in a format of others; gives the path. See docs/exports.md.

        Args:
            format: ``openlineage``, ``prov``, ``trace``, ``mermaid`` or ``dot``, which are files, or ``parquet`` and
                ``ro-crate``, which are folders.
            path: the file or folder to make.
            scenarios: names, ``NAME#2`` for an earlier attempt; None for the whole record. A RO-Crate is of one.
            force: replace an earlier export.
            script: for a RO-Crate, which needs it: the script of the model.
            license: for a RO-Crate, which needs it: an identifier of SPDX, or a URL.
            author, publisher: for a RO-Crate: a name or a URL.
            published: for a RO-Crate: a date; the end of the scenario without one.
            data: for a RO-Crate: copy the files whose bytes are still the recorded ones.

        Raises:
            OptionError: no such format. MissingKeyError: no such scenario. ExportError: the place is taken, or the
            crate lacks something.
        """
        from consist_es.exports.export import export, own_places  # few processes export

        project, conn = self._queries.project, self._queries.conn
        ours = own_places(project.folder, project.db_path)
        wanted = names(scenarios, "scenarios")
        done = export(conn, format, path, wanted, ours=ours, force=force, about=dict(about))
        for notice in done.notices:
            warnings.warn(notice, ConsistWarning, stacklevel=2)
        return Path(done.path)


def _nested(queries: Queries, conn: sqlite3.Connection, node: lineage_tree.ArtifactNode, below: str) -> dict[str, Any]:
    runs = [
        {
            "run": queries.run(conn, child.run),
            below: {item.name: _nested(queries, conn, item, below) for item in child.artifacts},
            **({"repeated": True} if child.repeated else {}),
        }
        for child in node.runs
    ]
    repeated = {"repeated": True} if node.repeated else {}
    return {"artifact": queries.artifact(conn, node.artifact), "runs": runs, **repeated}


def _lines(node: dict[str, Any], depth: int, told: set[Any]) -> Sequence[str]:
    """A tree as lines. `told`: ids of nodes already shown in full further up."""
    artifact = node["artifact"]
    lines = [f"{'  ' * depth}{artifact.key}  {artifact.container_uri}{_elsewhere(node, artifact.id, told)}"]
    for made in node["runs"]:
        run = made["run"]
        lines.append(f"{'  ' * depth}  made by {run.id} ({run.status}){_elsewhere(made, run.key, told)}")
        for child in made["inputs"].values():
            lines += _lines(child, depth + 2, told)
    return lines


def _elsewhere(node: dict[str, Any], key: Any, told: set[Any]) -> str:
    """A note on where in the printed tree a repeated artifact or run is shown in full."""
    if not node.get("repeated"):
        told.add(key)
        return ""
    return "  (see above)" if key in told else "  (see below)"


def _shown(filters: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in filters.items())
