"""What a step made in a factory captures: writes are no reads, and values can be left out by name or by mode."""

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, ConsistWarning, RunResult, Tracker, errors, identity_exempt
from tests.support.api import made

EXPLICIT = ("callable_module", "callable_source", "repo_git")


class Holder:
    """Carries what earlier steps made."""

    def __init__(self, before: str) -> None:
        self.before = before
        self.done: Any = None
        self.outputs: dict[str, Any] = {"before": before}


class Hooked(Holder):
    """Setting an attribute runs code that reads the object."""

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, (value, getattr(self, "before", "")))


class Sealed(Holder):
    """The same, by a property."""

    @property
    def kept(self) -> Any:
        return self.done

    @kept.setter
    def kept(self, value: Any) -> None:
        self.done = (value, self.before)


def run(tracker: Tracker, step: Callable[..., Any], mode: str | None = None) -> RunResult:
    return tracker.run(step, name="step", cache_options=CacheOptions(code_identity=mode))


def hits(
    tracker: Tracker, make: Callable[[Any], Callable[..., Any]], kind: type = Holder, mode: str | None = None
) -> Any:
    """Whether the step of a second factory call is a hit, with an object that holds another workspace."""
    assert not run(tracker, make(kind("/w/1")), mode).cache_hit
    return run(tracker, make(kind("/w/2")), mode).cache_hit


# ---------------------------------------------------------------- writes


