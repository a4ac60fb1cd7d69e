"""What a tracker answers about earlier runs and artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from consist_es.api.lbnl_names import SaysInstead
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.loading import load
from consist_es.checks import check_option, names
from consist_es.errors import ArtifactMissingError, MissingKeyError, OptionError
from consist_es.execution.observed import observations
from consist_es.runs.queries import Queries
from consist_es.runs.run import Run, RunResult
from consist_es.runs.sets import RunSet, config_diff, field_of
from consist_es.text import shown


class TrackerQueries(SaysInstead):
    """The reading half of `Tracker`.

    Run ids give the latest attempt, ``id#n`` the n-th; a `Run` stands for itself.
    """

    _answers: Queries

    @property
    def _queries(self) -> Queries:
        """A step that asks while it runs depends on the answer, and no later run can be held against that."""
        for run in observations():
            run.other("the record of other runs")
        return self._answers

    # ------------------------------------------------------------ runs

    def get_run(self, run_id: str | Run) -> Run | None:
        """The latest attempt of a run id, or the n-th by ``id#n``; None where there is none."""
        return self._queries.get_run(run_id)

    def find_runs(self, *, index_by: Any = None, **filters: Any) -> Any:
        """Runs that match all filters, newest first.

        Filters: tags (has all), year, iteration, stage, phase, model, status, name, kind, parent_id, scenario, facet
        (dotted key -> value), metadata, limit (100; None for all). With `index_by`, a field or ``facet.<key>``, a
        dict of the newest run per value.

        Raises:
            OptionError: a filter that does not exist.
        """
        runs = self._queries.find_runs(**filters)
        if index_by is None:
            return runs
        name = getattr(index_by, "name", index_by)
        if not isinstance(name, str):
            raise OptionError(
                "index_by", index_by, ("a run field", "facet.<key>", "index_by_field()", "index_by_facet()")
            )
        return {field_of(run, name): run for run in reversed(runs)}

    def find_run(self, run_id: str | Run | None = None, **filters: Any) -> Run:
        """The only run that matches; `id` is the same as `run_id`.

        Raises:
            UsageError (ValueError): none, or several. MissingKeyError: no run of that id.
        """
        return self._queries.find_run(filters.pop("id", run_id), **filters)

    def find_latest_run(self, **filters: Any) -> Run:
        """Of the runs that match, the one of the highest iteration, and of these the newest.

        Raises:
            UsageError (ValueError): none matches.
        """
        return self._queries.find_latest_run(**filters)

    def get_latest_run_id(self, **filters: Any) -> str:
        """The id of `find_latest_run`."""
        return self.find_latest_run(**filters).id

    def get_run_config(self, run_id: str | Run) -> Any:
        """The config that a run was given, in plain JSON form.

        Raises:
            MissingKeyError: no such run.
        """
        return self._queries.find_run(run_id).config

    def get_run_result(self, run_id: str | Run, keys: Any = None, validate: str = "lazy") -> RunResult:
        """The result of an earlier run as its caller received it, to be used with `ref`.

        `validate`: ``lazy`` and ``none`` do not look at the files, ``strict`` requires each to exist.

        Raises:
            MissingKeyError: no such run or output. ArtifactMissingError: strict, and a file is gone.
        """
        check_option("validate", validate, ("lazy", "strict", "none"), optional=False)
        result = self._queries.result(run_id, None if keys is None else names(keys, "keys"))
        for key, artifact in result.outputs.items():
            if validate == "strict" and not artifact.path.exists():
                raise ArtifactMissingError(
                    f"Output {key!r} of run {run_id!r} is not at {artifact.path}. Restore it, or run the step again."
                )
        return result

    def diff_runs(self, run_id_1: str, run_id_2: str) -> dict[str, tuple[Any, Any]]:
        """Config values that differ: dotted key -> (first run's, second run's); None where one has none."""
        return config_diff(self._queries.find_run(run_id_1), self._queries.find_run(run_id_2))

    def run_set(self, label: str = "", **filters: Any) -> RunSet:
        """The runs that match as a set to split, align and compare, or to turn into an Arrow table."""
        return RunSet.from_query(self, label, **filters)

    # ------------------------------------------------------------ their artifacts

    def get_run_outputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Outputs of a run by key; of a scenario those of all its steps, the latest of each key.

        Raises:
            MissingKeyError: no such run.
        """
        return self._queries.outputs(run_id)

    def get_run_inputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Inputs of a run by binding name; of a scenario those that none of its steps made.

        Raises:
            MissingKeyError: no such run.
        """
        return self._queries.inputs(run_id)

    def get_run_artifact(self, run_id: str | Run, key: str | None = None) -> Artifact:
        """One output of a run: that of `key`, or its only one.

        Raises:
            MissingKeyError: no such run or output; lists those there are.
        """
        outputs = self._queries.outputs(run_id)
        if key is None and len(outputs) == 1:
            return next(iter(outputs.values()))
        if key is None or key not in outputs:
            raise MissingKeyError("output", key, outputs, f"These are the outputs of run {run_id!r}.")
        return outputs[key]

    def load_run_output(self, run_id: str | Run, key: str | None = None, **options: Any) -> Any:
        """The data of one output of a run; see `consist_es.load`."""
        return load(self.get_run_artifact(run_id, key), **options)

    # ------------------------------------------------------------ artifacts

    def get_artifact(self, key_or_id: str | UUID, run_id: str | None = None) -> Artifact | None:
        """An artifact by id, or the newest of a key (of one run, by its binding name or output key); None if none."""
        try:
            return self._queries.find_artifact(key_or_id, run_id)
        except MissingKeyError:
            return None

    def find_artifacts(self, **filters: Any) -> list[Artifact]:
        """Artifacts that match, newest first: key, digest, uri, driver, kind, creator and consumer (run ids), limit."""
        return self._queries.find_artifacts(**filters)

    def find_artifacts_with_same_content(self, artifact: Artifact) -> list[Artifact]:
        """Every artifact with the same bytes, newest first, itself among them."""
        return self._queries.find_artifacts(digest=artifact.hash, limit=None) if artifact.hash else [artifact]

    def get_artifact_lineage(self, key_or_id: str | UUID | Artifact, max_depth: int | None = None) -> dict[str, Any]:
        """Where an artifact comes from: ``{"artifact", "runs": [{"run", "inputs": {name: …}}]}``, nested.

        Raises:
            MissingKeyError: no such artifact.
        """
        return self._queries.tree(key_or_id, up=True, max_depth=max_depth)

    def get_artifact_descendants(
        self, key_or_id: str | UUID | Artifact, max_depth: int | None = None
    ) -> dict[str, Any]:
        """What was made of an artifact: ``{"artifact", "runs": [{"run", "outputs": {name: …}}]}``, nested.

        Raises:
            MissingKeyError: no such artifact.
        """
        return self._queries.tree(key_or_id, up=False, max_depth=max_depth)

    def print_lineage(self, key_or_id: str | UUID | Artifact, max_depth: int | None = None) -> None:
        """Print where an artifact comes from, as an indented tree; what a terminal would obey is shown as ``\\x1b``."""
        for line in _lines(self.get_artifact_lineage(key_or_id, max_depth), 0, set()):
            print(shown(line))


def _lines(node: dict[str, Any], depth: int, told: set[Any]) -> Sequence[str]:
    """A tree as lines. `told`: what was shown with all that lies behind it, so that a reader finds it above."""
    artifact = node["artifact"]
    lines = [f"{'  ' * depth}{artifact.key}  {artifact.container_uri}{_elsewhere(node, artifact.id, told)}"]
    for made in node["runs"]:
        run = made["run"]
        lines.append(f"{'  ' * depth}  made by {run.id} ({run.status}){_elsewhere(made, run.key, told)}")
        for child in made["inputs"].values():
            lines += _lines(child, depth + 2, told)
    return lines


def _elsewhere(node: dict[str, Any], key: Any, told: set[Any]) -> str:
    """Where in the printed tree the rest of a repeated artifact or run stands."""
    if not node.get("repeated"):
        told.add(key)
        return ""
    return "  (see above)" if key in told else "  (see below)"
