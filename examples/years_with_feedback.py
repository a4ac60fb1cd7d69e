"""Demand that grows over the years and gives way to congestion: a model of years, iterations and phases.

In every year the travellers look at the travel times of the iteration before and travel less where it takes longer;
the traffic is then assigned anew. Run it as ``python years_with_feedback.py NETWORK TRIPS FOLDER`` with two TNTP files.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import consist_es as consist
from consist_es import OutputPolicyOptions
from consist_es.demo.steps import assign_traffic, read_inputs

YEARS = (2025, 2030, 2035)
ITERATIONS = (0, 1)
CONFIG = {"growth_per_year": 0.01, "elasticity": -0.5, "max_gap": 1e-3}


def respond(demand: Path, year: int, growth_per_year: float, elasticity: float, times: Path | None = None) -> Path:
    """Trips of this year: grown since 2025, fewer where it takes longer than on an empty road."""
    table = pq.read_table(demand)
    slower = slowness(times)
    trips = [
        trips * growth(year, growth_per_year) * slower.get(origin, 1.0) ** elasticity
        for origin, trips in zip(table["origin"].to_pylist(), table["trips"].to_pylist(), strict=True)
    ]
    out = consist.output_path("trips")
    column = table.schema.get_field_index("trips")
    pq.write_table(table.set_column(column, table.schema.field(column), pa.array(trips)), out)
    return out


def growth(year: int, per_year: float) -> float:
    """How many times the trips of 2025."""
    return (1.0 + per_year) ** (year - 2025)


def slowness(times: Path | None) -> dict[int, float]:
    """Node -> travel time of the links out of it, relative to empty roads."""
    return {} if times is None else {int(node): ratio for node, ratio in json.loads(times.read_text()).items()}


def measure(flows: Path, links: Path) -> Path:
    """How much longer it takes to leave each node than on empty roads."""
    loaded, free = pq.read_table(flows).to_pylist(), pq.read_table(links).to_pylist()
    spent: dict[int, list[float]] = {}
    for link, empty in zip(loaded, free, strict=True):
        total = spent.setdefault(link["from_node"], [0.0, 0.0])
        total[0] += link["cost"]
        total[1] += empty["free_flow_time"]
    out = consist.output_path("times", ext="json")
    ratios = {node: cost / free_flow for node, (cost, free_flow) in sorted(spent.items())}
    out.write_text(json.dumps(ratios))
    return out


def run_year(sc: Any, year: int) -> None:
    """All iterations of one year. The coupler holds the newest trips, flows and travel times."""
    for iteration in ITERATIONS:
        when = {"year": year, "iteration": iteration}
        sc.run(
            respond,
            inputs={"demand": "demand"},
            optional_input_keys=["times"],
            config={key: CONFIG[key] for key in ("growth_per_year", "elasticity")},
            phase="demand",
            outputs=["trips"],
            **when,
        )
        sc.run(
            assign_traffic,
            name="assign",
            inputs={"links": "links", "demand": "trips"},
            config={"max_gap": CONFIG["max_gap"], "widen": None},
            phase="supply",
            outputs=["flows", "convergence"],
            **when,
        )
        sc.run(measure, input_keys=["flows", "links"], phase="supply", outputs=["times"], **when)
    with sc.trace("report", year=year, input_keys=["flows", "convergence"], outputs=["report"]) as tracker:
        if not tracker.is_cached:
            flow = sum(pq.read_table(sc.coupler["flows"])["flow"].to_pylist())
            out = consist.output_path("report", ext="json")
            out.write_text(json.dumps({"year": year, "flow": flow}))
            tracker.log_output(out, key="report")
    sc.collect_by_keys(sc.coupler, "report", prefix=f"{year}/")


def main(network: Path, trips: Path, folder: Path) -> None:
    """Run all years in the scenario ``growth``."""
    tracker = consist.Tracker(run_dir=folder / "runs", db_path=folder / "provenance.db")
    with tracker.scenario("growth", config=CONFIG, require_outputs=[f"{year}/report" for year in YEARS]) as sc:
        sc.add_input(network, "network")
        sc.add_input(trips, "trip_table")
        sc.run(
            read_inputs,
            inputs={"network_file": network, "trips_file": trips},
            outputs=["links", "demand"],
            output_policy=OutputPolicyOptions(output_mismatch="error"),
        )
        for year in YEARS:
            run_year(sc, year)
    print(json.dumps({key: sc.coupler[key].path.read_text() for key in sorted(sc.coupler) if "/" in key}))


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
