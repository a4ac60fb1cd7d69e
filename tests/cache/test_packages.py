"""Other versions of packages: told, or counted, and accepted for all steps at once."""

import sys
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es import ConsistWarning, RunResult, Tracker, errors, forecast_summary
from consist_es.cache.packages import accepted_path
from consist_es.events import CacheHit, PackagesAccepted, PackagesRevoked
from consist_es.execution.forecast import Forecast
from consist_es.identity.installed import packages
from consist_es.project import environment as environment_module
from consist_es.projections import cache_index
from consist_es.projections.cache_index import PackageAcceptance
from tests.support.api import made
from tests.support.cli import run as command
from tests.support.cli import run_json
from tests.support.installed import install

CODE = {"tables_lib/__init__.py": "def rate():\n    return 1\n"}
MORE = {"more_lib/__init__.py": "def rate():\n    return 2\n"}


def step() -> Path:
    import tables_lib  # type: ignore[import-not-found]

    return made("o", str(tables_lib.rate()))


def other(n: int = 0) -> Path:
    import more_lib  # type: ignore[import-not-found]

    return made("p", str(more_lib.rate() + n))


def alone() -> Path:
    return made("o", "alone")


@pytest.fixture
def site(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages that imports find, with `tables-lib` 1.0 and `more-lib` 1.0 in it."""
    folder = here / "env" / "site-packages"
    upgrade(folder, "1.0")
    install(folder, "more_lib", "1.0", MORE)
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("tables_lib", "more_lib"):
        sys.modules.pop(name, None)


def upgrade(site: Path, version: str) -> None:
    install(site, "tables_lib", version, CODE)


def opened(**given: Any) -> Tracker:
    return Tracker(run_dir="runs", db_path="project.db", sync="os", **given)


def run(tracker: Tracker, fn: Any = step, **given: Any) -> RunResult:
    return tracker.run(fn, **{"outputs": ["p" if fn is other else "o"], **given})


# ---------------------------------------------------------------- told


def test_another_version_is_told_with_every_hit_and_does_not_rerun(site: Path) -> None:
    with opened() as tracker:
        assert not run(tracker).cache_hit
        upgrade(site, "1.1")
        for _ in range(2):
            with pytest.warns(
                ConsistWarning, match=r"'step' was reused over other packages: tables-lib 1\.0 -> 1\.1\."
            ):
                hit = run(tracker)
            assert hit.cache_hit
        why = hit.run.why()
        assert why.packages == hit.run.meta["cache_packages"] == ["tables-lib 1.0 -> 1.1"]
        assert "  reused over other packages: tables-lib 1.0 -> 1.1\n" in str(why)
        events = [entry.event for entry in tracker.project.log.read()]
        assert [event.packages for event in events if isinstance(event, CacheHit)] == [["tables-lib 1.0 -> 1.1"]] * 2
    assert "reused over other packages: tables-lib 1.0 -> 1.1" in command("log").stdout
    assert run_json("why", "step#2")[0]["packages"] == ["tables-lib 1.0 -> 1.1"]


def test_only_what_the_code_imports_is_recorded_and_told(site: Path) -> None:
    with opened() as tracker:
        recorded = run(tracker).run
        run(tracker, alone, name="alone")
        row = tracker.project.connection().execute("SELECT fingerprint_info FROM runs WHERE id = 'step'").fetchone()[0]
        assert '"packages":{"python":' in row
        assert '"tables-lib":"1.0"' in row
        assert "more-lib" not in row
        install(site, "more_lib", "2.0", MORE)
        upgrade(site, "1.1")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(tracker, alone, name="alone").cache_hit
        assert recorded.why().packages == []


def test_of_several_earlier_runs_the_one_over_the_same_packages_answers(site: Path) -> None:
    with opened(package_identity="imported") as counting, opened() as telling:
        run(counting)
        upgrade(site, "1.1")
        assert not run(counting).cache_hit
        upgrade(site, "1.0")
        hit = run(telling)
        assert hit.run.meta["cache_source"] == "step"
        assert hit.run.why().packages == []


def test_a_package_that_is_gone_is_told_as_not_installed(site: Path) -> None:
    with opened() as tracker:
        run(tracker)
        (site / "tables_lib-1.0.dist-info").rename(site / "other-1.0.dist-info")
        (site / "other-1.0.dist-info" / "RECORD").write_text("tables_lib/__init__.py,,\n")
        with pytest.warns(ConsistWarning, match=r"tables-lib 1\.0 -> not installed"):
            assert run(tracker).cache_hit


# ---------------------------------------------------------------- counted


def test_imported_packages_count_where_that_is_asked_for(site: Path) -> None:
    with opened(package_identity="imported") as tracker:
        run(tracker)
        assert run(tracker).cache_hit
        upgrade(site, "1.1")
        missed = run(tracker).run.why()
        assert (missed.reason, missed.nearest) == ("packages_changed", "step")
        assert missed.differs == ["packages: tables-lib 1.0 -> 1.1"]
        assert "it was computed over other versions of packages that count" in str(missed)
        assert run(tracker).cache_hit


def test_what_is_known_of_an_earlier_run_does_not_depend_on_what_counted_then(site: Path) -> None:
    with opened() as telling, opened(package_identity="imported") as counting:
        run(telling)
        assert run(counting).cache_hit
        upgrade(site, "1.1")
        assert not run(counting).cache_hit


def test_packages_that_are_named_count_for_every_step_and_others_do_not(site: Path) -> None:
    with opened(model_packages=["More_Lib"]) as tracker:
        run(tracker, alone)
        install(site, "more_lib", "2.0", MORE)
        missed = run(tracker, alone).run.why()
        assert missed.differs == ["packages: more-lib 1.0 -> 2.0"]
        run(tracker)
        upgrade(site, "1.1")
        with pytest.warns(ConsistWarning, match="tables-lib"):
            assert run(tracker).cache_hit


def test_a_model_that_is_named_later_is_compared_with_what_was_installed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_environment()
    with opened() as tracker:
        run(tracker, alone)
    install(site, "more_lib", "2.0", MORE)
    with opened(model_packages=["more-lib"]) as tracker:
        assert run(tracker, alone).run.why().differs == ["packages: more-lib 1.0 -> 2.0"]
    forget_environment()


def test_runs_of_versions_that_recorded_no_packages_are_compared_by_their_environment(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_environment()
    with opened(package_identity="imported") as tracker:
        with monkeypatch.context() as patch:
            patch.setattr("consist_es.steps.step.versions", lambda *_: {})
            run(tracker)
        assert run(tracker).cache_hit
        upgrade(site, "1.1")
        assert run(tracker).run.why().differs == ["packages: tables-lib 1.0 -> 1.1"]
    forget_environment()


def forget_environment() -> None:
    environment_module._environment.cache_clear()
    environment_module._packages.cache_clear()


def test_packages_that_are_ignored_are_neither_told_nor_counted(site: Path) -> None:
    with opened(package_identity="imported", ignore_packages=["tables.lib"]) as tracker:
        run(tracker)
        upgrade(site, "1.1")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert run(tracker).cache_hit


def test_the_minor_version_of_python_is_told_or_counts(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as telling, opened(package_identity="imported") as counting:
        run(telling)
        now = ".".join(map(str, sys.version_info[:2]))
        monkeypatch.setattr(packages, "version_of", {"python": "3.99"}.get)
        with pytest.warns(ConsistWarning, match=rf"python {now} -> 3\.99"):
            assert run(telling).cache_hit
        assert run(counting).run.why().differs == [f"packages: python {now} -> 3.99"]


def test_a_model_that_is_not_installed_is_said_and_counts_as_such(site: Path) -> None:
    with pytest.warns(ConsistWarning, match="model_packages names no-such, which is not installed here"):
        tracker = opened(model_packages=["no_such"])
    with tracker:
        run(tracker, alone)
        assert run(tracker, alone).cache_hit
        install(site, "no_such", "1.0", {})
        assert run(tracker, alone).run.why().differs == ["packages: no-such not installed -> 1.0"]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"package_identity": "all"}, errors.OptionError, "own"),
        ({"package_identity": None}, errors.OptionError, "own"),
        ({"model_packages": 3}, errors.UsageTypeError, "model_packages takes a list of str"),
        ({"model_packages": [3]}, errors.UsageTypeError, "model_packages takes a list of str"),
        ({"ignore_packages": {"a": 1, 2: 3}}, errors.UsageTypeError, "ignore_packages takes a list of str"),
        ({"model_packages": [" "]}, errors.UsageError, "' ' is not one"),
        ({"model_packages": ["A_b"], "ignore_packages": ["a-B"]}, errors.UsageError, "'a-b' is in both"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    here: Path, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        opened(**given)
    assert not (here / "runs").exists()


# ---------------------------------------------------------------- accepted


def test_an_upgrade_is_accepted_for_all_steps_at_once(site: Path) -> None:
    with opened(package_identity="imported") as tracker:
        run(tracker)
        run(tracker, other)
        upgrade(site, "1.1")
        install(site, "more_lib", "1.5", MORE)
        assert tracker.accept_packages("  patches  ") == ["more-lib 1.0 -> 1.5", "tables-lib 1.0 -> 1.1"]
        hit = run(tracker)
        assert hit.run.meta["cache_accepted"] == ["packages accepted: tables-lib 1.0 -> 1.1: patches"]
        assert run(tracker, other).cache_hit
        assert tracker.run(other, outputs=["p"], config={"n": 5}).cache_hit is False
        upgrade(site, "1.2")
        assert not run(tracker).cache_hit


def test_each_accepted_change_holds_alone_and_they_lead_on(site: Path) -> None:
    with opened(package_identity="imported") as tracker:
        run(tracker)
        upgrade(site, "1.1")
        tracker.accept_packages("one")
        upgrade(site, "1.2")
        assert tracker.accept_packages("two") == ["tables-lib 1.0 -> 1.2"]
        install(site, "more_lib", "9.0", MORE)
        hit = run(tracker)
        assert hit.cache_hit
        tracker.revoke_packages("no")
        assert not run(tracker).cache_hit
        with pytest.raises(errors.AcceptanceError, match="nothing is accepted"):
            tracker.revoke_packages()
        events = [entry.event for entry in tracker.project.log.read()]
        accepted = [event for event in events if isinstance(event, PackagesAccepted)]
        assert [(event.before, event.after, event.reason) for event in accepted] == [
            ({"tables-lib": "1.0"}, {"tables-lib": "1.1"}, "one"),
            ({"tables-lib": "1.0"}, {"tables-lib": "1.2"}, "two"),
        ]
        assert isinstance(events[[isinstance(event, PackagesRevoked) for event in events].index(True)], PackagesRevoked)


def test_what_is_accepted_is_no_longer_told_as_other_packages(site: Path) -> None:
    with opened() as tracker:
        run(tracker)
        upgrade(site, "1.1")
        tracker.accept_packages("a patch")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            hit = run(tracker)
        assert hit.run.why().accepted == ["packages accepted: tables-lib 1.0 -> 1.1: a patch"]
        upgrade(site, "1.0")
        assert run(tracker).run.why().packages == []


def test_an_acceptance_leads_one_way(site: Path) -> None:
    with opened(package_identity="imported") as tracker:
        run(tracker)
        upgrade(site, "1.1")
        tracker.accept_packages("a patch")
        assert run(tracker).cache_hit
        assert not run(tracker, year=2031).cache_hit
        upgrade(site, "1.0")
        assert not run(tracker, year=2031).cache_hit


def test_there_must_be_something_to_accept_and_a_reason(site: Path) -> None:
    with opened() as tracker:
        with pytest.raises(errors.AcceptanceError, match="none of the last 0 runs"):
            tracker.accept_packages("x")
        run(tracker)
        with pytest.raises(errors.AcceptanceError, match="none of the last 1 runs"):
            tracker.accept_packages("x")
        upgrade(site, "1.1")
        with pytest.raises(errors.AcceptanceError, match="no reason is given"):
            tracker.accept_packages(" ")
    with opened(access_mode="analysis") as tracker, pytest.raises(errors.AccessModeError):
        tracker.accept_packages("x")


def test_the_command_accepts_and_takes_back(site: Path) -> None:
    with opened(package_identity="imported") as tracker:
        run(tracker)
        upgrade(site, "1.1")
        said = command("accept", "--packages", "--reason", "a patch").stdout
        assert "tables-lib 1.0 -> 1.1" in said
        assert run(tracker).cache_hit
        assert "tables-lib 1.0 -> 1.1: a patch" in command("log").stdout
        command("accept", "--packages", "--revoke")
        assert not run(tracker).cache_hit
    assert "give no RUN" in command("accept", "step", "--packages", "--reason", "x", code=2).stderr
    assert "Give --packages and --reason" in command("accept", "--packages", code=2).stderr
    assert "--packages without RUN" in command("accept", "--reason", "x", code=2).stderr


def test_what_a_stranger_accepted_does_not_count(site: Path) -> None:
    with opened(package_identity="imported") as tracker:
        run(tracker)
        upgrade(site, "1.1")
        tracker.accept_packages("a patch")
        conn = tracker.project.connection()

        class Nobody:
            def admits(self, _conn: Any, _writer: str) -> bool:
                return False

        nobody: Any = Nobody()
        assert accepted_path(conn, "tables-lib", "1.0", "1.1") is not None
        assert accepted_path(conn, "tables-lib", "1.0", "1.1", nobody) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=9), st.integers(0, 5), st.integers(0, 5))
def test_a_path_of_accepted_changes_is_found_exactly_where_there_is_one(
    changes: list[tuple[int, int]], before: int, after: int
) -> None:
    rows = [
        PackageAcceptance(seq=1, name="a", before=str(then), after=str(now), reason="", user="", at="", writer="")
        for then, now in changes
    ]
    reached = {before}
    for _ in changes:
        reached |= {now for then, now in changes if then in reached}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_index, "package_acceptances", lambda _conn: rows)
        conn: Any = None
        path = accepted_path(conn, "a", str(before), str(after))
        assert accepted_path(conn, "b", str(before), str(after)) == ([] if before == after else None)
    assert (path is not None) == (after in reached)
    if path:
        assert [path[0].before, path[-1].after] == [str(before), str(after)]
        assert all(one.after == two.before for one, two in pairwise(path))


# ---------------------------------------------------------------- beforehand


def test_a_forecast_says_what_packages_cost(site: Path) -> None:
    with opened(package_identity="imported") as counting, opened() as telling:
        run(counting)
        run(counting, other)
        upgrade(site, "1.1")
        told = telling.forecast(step, outputs=["o"])
        assert (told.verdict, told.packages) == ("hit", ["tables-lib 1.0 -> 1.1"])
        assert "  reused over other packages: tables-lib 1.0 -> 1.1" in str(told)
        ahead = counting.forecast(step, outputs=["o"])
        assert (ahead.verdict, ahead.reason) == ("miss", "packages_changed")
        assert ahead.seconds is not None
        said = forecast_summary([ahead, counting.forecast(other, outputs=["p"])])
        assert said == "1 of 2 steps will run, less than 1 s, because of tables-lib 1.0 -> 1.1"


def foreseen(verdict: str, **given: Any) -> Forecast:
    return Forecast(step="s", verdict=verdict, **{"reason": "packages_changed", **given})


def test_several_forecasts_are_told_in_one_sentence() -> None:
    because = {"differs": ["packages: pandas 2.2.1 -> 2.2.2"], "seconds": 16200.0}
    hits = [foreseen("hit")] * 9
    assert forecast_summary([]) == "none of 0 steps will run"
    assert forecast_summary(hits) == "none of 9 steps will run"
    assert forecast_summary([*hits, *[foreseen("miss", **because)] * 2]) == (
        "2 of 11 steps will run, about 9 h, because of pandas 2.2.1 -> 2.2.2"
    )
    mixed = [
        foreseen("miss", reason="config_changed", differs=["config.a: 1 -> 2"]),
        foreseen("miss", **because),
        foreseen("open", reason="waits_for_inputs", seconds=1800.0),
        foreseen("hit", packages=["numpy 1 -> 2"]),
    ]
    assert forecast_summary(mixed) == (
        "3 of 4 steps will run, about 5 h, because of pandas 2.2.1 -> 2.2.2; config_changed (1); "
        "1 of them wait for others and may be reused; others are reused over numpy 1 -> 2"
    )
    assert forecast_summary([foreseen("miss", reason="x")]) == (
        "1 of 1 step will run, for an unknown time, because of x (1)"
    )
    with pytest.raises(errors.UsageTypeError, match="takes forecasts"):
        forecast_summary([3])  # type: ignore[list-item]
