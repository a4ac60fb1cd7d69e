"""Read and write TNTP files: road networks, trip tables, node coordinates and link flows as plain text.

TNTP is the format of the public TransportationNetworks collection (Transportation Networks for Research Core
Team, github.com/bstabler/TransportationNetworks; the format goes back to Hillel Bar-Gera). As described there:

- A network or trip file opens with metadata, one ``<TAG> value`` per line, up to ``<END OF METADATA>``.
- ``<FIRST THRU NODE>`` is the lowest node number that traffic may pass through. Zones are nodes 1 to n. Where the
  tag is 1, traffic may cross zones; where it is n+1, a zone is only where trips begin and end.
- Lines that begin with ``~`` are comments. A row ends with ``;``. Fields are separated by white space.
- A network row is one directed link: init node, term node, capacity, length, free flow time, b, power, speed limit,
  toll, link type. Its travel time is ``free_flow_time * (1 + b * (flow / capacity) ** power)``.
- A trip table has blocks ``Origin n``, each followed by entries ``destination : flow;``, several to a line.

The format knows no units: capacity and flow share one, times another, and both are the author's choice.
Every problem in a file is a `TntpError` with file, line, what was wrong and what was expected.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from consist_es.errors import TntpError

_TAG = re.compile(r"<([^>]*)>(.*)")
_INTEGER = re.compile(r"\d{1,18}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_END = "END OF METADATA"
_LINK_FIELDS = ("init node", "term node", "capacity", "length", "free flow time", "b", "power", "speed", "toll", "type")
_COLUMNS = "  ".join(name.replace(" ", "_") for name in _LINK_FIELDS)

# The collection rounds the total it states: a table cut short is off by far more.
_TOTAL_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Link:
    """One directed road link, with the fields of a TNTP network row in their order."""

    from_node: int
    to_node: int
    capacity: float
    length: float
    free_flow_time: float
    b: float
    power: float
    speed: float = 0.0
    toll: float = 0.0
    link_type: int = 1


@dataclass(frozen=True, slots=True)
class Network:
    """Links between nodes 1 to `nodes`, of which 1 to `zones` are zones."""

    zones: int
    nodes: int
    first_thru_node: int
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Trips:
    """Trips between zones 1 to `zones`; a pair (origin, destination) that is absent has none."""

    zones: int
    demand: dict[tuple[int, int], float]


def read_network(path: Path) -> Network:
    """Read a TNTP network file. Link order is the file's."""
    source = _Source(path)
    tags = source.metadata()
    zones, nodes = tags.integer("NUMBER OF ZONES"), tags.integer("NUMBER OF NODES")
    first, count = tags.integer("FIRST THRU NODE"), tags.integer("NUMBER OF LINKS")
    if zones > nodes:
        raise tags.error("NUMBER OF ZONES", f"{zones} zones, but only {nodes} nodes", "zones among the nodes")
    if not 1 <= first <= nodes + 1:
        raise tags.error("FIRST THRU NODE", f"first through node {first}", f"a number from 1 to {nodes + 1}")
    links = tuple(_link(row, nodes) for row in source.rows())
    if len(links) != count:
        raise TntpError(path, None, f"{len(links)} links", f"{count}, as <NUMBER OF LINKS> says")
    return Network(zones, nodes, first, links)


def read_trips(path: Path) -> Trips:
    """Read a TNTP trip table. Pairs come out sorted, and those without trips are left out.

    ``<TOTAL OD FLOW>``, if given, must agree with the sum of all trips.
    """
    source = _Source(path)
    tags = source.metadata()
    zones = tags.integer("NUMBER OF ZONES")
    seen: dict[tuple[int, int], float] = {}
    origin: int | None = None
    for row in source.rows():
        if row.text.lower().startswith("origin"):
            origin = row.node(row.text[len("origin") :], zones, "Origin n")
        elif origin is None:
            raise row.error(f"trips {row.text!r} before any origin", "a line 'Origin n' first")
        else:
            _add_trips(row, origin, zones, seen)
    _check_total(tags, math.fsum(seen.values()))
    return Trips(zones, {pair: seen[pair] for pair in sorted(seen) if seen[pair] > 0})


