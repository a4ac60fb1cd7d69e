"""DOT (https://graphviz.org/doc/info/lang.html), for Graphviz and whatever reads its language."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from consist_es.exports.graph import Edge, Node, graph
from consist_es.reading.walk import Walk

_FILLS = {
    "hit": "#8fc9b5", "computed": "#9fc3ea", "demoted": "#c3bde6", "failed": "#f0a39a", "interrupted": "#f0a39a",
    "abandoned": "#bbbbbb", "running": "#f2d58a", "imported": "#b5d6dc", "file": "#eeeeee",
}  # fmt: skip


def write(walk: Walk, out: BinaryIO, tick: Callable[[], None]) -> None:
    """Write a graph with a cluster for each scenario."""
    out.write(b'digraph "consist-es" {\n  rankdir=LR;\n  node [shape=box, style=filled, fontname="sans-serif"];\n')
    for number, header in enumerate(walk.places(), 1):
        if header is not None:
            out.write(f"  subgraph cluster_{number} {{\n  label={_text(header.id)};\n".encode())
            tick()
        for item in graph(walk, number, header):
            out.write(f"  {_line(item)}\n".encode())
            if isinstance(item, Node) and item.kind != "file":
                tick()
        if header is not None:
            out.write(b"  }\n")
    out.write(b"}\n")


def _line(item: Node | Edge) -> str:
    if isinstance(item, Edge):
        return f"{item.source} -> {item.target} [label={_text(item.label)}];"
    shape = "" if item.kind != "file" else ", shape=note"
    about = f"label={_text(item.label)}, fillcolor={_text(_FILLS[item.kind])}, tooltip={_text(item.kind)}{shape}"
    return f"{item.name} [{about}];"


def _text(text: str) -> str:
    """A text in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
