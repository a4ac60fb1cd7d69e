"""Model code as its type checker sees it: read by mypy and pyright against the installed wheel, and never run.

What they must refuse is marked for them to ignore: where they do not refuse it, the mark is an error itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, OutputSet, Run, RunContext, RunResult, Tracker, define_step


@dataclass
class Demand:
    """A config."""

    trips: int
    zones: Mapping[str, float]


def assign(network: Path, trips: int, ctx: RunContext) -> Path:
    """A step."""
    target: Path = ctx.output_path("flows", "csv")
    target.write_text(f"{network} {trips}\n")
    logged = ctx.log_output(target, "extra", driver="csv", facet={"trips": trips}, scenario_year=2030)
    ctx.log_meta(iterations=3, key=logged.key)
    return target


@define_step(outputs=["flows"])
def plain(network: Path) -> Path:
    """A step that logs by the functions of the package."""
    consist.log_input(network, "network", table_path="links")
    consist.log_artifacts({"a": network, "b": str(network)}, metadata_by_key={"a": {"unit": "veh/h"}})
    consist.log_artifact(network, "again", "input")
    consist.log_artifact(network, "again", "input", unit="veh/h").key.upper()
    found: Path = consist.output_path("flows", "csv")
    return found


async def later(network: Path) -> Path:
    """A step that waits."""
    return network


def model(run_dir: Path) -> list[Run]:
    """A model."""
    config = Demand(trips=100, zones={"1": 2.0})
    with Tracker(run_dir, mounts={"inputs": "inputs"}) as tracker:
        tracker.accept("assign", "assign#2", reason="a comment")
        with tracker.scenario("baseline", config={"year": 2030}, tags=["base"]) as sc:
            sc.require_outputs("flows", description={"flows": "vehicles per link"})
            sc.add_input("network.csv", "network")
            result: RunResult = sc.run(
                assign,
                config=config,
                inputs={"network": "network.csv"},
                outputs=["flows"],
                year=2030,
                tags=("base", "fast"),
                cache_options=CacheOptions(cache_mode="reuse"),
                execution_options=ExecutionOptions(input_binding="paths", inject_context=True),
            )
            sc.run(plain, inputs={"network": consist.ref(result, "flows")}, depends_on=[result, Path("other.csv")])
            sc.run(
                plain, inputs=["network"], output_sets={"all": OutputSet("*.csv", "*.csv")}, capture_dir=run_dir / "out"
            )
            sc.run(plain, inptus={"network": "network.csv"})  # type: ignore[call-arg]
            sc.run(plain, cache_options={"cache_mode": "reuse"})  # type: ignore[arg-type]
            sc.forecast(plain, inputs={"network": result}, iteraton=3)  # type: ignore[call-arg]
            consist.run(plain, tracker=tracker, confg={"trips": 3})  # type: ignore[call-arg]
            with sc.trace("report", inputs=[result], cache_mode="overwrite"):
                tracker.log_output("report.csv", key="report", content_hash=3)  # type: ignore[arg-type]
        tracker.trace("alone", outpust=["o"])  # type: ignore[call-arg]
        with tracker.trace("alone", outputs=["o"]) as same:
            same.log_dataframe(object(), "table", path="table.csv", index=False)
        if sc.forecast(assign, config=config).cache_hit:
            print(result.outputs["flows"].path.name)
        runs = tracker.find_runs(year=2030, tags=["base"], facet={"trips": 100}, limit=None)
        tracker.find_runs(yaer=2030)  # type: ignore[call-overload]
        consist.find_run(scenario="baseline", iteraton=3)  # type: ignore[call-arg]
        newest: dict[object, Run] = consist.find_runs(tracker=tracker, index_by=consist.index_by_field("year"))
        return [*runs, *newest.values(), tracker.find_latest_run(model="assign")]


async def waiting(tracker: Tracker) -> bool:
    """A step that is awaited."""
    result = await tracker.arun(later, "later", inputs={"network": Path("network.csv")}, outputs="o")
    await tracker.arun(later, "later", output=["o"])  # type: ignore[call-arg]
    return result.cache_hit
