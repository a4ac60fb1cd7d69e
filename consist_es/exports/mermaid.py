"""Mermaid flowcharts (https://mermaid.js.org/syntax/flowchart.html), for pages in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from consist_es.exports.graph import Edge, Node, graph
from consist_es.reading.walk import Walk

EDGES = 500
"""Most edges that Mermaid draws unless it is told otherwise (its setting ``maxEdges``)."""
_STYLES = """\
  classDef hit fill:#8fc9b5,color:#000
  classDef computed fill:#2f6fb7,color:#fff
  classDef demoted fill:#7a6fb7,color:#fff
  classDef failed fill:#c8321f,color:#fff
  classDef interrupted fill:#c8321f,color:#fff
  classDef abandoned fill:#777777,color:#fff
  classDef running fill:#e0b040,color:#000
  classDef imported fill:#4a8f9b,color:#fff
  classDef file fill:#eeeeee,color:#000
"""


def write(walk: Walk, out: BinaryIO, tick: Callable[[], None]) -> None:
    """Write a chart with a frame for each scenario."""
    out.write(b"flowchart LR\n")
    for number, header in enumerate(walk.places(), 1):
        if header is not None:
            out.write(f'  subgraph sc{number}["{_text(header.id)}"]\n'.encode())
            tick()
        for item in graph(walk, number, header):
            out.write(f"  {_line(item)}\n".encode())
            if isinstance(item, Node) and item.kind != "file":
                tick()
        if header is not None:
            out.write(b"  end\n")
    out.write(_STYLES.encode())


def _line(item: Node | Edge) -> str:
    if isinstance(item, Edge):
        return f'{item.source} -- "{_text(item.label)}" --> {item.target}'
    shape = f'[/"{_text(item.label)}"/]' if item.kind == "file" else f'["{_text(item.label)}"]'
    return f"{item.name}{shape}:::{item.kind}"


def _text(text: str) -> str:
    """A text in quotes; whatever could mean something to Mermaid is written as the number of its character."""
    return "".join(char if char.isalnum() or char in " _.-·" else f"#{ord(char)};" for char in text)
