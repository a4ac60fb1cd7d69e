"""The demo's story: the traffic of one town in two scenarios, as a user of the library would write it.

Both scenarios call the same four steps. `widened` differs from `base` in the configuration of one step, so it reuses
the steps before it, and computes the rest anew.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import consist_es as consist
from consist_es.demo.network import generate_network
from consist_es.demo.steps import assign_traffic, grow_demand, read_inputs, summarise
from consist_es.demo.tntp import write_network, write_trips

MAX_GAP = 1e-4
"""Relative gap at which an assignment has converged."""
WIDER = 2.0
"""Capacity factor of the widened link."""


@dataclass(frozen=True, slots=True)
class Question:
    """Input of both scenarios: a network, its trips (TNTP files), and the growth of the trips."""

    network: Path
    trips: Path
    growth: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a scenario."""

    run_id: str
    """``base``, or ``base#2`` the second time."""
    steps: dict[str, consist.RunResult]
    """Step name -> its result, in call order."""
    summary: dict[str, Any]
    """Content of the file `summary`."""


def run_both(tracker: consist.Tracker, question: Question) -> list[Outcome]:
    """Run `base`, then `widened`: the same with the most loaded link of `base` twice as wide."""
    base = run_scenario(tracker, "base", question)
    return [base, run_scenario(tracker, "widened", question, widen=widening(base))]


def run_scenario(
    tracker: consist.Tracker, name: str, question: Question, widen: dict[str, float] | None = None
) -> Outcome:
    """Run the four steps as one scenario. Steps that were computed before are reused."""
    with tracker.scenario(name, config={"growth": question.growth, "widen": widen}) as scenario:
        tables = scenario.run(
            fn=read_inputs,
            inputs={"network_file": question.network, "trips_file": question.trips},
            outputs=["links", "demand"],
        )
        grown = scenario.run(
            fn=grow_demand,
            inputs={"demand": consist.ref(tables, key="demand")},
            config={"growth": question.growth},
            outputs=["grown_demand"],
        )
        assigned = scenario.run(
            fn=assign_traffic,
            inputs=consist.refs(links=(tables, "links"), demand=(grown, "grown_demand")),
            config={"max_gap": MAX_GAP, "widen": widen},
            outputs=["flows", "convergence"],
        )
        summed = scenario.run(fn=summarise, inputs=consist.refs(assigned), outputs=["summary"])
    steps = {result.run.name: result for result in (tables, grown, assigned, summed)}
    summary = json.loads(summed.output_path("summary").read_text(encoding="utf-8"))
    return Outcome(scenario.run_id, steps, summary)


def widening(base: Outcome) -> dict[str, float]:
    """The widening of the link with the highest flow per capacity."""
    start, end = base.summary["most_loaded_links"][0]["link"].split("-")
    return {"from": int(start), "to": int(end), "factor": WIDER}


def write_town(folder: Path) -> tuple[Path, Path]:
    """Write network and trips of a small generated town; existing files are kept."""
    network, trips = generate_network()
    network_file, trips_file = folder / "network.tntp", folder / "trips.tntp"
    folder.mkdir(parents=True, exist_ok=True)
    if not network_file.exists():
        write_network(network, network_file)
    if not trips_file.exists():
        write_trips(trips, trips_file)
    return network_file, trips_file
