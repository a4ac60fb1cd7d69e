"""W3C PROV-JSON (https://www.w3.org/submissions/prov-json/): runs are activities, files entities, people and processes
agents, functions plans.

What a run used and made is said; that its outputs derive from all its inputs is not, for nobody recorded that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from consist_es.exports.naming import address, local, project_uri
from consist_es.projections.run_rows import RunRow
from consist_es.reading.labels import outcome
from consist_es.reading.walk import Walk

_TERMS = "urn:consist-es:terms:"
Item = tuple[str, dict[str, Any]]


def write(walk: Walk, out: BinaryIO, tick: Callable[[], None]) -> None:
    """Write one document, part by part: each part is a walk of its own."""
    base = project_uri(walk.project)
    prefixes = {"es": _TERMS, "run": f"{base}:run:", "file": f"{base}:file:", "agent": f"{base}:agent:"}
    prefixes |= {"plan": f"{base}:plan:", "xsd": "http://www.w3.org/2001/XMLSchema#"}
    prefixes["prov"] = "http://www.w3.org/ns/prov#"
    out.write(b'{"prefix":' + msgspec.json.encode(prefixes))
    parts: dict[str, Iterable[Item]] = {
        "entity": _entities(walk),
        "activity": _activities(walk, tick),
        "agent": _agents(walk),
        "used": _numbered("u", _used(walk)),
        "wasGeneratedBy": _numbered("g", _generated(walk)),
        "wasAssociatedWith": _numbered("w", _associated(walk)),
        "actedOnBehalfOf": _numbered("b", _on_behalf(walk)),
        "wasStartedBy": _numbered("s", _started(walk)),
        "wasInformedBy": _numbered("i", _informed(walk)),
    }
    for name, items in parts.items():
        _part(out, name, items)
    out.write(b"}\n")


def _part(out: BinaryIO, name: str, items: Iterable[Item]) -> None:
    """An object of many entries; nothing if there are none."""
    before = b',\n"' + name.encode() + b'":{\n'
    for key, body in items:
        out.write(before + msgspec.json.encode(key) + b":" + msgspec.json.encode(body))
        before = b",\n"
    if before == b",\n":
        out.write(b"}")


def _numbered(letter: str, bodies: Iterable[dict[str, Any]]) -> Iterator[Item]:
    yield from ((f"_:{letter}{number}", body) for number, body in enumerate(bodies, 1))


def _known(**values: Any) -> dict[str, Any]:
    """Attributes without those that are unknown; ``prov_role`` stands for ``prov:role``."""
    return {name.replace("_", ":", 1): value for name, value in values.items() if value is not None}


def _typed(value: Any, kind: str) -> Any:
    return None if value is None else {"$": str(value), "type": kind}


def _kind(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _run(key: str) -> str:
    return f"run:{local(key)}"


def _file(artifact: str) -> str:
    return f"file:{local(artifact)}"


def _plan(function: str, digest: str | None) -> str:
    return f"plan:{local(function)}{'' if digest is None else f'.{local(digest)}'}"


def _entities(walk: Walk) -> Iterator[Item]:
    for row in walk.artifacts():
        size, rows = _typed(row.size, "xsd:long"), _typed(row.rows, "xsd:long")
        where = _typed(address(row), "xsd:anyURI")
        said = _known(prov_label=row.key, prov_location=where, es_digest=row.digest, es_size=size, es_rows=rows)
        yield _file(row.artifact_id), said | _known(es_format=row.driver)
    for function, digest in walk.functions():
        yield _plan(function, digest), _known(prov_type=_kind("prov:Plan"), prov_label=function, es_digest=digest)


def _activities(walk: Walk, tick: Callable[[], None]) -> Iterator[Item]:
    for row in walk.runs():
        said = _known(
            prov_type=_kind("es:Scenario" if row.kind == "scenario" else "es:Step"),
            prov_label=row.id,
            prov_startTime=row.started_at,
            prov_endTime=row.ended_at,
            es_outcome=row.status if row.kind == "scenario" else outcome(row),
            es_year=_typed(row.year, "xsd:int"),
            es_iteration=_typed(row.iteration, "xsd:int"),
            es_phase=row.phase,
            es_fingerprint=row.fingerprint,
            es_reason=row.cache_reason,
            es_description=row.description,
            es_error=row.error_message,
            es_config=None if row.config is None else msgspec.json.encode(row.config).decode(),
        )
        yield _run(row.key), said
        tick()


def _agents(walk: Walk) -> Iterator[Item]:
    users: dict[str, None] = {}
    for writer in walk.writers():
        what = {"es_library": writer.library, "es_python": writer.python, "es_host": writer.host}
        process = _known(prov_type=_kind("prov:SoftwareAgent"), **what, es_pid=_typed(writer.pid, "xsd:int"))
        yield f"agent:process-{local(writer.writer)}", process
        if writer.user and writer.user not in users:
            users[writer.user] = None
            yield f"agent:user-{local(writer.user)}", _known(prov_type=_kind("prov:Person"), prov_label=writer.user)


def _used(walk: Walk) -> Iterator[dict[str, Any]]:
    for link in walk.links("input"):
        yield _known(prov_activity=_run(link.run), prov_entity=_file(link.artifact), prov_role=link.name)
    for link in walk.links("output"):
        if link.maker != link.run:  # reused: the run took what an earlier one had made
            reused = {"prov_role": link.name, "prov_type": _kind("es:Reuse")}
            yield _known(prov_activity=_run(link.run), prov_entity=_file(link.artifact), **reused)


def _generated(walk: Walk) -> Iterator[dict[str, Any]]:
    for link in walk.links("output"):
        if link.maker == link.run:
            yield _known(prov_entity=_file(link.artifact), prov_activity=_run(link.run), prov_role=link.name)


def _associated(walk: Walk) -> Iterator[dict[str, Any]]:
    for row in walk.runs():
        plan = None if row.function is None else _plan(row.function, row.code_digest)
        if walk.writer(row.writer) is not None:
            agent = f"agent:process-{local(row.writer)}"
            yield _known(prov_activity=_run(row.key), prov_agent=agent, prov_plan=plan)


def _on_behalf(walk: Walk) -> Iterator[dict[str, Any]]:
    for writer in walk.writers():
        if writer.user:
            who = {"prov_responsible": f"agent:user-{local(writer.user)}"}
            yield _known(prov_delegate=f"agent:process-{local(writer.writer)}", **who)


def _started(walk: Walk) -> Iterator[dict[str, Any]]:
    for row in walk.runs():
        if row.kind != "scenario" and row.scenario_key is not None:
            who = {"prov_starter": _run(row.scenario_key)}
            yield _known(prov_activity=_run(row.key), **who, prov_time=row.started_at)


def _informed(walk: Walk) -> Iterator[dict[str, Any]]:
    """The run that answered a hit."""
    for row in walk.runs():
        if _was_reused(row):
            yield _known(prov_informed=_run(row.key), prov_informant=_run(str(row.cache_source_key)))


def _was_reused(row: RunRow) -> bool:
    return row.cache == "hit" and row.cache_source_key is not None
