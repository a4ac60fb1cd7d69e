"""The demo's four steps: read a network, grow its demand, assign the traffic, summarise the result.

They are plain functions of files and numbers, as a user of the library would write them. A scenario that widens a road
changes only the configuration of `assign_traffic`, so it shares the first two steps with every other scenario. Tables
are Parquet and hold only the result: equal inputs give equal bytes.
"""

import json
import math
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import consist_es as consist
from consist_es.demo.assignment import assign
from consist_es.demo.tntp import Link, Network, Trips, read_network, read_trips
from consist_es.errors import AssignmentError

_MAX_ITERATIONS = 2000
_MOST_LOADED = 5
_WIDEN_KEYS = ("factor", "from", "to")

_LINKS = pa.schema([(field.name, pa.int64() if field.type is int else pa.float64()) for field in fields(Link)])
_DEMAND = pa.schema([("origin", pa.int64()), ("destination", pa.int64()), ("trips", pa.float64())])
_FLOWS = pa.schema(
    [("from_node", pa.int64()), ("to_node", pa.int64())]
    + [(name, pa.float64()) for name in ("capacity", "flow", "cost")]
)


def read_inputs(network_file: Path, trips_file: Path) -> dict[str, Path]:
    """Turn two TNTP files into the tables `links` and `demand`."""
    network, trips = read_network(network_file), read_trips(trips_file)
    return {"links": _write_links(network), "demand": _write_demand(trips, "demand")}


def grow_demand(demand: Path, growth: float) -> Path:
    """Multiply all trips by `growth`: 1.1 is ten per cent more. Writes the table `grown_demand`."""
    if not 0 <= growth < math.inf:
        raise AssignmentError(f"growth={growth!r}: give a factor of zero or more, such as 1.1 for ten per cent more.")
    trips = _read_demand(demand)
    grown = {pair: flow * growth for pair, flow in trips.demand.items()}
    return _write_demand(Trips(trips.zones, grown), "grown_demand")


def assign_traffic(links: Path, demand: Path, max_gap: float, widen: dict[str, float] | None = None) -> dict[str, Path]:
    """Find the user equilibrium. Writes the table `flows` and the JSON file `convergence`.

    `widen={"from": 6, "to": 8, "factor": 2.0}` multiplies the capacity of that link first. An equilibrium that did not
    reach `max_gap` is written too, with `converged` false in `convergence`.
    """
    network = _widened(_read_links(links), widen)
    result = assign(network, _read_demand(demand), max_gap=max_gap, max_iterations=_MAX_ITERATIONS)
    rows = [
        (link.from_node, link.to_node, link.capacity, flow, cost)
        for link, flow, cost in zip(network.links, result.flows, result.costs, strict=True)
    ]
    convergence = {
        "converged": result.relative_gap <= max_gap,
        "iterations": result.iterations,
        "max_gap": max_gap,
        "objective": result.objective,
        "relative_gap": result.relative_gap,
    }
    return {"flows": _write_table(rows, _FLOWS, "flows", {}), "convergence": _write_json(convergence, "convergence")}


def summarise(flows: Path, convergence: Path) -> Path:
    """Summarise an assignment in the JSON file `summary`.

    `total_travel_time` is the time of all travellers on the road, in the network's unit of time (vehicle minutes, if
    free flow times are minutes). The most loaded links are those with the highest flow per capacity.
    """
    rows, _ = _read_table(flows)
    loaded = sorted((row for row in rows if row["capacity"] > 0), key=_load_then_number)[:_MOST_LOADED]
    summary = json.loads(convergence.read_text(encoding="utf-8")) | {
        "links": len(rows),
        "most_loaded_links": [
            {"link": f"{row['from_node']}-{row['to_node']}", "load": row["flow"] / row["capacity"]}
            | {name: row[name] for name in ("capacity", "flow", "cost")}
            for row in loaded
        ],
        "total_travel_time": math.fsum(row["flow"] * row["cost"] for row in rows if row["flow"] > 0),
    }
    return _write_json(summary, "summary")


def _load_then_number(row: dict[str, Any]) -> tuple[float, int, int]:
    return -row["flow"] / row["capacity"], row["from_node"], row["to_node"]


def _widened(network: Network, widen: dict[str, float] | None) -> Network:
    if widen is None:
        return network
    if sorted(widen) != list(_WIDEN_KEYS):
        raise AssignmentError(f"widen={widen!r}: give 'from', 'to' and 'factor', such as 6, 8 and 2.0.")
    if not 0 < widen["factor"] < math.inf:
        raise AssignmentError(f"widen={widen!r}: give a factor above zero, such as 2.0 for twice the capacity.")
    ends = widen["from"], widen["to"]
    if ends not in {(link.from_node, link.to_node) for link in network.links}:
        raise AssignmentError(f"widen={widen!r}: no link leads from node {ends[0]} to node {ends[1]}.")
    return replace(
        network,
        links=tuple(
            replace(link, capacity=link.capacity * widen["factor"]) if (link.from_node, link.to_node) == ends else link
            for link in network.links
        ),
    )


def _write_links(network: Network) -> Path:
    numbers = {name: getattr(network, name) for name in ("zones", "nodes", "first_thru_node")}
    return _write_table([astuple(link) for link in network.links], _LINKS, "links", numbers)


def _read_links(path: Path) -> Network:
    rows, numbers = _read_table(path)
    return Network(**numbers, links=tuple(Link(**row) for row in rows))


def _write_demand(trips: Trips, key: str) -> Path:
    rows = [(*pair, flow) for pair, flow in sorted(trips.demand.items())]
    return _write_table(rows, _DEMAND, key, {"zones": trips.zones})


def _read_demand(path: Path) -> Trips:
    rows, numbers = _read_table(path)
    return Trips(numbers["zones"], {(row["origin"], row["destination"]): row["trips"] for row in rows})


def _write_table(rows: list[tuple[Any, ...]], schema: pa.Schema, key: str, numbers: dict[str, int]) -> Path:
    """Write rows as Parquet, with `numbers` in the metadata of the schema."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    noted = schema.with_metadata({name: str(number) for name, number in numbers.items()})
    path = _out(key, "parquet")
    pq.write_table(pa.Table.from_arrays(arrays, schema=noted), path)
    return path


def _read_table(path: Path) -> tuple[list[dict[str, Any]], dict[str, int]]:
    table = pq.read_table(path)
    numbers = {name.decode(): int(number) for name, number in (table.schema.metadata or {}).items()}
    return table.to_pylist(), numbers


def _write_json(value: dict[str, Any], key: str) -> Path:
    path = _out(key, "json")
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _out(key: str, ext: str) -> Path:
    path: Path = consist.output_path(key, ext=ext)  # type: ignore[attr-defined, unused-ignore]
    return path
