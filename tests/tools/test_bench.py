"""The bench's log is a log like any other, and the bench runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bench import biglog, measure, values

from consist_es.identity.config import config_digest
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.project.project import Project
from consist_es.projections import lineage, run_table


def test_the_big_log_is_whole_and_spreads_over_segments(tmp_path: Path) -> None:
    folder = tmp_path / "big.events"
    made = biglog.write(folder, 1000, segment_size=100_000)
    report = verify(folder)
    assert (report.ok, report.events, report.watermark) == (True, made, made)
    assert report.segments > 5


def test_the_views_can_take_all_of_the_big_log(tmp_path: Path) -> None:
    biglog.write(tmp_path / "big.events", 500)
    project = Project(tmp_path / "big.db")
    conn = project.connection()
    assert conn.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
    scenarios = run_table.scenarios(conn)
    assert {(row.steps, row.hits, row.running) for row in scenarios} == {(biglog.STEPS, biglog.STEPS // 2, 0)}
    assert len(lineage.find_artifacts(conn, limit=None)) == len(scenarios) * biglog.STEPS // 2
    project.close()


def test_the_big_log_can_be_written_on(tmp_path: Path) -> None:
    folder = tmp_path / "big.events"
    made = biglog.write(folder, 100)
    measure.WORK["append"](folder)
    assert LocalLog(folder).head().seq == made + 2  # the writer introduces itself


def test_every_figure_of_the_bench_is_measured(tmp_path: Path) -> None:
    figures = [*measure.appends(tmp_path / "a", 100), *measure.big(tmp_path / "big", 100)]
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.value > 0 for figure in figures)


def test_every_value_of_the_bench_has_a_digest_of_its_own() -> None:
    made = values.values(4000, 80)
    assert len({config_digest(value) for value in made.values()}) == len(made)
    assert next(iter(made)) == values.FLOATS
