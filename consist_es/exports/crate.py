"""Provenance Run RO-Crate 0.5 (https://www.researchobject.org/workflow-run-crate/profiles/provenance_run_crate/) of one
scenario: a folder with ``ro-crate-metadata.json``, the model's script and, if asked for, the files.

The terms that RO-Crate 1.1 lacks are written out, so that its context is the only one a reader needs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import msgspec

from consist_es.errors import ExportError
from consist_es.exports.about import About
from consist_es.exports.crate_files import Files
from consist_es.exports.crate_plan import PROFILES, Plan, ref, refs
from consist_es.exports.naming import as_text, local, settings
from consist_es.projections.run_rows import RunRow
from consist_es.reading.labels import outcome
from consist_es.reading.walk import Walk
from consist_es.version import __version__

METADATA = "ro-crate-metadata.json"
_WORKFLOW_RUN = "https://w3id.org/ro/terms/workflow-run#"
_TERMS = ("ParameterConnection", "connection", "sourceParameter", "targetParameter")
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {term: f"{_WORKFLOW_RUN}{term}" for term in _TERMS}]
_STATUS = {"completed": "http://schema.org/CompletedActionStatus", "running": "http://schema.org/ActiveActionStatus"}
_FAILED = "http://schema.org/FailedActionStatus"
_SPDX = "https://spdx.org/licenses/"
Entity = dict[str, Any]


def write(walk: Walk, header: RunRow, about: About, folder: Path, tick: Callable[[], None]) -> list[str]:
    """Fill the folder; gives what the user should know of it.

    Raises:
        ExportError: the scenario has no steps, so that no crate of it would be valid.
    """
    if next(walk.steps(header), None) is None:
        raise ExportError("ro-crate", f"scenario {header.id!r} has no steps, and a valid crate has one. Name another")
    if about.script.name in (METADATA, "data"):
        raise ExportError("ro-crate", f"--script {about.script}: the crate needs that name. Give the script another")
    shutil.copyfile(about.script, folder / about.script.name)
    with Files(walk, header, folder if about.data else None) as files:
        crate = _Crate(walk, header, about, files)
        with (folder / METADATA).open("wb") as out:
            out.write(b'{"@context":' + msgspec.json.encode(_CONTEXT) + b',"@graph":[')
            between = b"\n"
            for entity in crate.entities(tick):
                out.write(between)
                _put(out, entity)
                between = b",\n"
            out.write(b"\n]}\n")
        return files.notices


def strange(folder: Path) -> Path | None:
    """A file in a folder that is no part of the crate there; None if all are."""
    try:
        graph = msgspec.json.decode((folder / METADATA).read_bytes())["@graph"]
        root = next(entity for entity in graph if entity["@id"] == "./")
        parts = {folder / METADATA, *(folder / unquote(part["@id"]) for part in _listed(root["hasPart"]))}
    except (OSError, msgspec.DecodeError, LookupError, TypeError, StopIteration):
        parts = set()
    files = (file for file in sorted(folder.rglob("*")) if file.is_symlink() or not file.is_dir())
    return next((file for file in files if parts.isdisjoint((file, *file.parents))), None)


def _listed(value: Any) -> list[Any]:
    """One reference, or several, as a list."""
    return value if isinstance(value, list) else [value]


def _put(out: BinaryIO, entity: Mapping[str, Any]) -> None:
    """Write an entity; a list of references may be an iterator, of more than fits the memory."""
    before = b"{"
    for name, value in entity.items():
        out.write(before + msgspec.json.encode(name) + b":")
        if isinstance(value, Iterator):
            _put_refs(out, value)
        else:
            out.write(msgspec.json.encode(value))
        before = b","
    out.write(b"}")


def _put_refs(out: BinaryIO, identities: Iterator[str]) -> None:
    start = [*islice(identities, 2)]
    if len(start) == 1:
        out.write(msgspec.json.encode(ref(start[0])))
        return
    before = b"["
    for identity in chain(start, identities):
        out.write(before + msgspec.json.encode(ref(identity)))
        before = b","
    out.write(b"]" if start else b"[]")


def _entity(identity: str, kind: str | list[str], **values: Any) -> Entity:
    known = {name: value for name, value in values.items() if value is not None and value not in ([], "")}
    return {"@id": identity, "@type": kind, **known}


class _Crate:
    def __init__(self, walk: Walk, header: RunRow, about: About, files: Files) -> None:
        self._walk, self._header, self._about, self._files = walk, header, about, files
        self._main = quote(os.fsencode(about.script.name))
        self._plan = Plan.of(walk, header, self._main)
        writer = walk.writer(header.writer)
        self._user = writer.user if writer is not None else ""
        self._python = writer.python if writer is not None else None
        self._library = writer.library if writer is not None else __version__

    def entities(self, tick: Callable[[], None]) -> Iterator[Entity]:
        """All entities, each once."""
        header = self._header
        about = _entity(METADATA, "CreativeWork", about=ref("./"))
        yield about | {"conformsTo": refs(["https://w3id.org/ro/crate/1.1", PROFILES[-1][0]])}
        yield self._root()
        yield from (_entity(url, "CreativeWork", name=name, version=version) for url, name, version in PROFILES)
        yield from self._people()
        yield from self._plan.entities(header, self._license(), self._version())
        language = "https://w3id.org/workflowhub/workflow-ro-crate#python"
        yield _entity(language, "ComputerLanguage", name="Python", url="https://www.python.org/", version=self._python)
        yield _entity("#consist-es", "SoftwareApplication", name="consist-es", version=self._library)
        yield from self._files.entities(self._plan)
        said = {"object": self._outside(), "result": self._results(), "instrument": ref(self._main)}
        what = header.description or f"A run of scenario {header.name}"
        yield self._action(header, "CreateAction", f"#{local(header.key)}", description=what, **said)
        said = {"object": self._controls(), "result": ref(f"#{local(header.key)}"), "instrument": ref("#consist-es")}
        yield self._action(header, "OrganizeAction", f"#organize-{local(header.key)}", **said)
        tick()
        for row in self._walk.steps(header):
            yield from self._step(row)
            tick()

    def _root(self) -> Entity:
        header, about = self._header, self._about
        ended = header.ended_at or (None if header.ended_seq is None else self._walk.at(header.ended_seq))
        author, publisher = self._author(), self._publisher()
        return _entity(
            "./",
            "Dataset",
            name=f"Run of scenario {header.id}",
            description=header.description or f"What happened in scenario {header.id}, recorded by consist-es",
            datePublished=about.published or _seconds(ended or header.started_at),
            license=ref(self._license()),
            author=None if author is None else ref(author["@id"]),
            publisher=None if publisher is None else ref(publisher["@id"]),
            conformsTo=refs([url for url, _, _ in PROFILES]),
            mainEntity=ref(self._main),
            hasPart=self._parts(),
            mentions=self._mentions(),
        )

    # ------------------------------------------------------------ people, licence

    def _license(self) -> str:
        said = self._about.license
        return said if "://" in said else f"{_SPDX}{quote(said)}"

    def _author(self) -> Entity | None:
        said = self._about.author
        if said is None:
            return None
        return _entity(said, "Person") if "://" in said else _entity(f"#author-{local(said)}", "Person", name=said)

    def _publisher(self) -> Entity | None:
        said = self._about.publisher
        if said is None:
            return None
        kind = "Organization"
        return _entity(said, kind, url=said) if "://" in said else _entity(f"#publisher-{local(said)}", kind, name=said)

    def _people(self) -> Iterator[Entity]:
        yield _entity(self._license(), "CreativeWork", name=self._about.license, identifier=self._license())
        yield from (entity for entity in (self._author(), self._publisher()) if entity is not None)
        if self._user:
            yield _entity(self._agent(), "Person", name=self._user)

    def _agent(self) -> str:
        return f"#user-{local(self._user)}"

    def _version(self) -> str | None:
        """The commit of the code, if it was under version control."""
        return None if self._header.environment is None else self._walk.commit(self._header.environment)

    # ------------------------------------------------------------ references, one at a time

    def _parts(self) -> Iterator[str]:
        yield self._main
        yield from self._files.names()

    def _mentions(self) -> Iterator[str]:
        yield f"#{local(self._header.key)}"
        yield f"#organize-{local(self._header.key)}"
        yield from (f"#{local(row.key)}" for row in self._walk.steps(self._header))

    def _outside(self) -> Iterator[str]:
        yield from (self._files.name(row) for row in self._walk.outside(self._header))

    def _results(self) -> Iterator[str]:
        yield from self._files.made()

    def _controls(self) -> Iterator[str]:
        yield from (f"#control-{local(row.key)}" for row in self._walk.steps(self._header))

    # ------------------------------------------------------------ actions

    def _step(self, row: RunRow) -> Iterator[Entity]:
        """What a step's run did, what set it off, and the values of its config."""
        values = []
        for key, value in settings(row.config):
            values.append(f"#value-{local(row.key)}-{local(key)}")
            plain = value if isinstance(value, str | bool | int | float) else as_text(value)
            of = ref(self._plan.setting(row.name, key))
            yield _entity(values[-1], "PropertyValue", name=key, value=plain, exampleOfWork=of)
        used = [self._files.name(item) for _, item in self._walk.inputs(row.key)]
        made = [self._files.name(item) for _, item in self._walk.outputs(row.key)]
        said = {"object": refs([*used, *values]), "result": refs(made), "instrument": ref(self._plan.tool(row.name))}
        yield self._action(row, "CreateAction", f"#{local(row.key)}", description=self._note(row), **said)
        said = {"object": ref(f"#{local(row.key)}"), "instrument": ref(self._plan.step(row.name))}
        yield self._action(row, "ControlAction", f"#control-{local(row.key)}", **said)

    def _action(self, row: RunRow, kind: str, identity: str, **values: Any) -> Entity:
        is_own = kind == "CreateAction"
        return _entity(
            identity,
            kind,
            name=row.id if is_own else f"orchestration of {row.id}",
            startTime=_seconds(row.started_at),
            endTime=None if row.ended_at is None else _seconds(row.ended_at),
            agent=ref(self._agent()) if self._user else None,
            actionStatus=_STATUS.get(row.status, _FAILED),
            error=row.error_message if is_own else None,
            **values,
        )

    def _note(self, row: RunRow) -> str:
        if row.cache == "hit" and row.cache_source_key is not None:
            return f"reused: {self._walk.id_of(row.cache_source_key)} had done the same work"
        return "; ".join([outcome(row), *row.cache_differs])


def _seconds(text: str) -> str:
    """A time without fractions, as the profiles want it."""
    return f"{text[:19]}+00:00"