def attribute(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.done = "done"
        return made()

    return step


def asserted(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        path = made()
        assert path.exists(), "pytest rewrites this"
        holder.done = "done"
        return path

    return step


def item(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.outputs["done"] = "done"
        return made()

    return step


def read(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.done = "done"
        return made(text=holder.before)

    return step


def counted(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.done = len(holder.outputs)
        return made()

    return step


def passed_on(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.done = "done"
        return made(text=before_of(holder))

    return step


def before_of(holder: Any) -> str:
    return str(holder.before)


def kept(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.kept = "done"
        return made()

    return step


@pytest.mark.parametrize("make", [attribute, asserted])
def test_an_attribute_that_is_only_set_is_no_input(tracker: Tracker, make: Any) -> None:
    first, second = Holder("/w/1"), Holder("/w/2")
    assert not run(tracker, make(first)).cache_hit
    assert run(tracker, make(second)).cache_hit
    assert (first.done, second.done) == ("done", "done")  # a hit sets it, too


@pytest.mark.parametrize("make", [read, counted, passed_on])
def test_what_is_also_read_counts(tracker: Tracker, make: Any) -> None:
    assert not hits(tracker, make)


@pytest.mark.parametrize(("make", "kind"), [(attribute, Hooked), (kept, Sealed)])
def test_a_write_that_runs_code_of_the_class_is_a_read(tracker: Tracker, make: Any, kind: type) -> None:
    assert not hits(tracker, make, kind)


def deeper(holder: Any) -> Callable[..., Any]:
    def step() -> Path:
        holder.inner.done = "done"
        return made()

    return step


class Nested(Holder):
    """Holds another object."""

    def __init__(self, before: str) -> None:
        super().__init__(before)
        self.inner = Holder(before)


def test_a_hit_sets_the_attribute_whatever_was_there(tracker: Tracker) -> None:
    first, second, third = (Nested(f"/w/{number}") for number in range(3))
    second.inner.done, third.inner.done = "something else", "done"
    assert not run(tracker, deeper(first)).cache_hit
    assert run(tracker, deeper(second)).cache_hit
    assert (second.inner.done, second.inner.before) == ("done", "/w/1")
    assert run(tracker, deeper(third)).cache_hit


def test_a_value_that_was_there_before_must_be_there_for_a_hit(tracker: Tracker) -> None:
    first, second = Holder("/w/1"), Holder("/w/2")
    first.done = "done"  # the step sets it to what it is: that it did cannot be seen
    run(tracker, attribute(first))
    run(tracker, attribute(second))
    assert second.done == "done"


def test_an_item_is_put_back_over_the_content_that_the_run_found_alone(tracker: Tracker) -> None:
    first, second, third = Holder("/w/1"), Holder("/w/1"), Holder("/w/2")
    assert [run(tracker, item(each)).cache_hit for each in (first, second, third)] == [False, True, False]
    assert [each.outputs["done"] for each in (first, second, third)] == ["done"] * 3


def test_a_list_that_is_only_appended_to_is_no_input_under_rewritten_asserts(tracker: Tracker) -> None:
    calls: list[int] = []

    def step() -> Path:
        calls.append(1)
        path = made()
        assert path.exists(), calls.__class__ if False else "there"
        return path

    def plain() -> Path:
        calls.append(1)
        path = made()
        assert path.exists()
        return path

    assert [run(tracker, plain).cache_hit for _ in range(2)] == [False, True]
    assert len(calls) == 1
    assert [run(tracker, step).cache_hit for _ in range(2)] == [False, False]  # its assert mentions the list


# ---------------------------------------------------------------- ways out


class Coupled:
    """Wraps the coupler of a scenario, as models do."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def set(self, key: str, value: Any) -> None:
        self.inner.set(key, value)


def factory(holder: Holder, coupler: Coupled, factor: int, **more: Any) -> Callable[..., Any]:
    """A step as large models make it: it reads and fills what earlier steps left."""

    def step(x: Path) -> Path:
        path = made(text=f"{x.read_text()} {factor}")
        assert holder.before
        holder.outputs["done"] = str(path)
        coupler.set("done", str(path))
        return path

    return identity_exempt(*more["exempt"])(step) if "exempt" in more else step


def in_workspace(tracker: Tracker, name: str, mode: str | None, factor: int = 1, **more: Any) -> RunResult:
    with tracker.scenario(name) as sc:
        step = factory(Holder(f"/w/{name}"), Coupled(sc.coupler), factor, **more)
        options = CacheOptions(code_identity=mode)
        paths = consist.ExecutionOptions(input_binding="paths")
        return sc.run(step, name="step", inputs={"x": Path("x.txt")}, cache_options=options, execution_options=paths)


@pytest.fixture
def with_input(tracker: Tracker, here: Path) -> Tracker:
    (here / "x.txt").write_text("1")
    return tracker


@pytest.mark.parametrize("mode", EXPLICIT)
def test_an_explicit_mode_counts_code_and_not_what_captured_objects_hold(with_input: Tracker, mode: str) -> None:
    assert not in_workspace(with_input, "a", mode).cache_hit
    with pytest.warns(ConsistWarning, match="the values of coupler, holder did not count"):
        hit = in_workspace(with_input, "b", mode)
    assert hit.cache_hit
    assert "the values of coupler, holder did not count" in hit.run.meta["cache_left_out"]
    assert "the values of coupler, holder did not count" in str(hit.run.why())
    assert not in_workspace(with_input, "c", mode, factor=2).cache_hit  # a plain value counts


def test_a_step_may_exempt_what_it_captures(with_input: Tracker) -> None:
    exempt = ("holder", "coupler")
    assert not in_workspace(with_input, "a", None, exempt=exempt).cache_hit
    with pytest.warns(
        ConsistWarning, match="identity_exempt: the values of coupler, holder did not count, nor what the"
    ):
        hit = in_workspace(with_input, "b", None, exempt=exempt)
    assert hit.cache_hit
    assert "exempt: the values of coupler, holder" in hit.run.meta["cache_left_out"]
    assert "exempt: the values of coupler, holder" in str(hit.run.why())
    assert not in_workspace(with_input, "c", None, factor=2, exempt=exempt).cache_hit


def test_an_exemption_counts_itself_and_the_default_stays(with_input: Tracker) -> None:
    in_workspace(with_input, "a", None, exempt=("holder", "coupler"))
    assert not in_workspace(with_input, "a", None).cache_hit
    assert not in_workspace(with_input, "b", None).cache_hit
    assert not in_workspace(with_input, "c", None, exempt=("coupler",)).cache_hit
    assert not in_workspace(with_input, "d", None, exempt=("coupler",)).cache_hit  # of the holder, it was not said


def test_the_class_of_an_exempted_object_counts(tracker: Tracker) -> None:
    def make(holder: Any) -> Callable[..., Any]:
        @identity_exempt("holder")
        def step() -> Path:
            return made(text=str(holder.before))

        return step

    run(tracker, make(Holder("/w/1")))
    assert not run(tracker, make(Sealed("/w/1"))).cache_hit


def test_an_exemption_holds_for_partials_and_helpers(tracker: Tracker) -> None:
    def make(holder: Any) -> Callable[..., Any]:
        def helper() -> str:
            return str(bool(holder.before))

        @identity_exempt("holder")
        def step(factor: int) -> Path:
            return made(text=helper() * factor)

        return functools.partial(step, 2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)
        assert [run(tracker, make(Holder(before))).cache_hit for before in ("/w/1", "/w/2")] == [False, True]


def test_names_that_cannot_be_exempted_are_refused(tracker: Tracker) -> None:
    def make(holder: Any, helper: Any) -> Callable[..., Any]:
        def step() -> Path:
            return made(text=helper(holder))

        return step

    for names, said in ((("helper",), "names code, which always counts"), (("hodler",), "captures no such variable")):
        with pytest.raises(errors.UsageError, match=said):
            run(tracker, identity_exempt(*names)(make(Holder("/w"), before_of)))
    for bad in ((), ("",), ("a b",), (3,)):
        with pytest.raises(errors.UsageError, match="identity_exempt"):
            identity_exempt(*bad)
    assert tracker.find_runs() == []


def test_a_block_in_an_explicit_mode_leaves_objects_out(tracker: Tracker) -> None:
    def block(holder: Holder, factor: int, mode: str | None) -> bool:
        with tracker.trace("block", code_identity=mode):
            cached = tracker.is_cached
            if not cached:
                tracker.log_output(made(text=f"{factor} {bool(holder.before)}"), "o")
        return cached

    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)
        for mode in ("callable_source", None):
            calls = [("/w/1", 1), ("/w/2", 1), ("/w/2", 2)]
            found[mode] = [block(Holder(before), factor, mode) for before, factor in calls]
    assert found == {"callable_source": [False, True, False], None: [False, False, False]}
