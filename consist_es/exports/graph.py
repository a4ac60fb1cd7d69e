"""The steps of a scenario, and the files between them, as a graph: what Mermaid and DOT draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from consist_es.exports.scratch import Scratch
from consist_es.projections.run_rows import RunRow
from consist_es.reading.labels import label, outcome
from consist_es.reading.walk import Walk


class Node(NamedTuple):
    """A step, or a file that none of the steps made."""

    name: str
    label: str
    kind: str
    """The outcome of a step; ``file``."""


class Edge(NamedTuple):
    """A file that went from one node to another."""

    source: str
    target: str
    label: str
    """Its role for the step that used it."""


def graph(walk: Walk, number: int, header: RunRow | None) -> Iterator[Node | Edge]:
    """Files, then steps in the order of their starts, each followed by its edges. `number` keeps names apart."""
    with Scratch() as sources:
        for row in walk.outside(header):
            name = f"f{number}_{row.created_seq}"
            sources.put([(row.artifact_id, 0, name)])
            yield Node(name, row.key, "file")
        for artifact, _, seq in walk.made_in(header):
            sources.put([(artifact, seq, f"s{seq}")])
        for step in walk.steps(header):
            name = f"s{step.started_seq}"
            yield Node(name, label(step), outcome(step))
            for role, item in walk.inputs(step.key):
                source = sources.before(item.artifact_id, step.started_seq)
                if source is not None and source != name:
                    yield Edge(source, name, role)
