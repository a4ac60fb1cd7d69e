"""What questions about a large model cost: first causes, comparisons, and foreign keys while views are built.

``python tools/bench/reading.py [--steps N] [--events N]``. CPU time; the ratio means more than the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

from bench.biglog import write  # noqa: E402
from bench.measure import Figure  # noqa: E402
from consist_es.events import (  # noqa: E402
    ArtifactLogged,
    CacheMissed,
    Difference,
    Draft,
    FingerprintInfo,
    InputLink,
    OutputLink,
    ScenarioExited,
    ScenarioStarted,
    StepCompleted,
    StepStarted,
)
from consist_es.log.local import LocalLog  # noqa: E402
from consist_es.project.project import Project  # noqa: E402
from consist_es.projections import BUILTIN, lineage, run_schema, run_table  # noqa: E402
from consist_es.reading.causes import Causes  # noqa: E402
from consist_es.reading.compare import compare  # noqa: E402
from consist_es.views.projector import Projector  # noqa: E402
from consist_es.views.tables import create_table  # noqa: E402

KINDS = 8
"""Steps of one year, each of which reads what the one before made."""
ROUNDS = 3


def model(log: LocalLog, steps: int) -> None:
    """Two scenarios of half the steps each: `b` has another config in its first step, so that all of it ran again."""
    for name in ("a", "b"):
        log.append([Draft(ScenarioStarted(run_id=name, name=name, config={"side": name}), scenario=name, run=name)])
        drafts: list[Draft] = []
        for number in range(steps // 2):
            drafts += _step(name, number)
            if len(drafts) > 4000:
                log.append(drafts)
                drafts = []
        drafts.append(Draft(ScenarioExited(status="completed", seconds=1.0), scenario=name, run=name))
        log.append(drafts)
    log.close()


def _step(scenario: str, number: int) -> Iterator[Draft]:
    run, output, before = f"{scenario}-{number}", f"{scenario}:{number}", f"{scenario}:{number - 1}"
    digest = f"b3:{scenario}{number:047}"
    inputs = [InputLink(role="before", artifact=before, key="out", digest=f"d{before}")] if number else []
    config = {"price": 1.0 if number or scenario == "a" else 2.0}
    info = FingerprintInfo(
        version=2, digest=digest, code="c", config=f"c{config['price']}", inputs=f"i{before}", labels="l",
        code_mode="imports", code_parts={f"model.py:kind{number % KINDS}": "c"},
    )  # fmt: skip
    year, kind = divmod(number, KINDS)
    start = StepStarted(
        run_id=f"{scenario}_kind{kind}", name=f"kind{kind}", model="m", year=2000 + year, iteration=0, config=config,
        inputs=inputs, fingerprint=info, declared=["out"], parent=scenario,
    )  # fmt: skip
    yield Draft(start, scenario=scenario, run=run)
    if scenario == "a":
        missed = CacheMissed(reason="no_similar_prior_run")
    elif number:
        found = Difference(kind="input", key="before", before=f"a:{number - 1}", after=before)
        missed = CacheMissed(reason="inputs_changed", nearest=f"a-{number}", differs=["input"], differences=[found])
    else:
        found = Difference(kind="config", key="price", before=1.0, after=2.0)
        missed = CacheMissed(reason="config_changed", nearest="a-0", differs=["config"], differences=[found])
    yield Draft(missed, scenario=scenario, run=run)
    made = ArtifactLogged(
        artifact=output, key="out", direction="output", uri=f"./{output}", root="/m", driver="csv", producer=run,
        digest=f"d{output}", digest_method="full", size=9,
    )  # fmt: skip
    yield Draft(made, scenario=scenario, run=run)
    link = OutputLink(key="out", artifact=output)
    yield Draft(
        StepCompleted(seconds=1.0, outputs=[link], all_outputs=[link], reusable=True), scenario=scenario, run=run
    )


def best(work: Callable[[], object]) -> float:
    """Seconds of CPU, the least of some rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def questions(folder: Path, steps: int) -> Iterator[Figure]:
    """First causes of all steps, and the two scenarios compared."""
    model(LocalLog(folder / "m.events", sync="os"), steps)
    with closing(Project(folder / "m.db", read_only=True)) as project:
        conn = project.connection()
        headers = [row for name in "ab" if (row := run_table.get(conn, name)) is not None]
        a, b = headers

        def causes() -> None:
            rows = [row for header in headers for row in run_table.steps(conn, header.key)]
            found = Causes(conn, rows)
            assert all(cause.what == "config price: 1.0 → 2.0" for row in rows[steps // 2 :] for cause in found.of(row))

        def comparison() -> None:
            assert len(compare(conn, a, b).pairs) == steps // 2

        yield Figure(f"first causes of {steps:,} steps, CPU", best(causes) * 1e3, "ms")
        yield Figure(f"two scenarios of {steps // 2:,} steps compared, CPU", best(comparison) * 1e3, "ms")


def foreign_keys(folder: Path, events: int) -> Iterator[Figure]:
    """Views built with foreign keys in their tables, and without."""
    write(folder / "big.events", events)
    made = create_table

    def without(*given: object, references: object = None, **named: object) -> None:
        made(*given, **named)  # type: ignore[arg-type]

    def build() -> None:
        with closing(Projector(folder / "big.db", LocalLog(folder / "big.events"), BUILTIN)) as views:
            views.rebuild()

    took: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(ROUNDS):  # in turns, for the machine may be busier later
        for name, seconds in took.items():
            with contextlib.ExitStack() as patched:
                for module in (lineage, run_schema) if name == "without" else ():
                    patched.enter_context(mock.patch.object(module, "create_table", without))
                began = time.process_time()
                build()
                seconds.append(time.process_time() - began)
    for name, seconds in took.items():
        yield Figure(f"views built {name} foreign keys, per second of CPU", events / min(seconds), "events/s")
    yield Figure("throughput with foreign keys to that without", min(took["without"]) / min(took["with"]), "")


def main() -> None:
    """Everything in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=200_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reading-") as name:
        print(f"load {os.getloadavg()[0]:.1f}")
        for figures in (questions(Path(name), asked.steps), foreign_keys(Path(name), asked.events)):
            for figure in figures:
                print(f"{figure.name:64} {figure.value:12,.2f} {figure.unit}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
