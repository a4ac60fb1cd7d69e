"""OpenLineage 2-0-2: one event to a line, START and COMPLETE, FAIL or ABORT of each scenario and step.

https://openlineage.io/spec/2-0-2/OpenLineage.json. Facets are those of the specification, in the releases below; a
consumer adds the events of a run up, so what is known at the start stands in START alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import msgspec

from consist_es.exports.naming import PRODUCER, as_text, dataset, project_uri, run_uuid, settings
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.run_rows import RunRow
from consist_es.reading.walk import Walk
from consist_es.version import __version__

_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "jobType": ("JobTypeJobFacet", "2-0-4"),
    "documentation": ("DocumentationJobFacet", "1-1-0"),
    "parent": ("ParentRunFacet", "1-2-0"),
    "processing_engine": ("ProcessingEngineRunFacet", "1-1-1"),
    "executionParameters": ("ExecutionParametersRunFacet", "1-0-0"),
    "tags": ("TagsRunFacet", "1-0-0"),
    "errorMessage": ("ErrorMessageRunFacet", "1-0-1"),
    "version": ("DatasetVersionDatasetFacet", "1-0-1"),
    "datasetType": ("DatasetTypeDatasetFacet", "1-0-1"),
    "schema": ("SchemaDatasetFacet", "1-2-0"),
    "inputStatistics": ("InputStatisticsInputDatasetFacet", "1-0-0"),
    "outputStatistics": ("OutputStatisticsOutputDatasetFacet", "1-0-2"),
}
"""Name of a facet -> its schema, and the release of that."""
_ENDS = {"completed": "COMPLETE", "failed": "FAIL", "interrupted": "ABORT", "abandoned": "ABORT"}
_PATTERN = {"eventTrigger": "EVENT_BASED", "eventContentMode": "ACCUMULATIVE"}
_HEADERS = 256
"""Scenarios whose names are remembered."""


def write(walk: Walk, out: BinaryIO, tick: Callable[[], None]) -> None:
    """Write the events in the order of the log."""
    events = _Events(walk)
    for row, ended in walk.moments():
        out.write(msgspec.json.encode(events.end(row) if ended else events.start(row)) + b"\n")
        if not ended:
            tick()


def _facet(facet: str, /, **body: Any) -> dict[str, Any]:
    schema, release = _FACETS[facet]
    where = f"https://openlineage.io/spec/facets/{release}/{schema}.json#/$defs/{schema}"
    return {"_producer": PRODUCER, "_schemaURL": where, **_known(body)}


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


class _Events:
    def __init__(self, walk: Walk) -> None:
        self._walk, self._project = walk, walk.project
        self._space = project_uri(self._project)
        self._names: dict[str, str] = {}

    def start(self, row: RunRow) -> dict[str, Any]:
        facets = {"tags": _facet("tags", tags=list(self._tags(row))), **self._parent(row), **self._engine(row)}
        if parameters := [{"key": key, "name": key, "value": as_text(value)} for key, value in settings(row.config)]:
            facets["executionParameters"] = _facet("executionParameters", parameters=parameters)
        is_step = row.kind != "scenario"
        inputs = [_dataset(item, "input") for _, item in self._walk.inputs(row.key)] if is_step else []
        job = {"jobType": _job_type(row)}
        if row.description:
            job["documentation"] = _facet("documentation", description=row.description)
        return self._event(row, "START", row.started_at, facets, job=job, inputs=inputs)

    def end(self, row: RunRow) -> dict[str, Any]:
        facets = self._parent(row)
        if row.error_message is not None:
            said = f"{row.error_type}: {row.error_message}" if row.error_type else row.error_message
            more = {"programmingLanguage": "PYTHON", "stackTrace": row.error_traceback}
            facets["errorMessage"] = _facet("errorMessage", message=said, **more)
        at = row.ended_at or self._walk.at(row.ended_seq or 0) or row.started_at
        is_step = row.kind != "scenario"
        outputs = [_dataset(item, "output") for _, item in self._walk.outputs(row.key)] if is_step else []
        return self._event(row, _ENDS.get(row.status, "OTHER"), at, facets, outputs=outputs)

    def _event(
        self,
        row: RunRow,
        kind: str,
        at: str,
        facets: dict[str, Any],
        *,
        job: dict[str, Any] | None = None,
        inputs: list[Any] | None = None,
        outputs: list[Any] | None = None,
    ) -> dict[str, Any]:
        return {
            "eventTime": at,
            "eventType": kind,
            "producer": PRODUCER,
            "schemaURL": _EVENT,
            "run": {"runId": run_uuid(self._project, row.key), "facets": facets},
            "job": {"namespace": self._space, "name": self._job(row), "facets": job or {}},
            "inputs": inputs or [],
            "outputs": outputs or [],
        }

    def _job(self, row: RunRow) -> str:
        above = None if row.kind == "scenario" else self._scenario(row)
        return row.name if above is None else f"{above}.{row.name}"

    def _scenario(self, row: RunRow) -> str | None:
        """The name of a step's scenario."""
        key = row.scenario_key
        if key is None:
            return None
        if key not in self._names:
            if len(self._names) >= _HEADERS:
                self._names.clear()
            self._names[key] = self._walk.name_of(key)
        return self._names[key]

    def _parent(self, row: RunRow) -> dict[str, Any]:
        above = None if row.kind == "scenario" else self._scenario(row)
        if above is None or row.scenario_key is None:
            return {}
        run, job = {"runId": run_uuid(self._project, row.scenario_key)}, {"namespace": self._space, "name": above}
        return {"parent": _facet("parent", run=run, job=job)}

    def _engine(self, row: RunRow) -> dict[str, Any]:
        writer = self._walk.writer(row.writer)
        if writer is None:
            return {}
        said = {"name": "consist-es", "version": writer.library, "openlineageAdapterVersion": __version__}
        return {"processing_engine": _facet("processing_engine", **said)}

    def _tags(self, row: RunRow) -> Iterator[dict[str, str]]:
        source = None if row.cache_source_key is None else self._walk.id_of(row.cache_source_key)
        said: dict[str, Any] = {
            "run": row.id,
            "attempt": row.attempt,
            "year": row.year,
            "iteration": row.iteration,
            "phase": row.phase,
            "stage": row.stage,
            "function": row.function,
            "fingerprint": row.fingerprint,
            "cache": row.cache,
            "cache_source": source,
            "cache_reason": row.cache_reason,
            "cache_differs": "; ".join(row.cache_differs) or None,
        }
        yield from ({"key": key, "value": str(value), "source": "CONSIST_ES"} for key, value in _known(said).items())
        yield from ({"key": tag, "value": "true", "source": "USER"} for tag in row.tags)


def _job_type(row: RunRow) -> dict[str, Any]:
    kind = {"scenario": "SCENARIO", "trace": "TRACE"}.get(row.kind, "STEP")
    said = {"processingType": "BATCH", "integration": "CONSIST_ES", "jobType": kind, "emissionPattern": _PATTERN}
    return _facet("jobType", **said)


def _dataset(row: ArtifactRow, direction: str) -> dict[str, Any]:
    space, name = dataset(row)
    facets = {"datasetType": _facet("datasetType", datasetType="FOLDER" if row.kind == "folder" else "FILE")}
    if row.driver:
        facets["datasetType"]["subType"] = row.driver
    if row.digest is not None:
        facets["version"] = _facet("version", datasetVersion=row.digest)
    if isinstance(row.schema, dict) and row.schema:
        facets["schema"] = _facet(
            "schema", fields=[{"name": key, "type": str(kind)} for key, kind in row.schema.items()]
        )
    found = {"namespace": space, "name": name, "facets": facets}
    if statistics := _known({"rowCount": row.rows, "size": row.size}):
        found[f"{direction}Facets"] = {f"{direction}Statistics": _facet(f"{direction}Statistics", **statistics)}
    return found