def read_nodes(path: Path) -> dict[int, tuple[float, float]]:
    """Read a TNTP node file: node number -> (x, y), in the coordinates of the file."""
    expected = "a row: node x y ;"
    nodes: dict[int, tuple[float, float]] = {}
    for row in _table(path, "node"):
        fields = row.fields(3, expected)
        node = row.node(fields[0], None, expected)
        if node in nodes:
            raise row.error(f"node {node} a second time", "every node once")
        nodes[node] = (row.number(fields[1], "x", signed=True), row.number(fields[2], "y", signed=True))
    return nodes


def read_flows(path: Path) -> dict[tuple[int, int], tuple[float, float]]:
    """Read a TNTP flow file, a published solution: (from node, to node) -> (volume, cost of one traversal)."""
    expected = "a row: from to volume cost"
    flows: dict[tuple[int, int], tuple[float, float]] = {}
    for row in _table(path, "from"):
        fields = row.fields(4, expected)
        pair = row.node(fields[0], None, expected), row.node(fields[1], None, expected)
        if pair in flows:
            raise row.error(f"link {pair[0]}-{pair[1]} a second time", "every link once")
        flows[pair] = (row.number(fields[2], "volume"), row.number(fields[3], "cost"))
    return flows


def write_network(network: Network, path: Path) -> None:
    """Write a TNTP network file that `read_network` reads back as an equal network."""
    lines = [
        f"<NUMBER OF ZONES> {network.zones}",
        f"<NUMBER OF NODES> {network.nodes}",
        f"<FIRST THRU NODE> {network.first_thru_node}",
        f"<NUMBER OF LINKS> {len(network.links)}",
        f"<{_END}>",
        "",
        "~\t" + _COLUMNS.replace("  ", "\t") + "\t;",
        *("\t" + "\t".join(repr(value) for value in astuple(link)) + "\t;" for link in network.links),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_trips(trips: Trips, path: Path) -> None:
    """Write a TNTP trip table that `read_trips` reads back as an equal table."""
    total = math.fsum(trips.demand.values())
    lines = [f"<NUMBER OF ZONES> {trips.zones}", f"<TOTAL OD FLOW> {total!r}", f"<{_END}>"]
    previous = None
    for (origin, destination), flow in sorted(trips.demand.items()):
        if origin != previous:
            lines += ["", f"Origin\t{origin}"]
            previous = origin
        lines.append(f"\t{destination} : {flow!r};")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class _Row:
    """One non-empty line, and its place."""

    path: Path
    line: int
    text: str

    def error(self, problem: str, expected: str) -> TntpError:
        return TntpError(self.path, self.line, problem, expected)

    def fields(self, count: int, expected: str) -> list[str]:
        """The fields before the closing ``;``, exactly `count` of them."""
        body, _, rest = self.text.partition(";")
        if rest.strip() and not rest.strip().startswith("~"):
            raise self.error(f"{rest.strip()!r} after the closing ';'", "one row per line")
        fields = body.replace(":", " ").split()
        if len(fields) != count:
            raise self.error(f"{len(fields)} fields in {body.strip()!r}", expected)
        return fields

    def node(self, text: str, highest: int | None, expected: str) -> int:
        """A node or zone number: 1 to `highest`, or any from 1 when that is None."""
        text = text.strip()
        if not _INTEGER.fullmatch(text):
            raise self.error(f"{text!r} is not a node number", expected)
        node = int(text)
        if node < 1 or (highest is not None and node > highest):
            upto = "" if highest is None else f" to {highest}"
            raise self.error(f"node {node} does not exist", f"a number from 1{upto}")
        return node

    def number(self, text: str, name: str, *, signed: bool = False) -> float:
        """A finite number, not below zero unless `signed`."""
        text = text.strip()
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise self.error(f"{name} {text!r} is not a number", "a finite decimal number")
        if value < 0 and not signed:
            raise self.error(f"{name} {text} is negative", f"{name} of zero or more")
        return value


class _Tags:
    """The metadata of one file: tag -> row with the tag's value as text."""

    def __init__(self, path: Path, rows: dict[str, _Row]) -> None:
        self._path, self._rows = path, rows

    def row(self, tag: str) -> _Row | None:
        return self._rows.get(tag)

    def integer(self, tag: str) -> int:
        row = self._rows.get(tag)
        if row is None:
            raise TntpError(self._path, None, f"no <{tag}> in the metadata", f"a line '<{tag}> n' before <{_END}>")
        if not _INTEGER.fullmatch(row.text):
            raise row.error(f"<{tag}> is {row.text!r}", "a whole number")
        return int(row.text)

    def error(self, tag: str, problem: str, expected: str) -> TntpError:
        return self._rows[tag].error(problem, expected)


class _Source:
    """The lines of one file that are neither blank nor comments, read once from top to bottom."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = _lines(path)

    def metadata(self) -> _Tags:
        """Read up to the end of the metadata. Unknown tags are skipped: the collection has many."""
        rows: dict[str, _Row] = {}
        for row in self._lines:
            found = _TAG.match(row.text)
            if found is None:
                raise row.error(f"{row.text!r} inside the metadata", f"'<TAG> value' or <{_END}>")
            tag = " ".join(found[1].upper().split())
            if tag == _END:
                return _Tags(self._path, rows)
            if tag in rows:
                raise row.error(f"<{tag}> a second time", "every tag once")
            rows[tag] = _Row(self._path, row.line, found[2].strip())
        raise TntpError(self._path, None, f"no <{_END}>", f"metadata closed by a line <{_END}>")

    def rows(self) -> Iterator[_Row]:
        return self._lines


def _lines(path: Path) -> Iterator[_Row]:
    try:
        # Only comments may hold letters outside ASCII, in whatever encoding: numbers are checked one by one.
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise TntpError(path, None, f"cannot be read: {error.strerror}", "a readable TNTP file") from error
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("~"):
            yield _Row(path, number, stripped)


def _table(path: Path, heading: str) -> Iterator[_Row]:
    """Rows of a node or flow file, without the line of column names and any metadata."""
    for row in _lines(path):
        if not row.text.startswith("<") and not row.text.lower().startswith(heading):
            yield row


def _link(row: _Row, nodes: int) -> Link:
    expected = f"{len(_LINK_FIELDS)} fields: {_COLUMNS} ;"
    fields = row.fields(len(_LINK_FIELDS), expected)
    ends = row.node(fields[0], nodes, expected), row.node(fields[1], nodes, expected)
    capacity, length, time, b, power, speed, toll = map(row.number, fields[2:9], _LINK_FIELDS[2:9])
    if not _INTEGER.fullmatch(fields[9]):
        raise row.error(f"link type {fields[9]!r} is not a whole number", expected)
    return Link(*ends, capacity, length, time, b, power, speed, toll, int(fields[9]))


def _add_trips(row: _Row, origin: int, zones: int, seen: dict[tuple[int, int], float]) -> None:
    expected = "'destination : flow;'"
    for entry in filter(None, map(str.strip, row.text.split(";"))):
        zone, colon, flow = entry.partition(":")
        if not colon:
            raise row.error(f"no ':' in {entry!r}", expected)
        pair = origin, row.node(zone, zones, expected)
        if pair in seen:
            raise row.error(f"trips from {pair[0]} to {pair[1]} a second time", "every pair once")
        seen[pair] = row.number(flow, "flow")


def _check_total(tags: _Tags, total: float) -> None:
    row = tags.row("TOTAL OD FLOW")
    if row is None:
        return
    stated = row.number(row.text, "<TOTAL OD FLOW>")
    if abs(stated - total) > _TOTAL_TOLERANCE * max(stated, total):
        raise row.error(f"<TOTAL OD FLOW> is {stated!r}, but the trips sum to {total!r}", "a complete trip table")
