"""An accepted change is followed by look-ups, for exactly its work, and says so; revoked, it is not followed."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es import CacheOptions, ExecutionOptions, RunResult, Tracker, errors
from consist_es.events import AcceptanceRevoked, ChangeAccepted
from tests.support.api import made
from tests.support.cli import run as command
from tests.support.cli import run_json

Step = Callable[..., Path]


def old(n: int = 0) -> Path:
    return made("o", f"{n}\n")


def new(n: int = 0) -> Path:
    text = f"{n}\n"
    return made("o", text)


def newest(n: int = 0) -> Path:
    return made("o", str(n) + "\n")


def run(tracker: Tracker, fn: Step, **given: Any) -> RunResult:
    return tracker.run(fn, **{"name": "step", "outputs": ["o"], "config": {"n": 1}, **given})


@pytest.fixture
def changed(tracker: Tracker) -> Tracker:
    """`step#1` completed with the old code, `step#2` ran with the new code and kept nothing."""
    run(tracker, old)
    run(tracker, new, cache_options=CacheOptions(cache_mode="readonly"))
    return tracker


def test_an_accepted_change_hits_the_earlier_run_and_says_so(changed: Tracker) -> None:
    assert not run(changed, new, cache_options=CacheOptions(cache_mode="readonly")).cache_hit
    changed.accept("step#2", "step#1", "  only a variable  ")
    again = run(changed, new)
    assert again.cache_hit
    assert again.run.meta["cache_source"] == "step"
    assert again.run.meta["cache_accepted"] == ["accepted as step: only a variable"]
    why = again.run.why()
    assert (why.reason, why.nearest, why.accepted) == ("accepted", "step", ["accepted as step: only a variable"])
    assert "  accepted as step: only a variable\n" in str(why)
    assert run(changed, old).run.meta.get("cache_accepted") is None


def test_nothing_wider_than_the_work_follows(changed: Tracker) -> None:
    changed.accept("step#2", "step#1", "only a variable")
    assert not run(changed, new, config={"n": 2}).cache_hit
    assert not run(changed, newest).cache_hit
    assert not run(changed, new, year=2030).cache_hit


def test_an_acceptance_leads_one_way(tracker: Tracker) -> None:
    run(tracker, old, cache_options=CacheOptions(cache_mode="readonly"))
    run(tracker, new)
    tracker.accept("step#1", "step#2", "taken back to the old code")
    assert run(tracker, old).cache_hit
    with pytest.raises(errors.AcceptanceError, match="cannot answer for it: cache_mode='readonly' keeps nothing"):
        tracker.accept("step#2", "step#1", "x")


def test_acceptances_lead_on_and_may_go_in_a_circle(tracker: Tracker) -> None:
    run(tracker, old)
    run(tracker, new)
    run(tracker, newest, cache_options=CacheOptions(cache_mode="readonly"))
    tracker.accept("step#3", "step#2", "second")
    tracker.accept("step#2", "step#1", "first")
    tracker.accept("step#1", "step#2", "and back")
    assert run(tracker, newest).run.meta["cache_source"] == "step#2"
    changed = tracker.get_run_outputs("step#2")["o"].path
    changed.unlink()
    again = run(tracker, newest)
    assert again.run.meta["cache_source"] == "step"
    assert again.run.meta["cache_accepted"] == ["accepted as step#2: second", "accepted as step: first"]
    tracker.get_run_outputs("step#1")["o"].path.unlink()
    assert not run(tracker, newest).cache_hit


def test_the_outputs_are_checked_on_every_hit(changed: Tracker) -> None:
    changed.accept("step#2", "step#1", "only a variable")
    changed.get_run_outputs("step#1")["o"].path.write_text("edited")
    again = run(changed, new)
    assert not again.cache_hit
    assert again.run.why().reason == "candidate_outputs_invalid"


def test_a_revoked_acceptance_is_no_longer_followed(changed: Tracker) -> None:
    changed.accept("step#2", "step#1", "only a variable")
    assert run(changed, new).cache_hit
    changed.revoke_acceptance("step", "it was not")
    assert not run(changed, new, cache_options=CacheOptions(cache_mode="readonly")).cache_hit
    with pytest.raises(errors.AcceptanceError, match="nothing is accepted for it"):
        changed.revoke_acceptance("step#2")
    changed.accept("step#2", "step#1", "it was, after all")
    assert run(changed, new).run.meta["cache_accepted"] == ["accepted as step: it was, after all"]


def test_an_interrupted_or_failed_run_can_be_accepted(tracker: Tracker) -> None:
    def steady(stop: type[BaseException] | None) -> Path:
        return made("o", "1\n")

    def changed(stop: type[BaseException] | None) -> Path:
        if stop is not None:
            raise stop
        return made("o", "1\n")

    def start(fn: Step, stop: type[BaseException] | None = None) -> RunResult:
        options = ExecutionOptions(runtime_kwargs={"stop": stop})
        return tracker.run(fn, name="step", outputs=["o"], execution_options=options)

    start(steady)
    for stop in (KeyboardInterrupt, ValueError):
        with pytest.raises(stop):
            start(changed, stop)
        tracker.accept("step", "step#1", "a check before the work")
        assert start(changed, stop).cache_hit
        tracker.revoke_acceptance("step")


def test_a_hit_stands_for_the_run_that_it_came_from(tracker: Tracker) -> None:
    run(tracker, old)
    run(tracker, old)
    run(tracker, new, cache_options=CacheOptions(cache_mode="readonly"))
    tracker.accept("step#3", "step#2", "only a variable")
    assert run(tracker, new).run.meta["cache_source"] == "step"


def test_a_trace_follows_an_acceptance(tracker: Tracker) -> None:
    def trace(text: str) -> bool:
        with tracker.trace("t", config={"text": text}) as t:
            hit = bool(t.is_cached)
            if not hit:
                t.log_output(made("o", "1\n"), "o")
        return hit

    assert [trace("a"), trace("b")] == [False, False]
    tracker.get_run_outputs("t#2")["o"].path.unlink()
    tracker.accept("t#2", "t#1", "only the text")
    assert trace("b") is True


REFUSED: list[tuple[str, str, str, type[Exception], str]] = [
    ("nobody", "step#1", "x", errors.MissingKeyError, r"No run 'nobody'"),
    ("step#2", "nobody", "x", errors.MissingKeyError, r"No run 'nobody'"),
    ("step#2", "step#1", "  ", errors.AcceptanceError, r"no reason is given"),
    ("s", "step#1", "x", errors.AcceptanceError, r"'s' is a scenario\. Name one of its steps: s_other"),
    ("step#2", "s", "x", errors.AcceptanceError, r"'s' is a scenario"),
    ("step#1", "step#1", "x", errors.AcceptanceError, r"it is the same work as 'step' already"),
    ("step#2", "broken", "x", errors.AcceptanceError, r"run 'broken' cannot answer for it: it is failed"),
    ("loose", "step#1", "x", errors.AcceptanceError, r"its work cannot be identified: "),
    ("step#2", "gone", "x", errors.AcceptanceError, r"run 'gone' cannot answer for it: output 'o' cannot be read"),
    ("more", "step#1", "x", errors.AcceptanceError, r"output 'p' is declared now and was not produced then"),
]


@pytest.mark.parametrize(("who", "as_run", "reason", "kind", "text"), REFUSED)
def test_what_cannot_be_accepted_is_refused_and_nothing_is_recorded(
    changed: Tracker, who: str, as_run: str, reason: str, kind: type[Exception], text: str
) -> None:
    def fails(n: int) -> Path:
        raise ValueError("planned")

    rng = random.Random(0)

    def loose() -> Path:
        return made("o", str(rng.random()))

    def two(n: int) -> dict[str, Path]:
        return {"o": made("o"), "p": made("p")}

    with changed.scenario("s") as sc:
        sc.run(old, name="other")
    with pytest.raises(ValueError, match="planned"):
        run(changed, fails, name="broken")
    with pytest.warns(errors.ConsistWarning, match="'loose' will be computed every time"):
        changed.run(loose, name="loose")
    run(changed, old, name="gone", config={"n": 3}).outputs["o"].path.unlink()
    changed.run(two, name="more", config={"n": 1}, outputs=["o", "p"])
    head = changed.project.log.head()
    with pytest.raises(kind, match=text):
        changed.accept(who, as_run, reason)
    assert changed.project.log.head() == head


def test_a_tracker_that_may_not_record_accepts_nothing(changed: Tracker) -> None:
    with Tracker("runs", "project.db", access_mode="read_only") as reader:
        with pytest.raises(errors.AccessModeError):
            reader.accept("step#2", "step#1", "x")
        with pytest.raises(errors.AccessModeError):
            reader.revoke_acceptance("step#2")


def test_the_log_has_who_accepted_what_and_why(changed: Tracker) -> None:
    changed.accept("step#2", "step#1", "only a variable")
    changed.revoke_acceptance("step#2", "it was not")
    accepted, revoked = (item.event for item in list(changed.project.log.read())[-2:])
    assert isinstance(accepted, ChangeAccepted)
    assert isinstance(revoked, AcceptanceRevoked)
    assert accepted.user == revoked.user != ""
    assert accepted.reason == "only a variable"
    assert any("code of" in line for line in accepted.differs)
    assert (revoked.fingerprint, revoked.reason) == (accepted.fingerprint, "it was not")


def test_views_made_anew_follow_the_same_acceptances(changed: Tracker, here: Path) -> None:
    changed.accept("step#2", "step#1", "only a variable")
    views = changed.project.views
    views.rebuild(target=here / "again.db")
    assert views.compare(here / "again.db") == {}
    views.rebuild()
    assert run(changed, new).cache_hit


# ---------------------------------------------------------------- the command line


def test_the_command_accepts_and_revokes_and_the_audit_shows_it(tracker: Tracker) -> None:
    with tracker.scenario("base") as sc:
        sc.run(old, name="step", config={"n": 1}, outputs=["o"])
    with tracker.scenario("base") as sc:
        sc.run(new, name="step", config={"n": 1}, outputs=["o"], cache_options=CacheOptions(cache_mode="readonly"))
    said = command("accept", "base_step#2", "--as", "base_step#1", "--reason", "only a variable").stdout
    assert said.splitlines()[0] == "From now on base_step answers for base_step#2 and what is the same work."
    with tracker.scenario("base") as sc:
        assert sc.run(new, name="step", config={"n": 1}, outputs=["o"]).cache_hit
    assert "  accepted as base_step: only a variable" in command("why", "base_step#3").stdout
    (found,) = run_json("accept", "base_step#3", "--revoke", "--reason", "it was not")
    assert found["reason"] == "it was not"
    audit = command("audit", "base", "--all").stdout
    assert "base_step#2: accepted as base_step by " in audit
    assert ": only a variable (the change: code of " in audit
    assert "cache hit: reused base_step (o; checked: stat+digest); accepted as base_step: only a variable" in audit
    assert "base_step#3: no longer accepted, says " in audit


def test_the_command_finds_outputs_below_the_mounts_of_the_scenario(here: Path) -> None:
    (here / "disk").mkdir()

    def there(n: int = 0) -> Path:
        path = here / "disk" / "o.txt"
        path.write_text("1\n")
        return path

    with Tracker("runs", "project.db", mounts={"disk": here / "disk"}) as tracker:
        for number in (1, 2):
            with tracker.scenario("base") as sc:
                sc.run(there, name="step", config={"n": number}, outputs=["o"])
    command("accept", "base_step#2", "--as", "base_step#1", "--reason", "n is not used")


@pytest.mark.parametrize(
    "arguments",
    [["--reason", "x"], ["--as", "step"], ["--as", "step", "--revoke"], ["--as", "step", "--reason", "x", "--revoke"]],
)
def test_the_command_wants_one_of_its_two_forms(changed: Tracker, arguments: list[str]) -> None:
    assert "Give --as RUN and --reason TEXT, or --revoke." in command("accept", "step#2", *arguments, code=2).stderr


def test_the_command_says_what_is_wrong(changed: Tracker) -> None:
    assert "no reason is given" in command("accept", "step#2", "--as", "step#1", "--reason", " ", code=2).stderr
