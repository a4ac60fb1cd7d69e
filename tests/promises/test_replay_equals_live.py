"""Whatever model code does, the views that grew with it equal the views made from the log alone."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import consist_es as consist
from consist_es import CacheOptions, ScenarioContext, Tracker
from consist_es.events import (
    CacheHit,
    CacheMissed,
    CouplerSet,
    Event,
    HitDemoted,
    MetaLogged,
    OutputsDeclared,
    ScenarioExited,
    StepFailed,
)
from consist_es.views import file as view_file
from consist_es.views.compare import Row, dump, tables
from tests.support.api import made

Op = tuple[str, int]


def step(n: int) -> Path:
    return made("o", f"{n}\n")


def fails(n: int) -> Path:
    consist.log_output(made("half", f"{n}\n"), "half")
    raise ValueError(f"planned {n}")


def interrupted(n: int) -> Path:
    consist.log_meta(n=n)
    raise KeyboardInterrupt


def table(n: int) -> Any:
    return pa.table({"n": list(range(n))})


def reads(n: int) -> Path:
    consist.log_input("shared.txt", "shared")
    consist.log_meta(n=n, nested={"a": [n, None]})
    return made("o", Path("shared.txt").read_text())


def consumes(x: Path, n: int) -> Path:
    return made("c", f"{n} {x.read_text()}")


def trace(sc: Any, n: int) -> None:
    with sc.trace("t", config={"n": n}) as t:
        if not t.is_cached:
            t.log_output(made("t", f"{n}\n"), "t")


def demoted(sc: Any, n: int) -> None:
    with sc.trace("d", config={"n": n}) as t:
        t.log_output(made("d", Path("shared.txt").read_text()), "d")


def trace_fails(sc: Any, n: int) -> None:
    with sc.trace("f", config={"n": n}) as t:
        t.log_output(made("f"), "f")
        raise ValueError("planned")


STEPS = {"step": step, "fails": fails, "interrupted": interrupted, "table": table, "reads": reads}


def touch(sc: Any, n: int) -> None:
    Path("shared.txt").write_text(f"{n}\n")


def forget(sc: Any, n: int) -> None:
    for path in list(Path("runs").rglob("o.txt"))[:n]:
        path.unlink()


def overwrite(sc: Any, n: int) -> None:
    sc.run(step, config={"n": n}, outputs=["o"], cache_options=CacheOptions(cache_mode="overwrite"))


def consume(sc: Any, n: int) -> None:
    sc.run(consumes, config={"n": n}, inputs={"x": "shared.txt"}, year=2000 + n, depends_on=["shared.txt"])


def couple(sc: Any, n: int) -> None:
    if isinstance(sc, ScenarioContext):
        sc.coupler.set(f"k{n}", "shared.txt")


def declare(sc: Any, n: int) -> None:
    if isinstance(sc, ScenarioContext):
        sc.declare_outputs(f"k{n}", required=False, description={f"k{n}": "text"})


DEEDS: dict[str, Callable[[Any, int], None]] = {
    "overwrite": overwrite,
    "consumes": consume,
    "trace": trace,
    "trace fails": trace_fails,
    "demoted": demoted,
    "couple": couple,
    "declare": declare,
    "touch": touch,
    "forget": forget,
}
OPS = (*STEPS, *DEEDS)
programs = st.lists(
    st.tuples(
        st.sampled_from(["alone", "a", "b", "broken"]),
        st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 2)), max_size=6),
    ),
    min_size=1,
    max_size=4,
)


def perform(sc: Any, op: str, n: int) -> None:
    """One thing that a model may do, in a scenario or alone."""
    if op in STEPS:
        sc.run(STEPS[op], config={"n": n}, tags=["x"] * n, facet={"n": n}, outputs=None if n == 2 else ["o"])
    else:
        DEEDS[op](sc, n)


def run_part(tracker: Tracker, where: str, part: list[Op]) -> None:
    if where == "alone":
        for op, n in part:
            attempt(tracker, op, n)
        return
    with tracker.scenario(where, config={"where": where}, inputs={"shared": "shared.txt"}, note=where) as sc:
        for op, n in part:
            attempt(sc, op, n)
        if where == "broken":
            raise ValueError("planned")


def attempt(sc: Any, op: str, n: int) -> None:
    with suppress(ValueError, KeyboardInterrupt, RuntimeError):
        perform(sc, op, n)


class Kept(NamedTuple):
    """What the live views were when the log ended at a position."""

    seq: int
    rows: dict[str, list[Row]]


def rows_of(conn: Any) -> dict[str, list[Row]]:
    return {name: list(dump(conn, name)) for name in sorted(tables(conn)) if name != "meta"}


def rows_in(path: Path) -> dict[str, list[Row]]:
    with closing(view_file.connect(path)) as conn:
        return rows_of(conn)


@contextmanager
def working_in(folder: str) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield Path(folder)
    finally:
        os.chdir(before)


@settings(max_examples=20)
@given(programs)
def test_a_replay_equals_the_live_views_and_so_does_every_fold_up_to_a_position(
    program: list[tuple[str, list[Op]]],
) -> None:
    kept: list[Kept] = []
    with tempfile.TemporaryDirectory() as name, working_in(name) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Path("shared.txt").write_text("s\n")
        with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
            for where, part in program:
                with suppress(ValueError):
                    run_part(tracker, where, part)
                conn = tracker.project.connection()
                kept.append(Kept(tracker.project.log.head().seq, rows_of(conn)))
            views = tracker.project.views
            views.rebuild(target=folder / "again.db")
            assert views.compare(folder / "again.db") == {}
            assert rows_in(folder / "again.db") == kept[-1].rows
            assert kept[-1].rows["dead_letter"] == []
            for place in kept:
                target = folder / f"until-{place.seq}.db"
                views.rebuild(target=target, until=place.seq)
                assert rows_in(target) == place.rows


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
def test_the_programs_reach_every_event_that_a_model_can_cause(tracker: Tracker) -> None:
    Path("shared.txt").write_text("s\n")
    everything = [(op, n) for n in (1, 2, 1) for op in OPS]
    for where in ("alone", "a"):
        run_part(tracker, where, everything)
    found = {entry.type for entry in tracker.project.log.read()}
    reached: set[type[Event]] = {
        CacheHit,
        CacheMissed,
        CouplerSet,
        HitDemoted,
        MetaLogged,
        OutputsDeclared,
        ScenarioExited,
        StepFailed,
    }
    assert found >= {kind.TYPE for kind in reached}


def test_the_comparison_notices_a_changed_row(tracker: Tracker, here: Path) -> None:
    tracker.run(step, config={"n": 1}, outputs=["o"])
    views = tracker.project.views
    views.rebuild(target=here / "again.db")
    with closing(view_file.connect(here / "again.db", writes=True)) as conn, view_file.Transaction(conn):
        conn.execute("UPDATE runs SET status = 'failed'")
    assert set(views.compare(here / "again.db")) == {"runs"}
