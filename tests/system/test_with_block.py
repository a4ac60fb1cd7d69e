"""A `with` block of ours is left once, wherever an interrupt strikes."""

import contextlib
import inspect
from collections.abc import Callable, Generator

import pytest

from consist_es import Tracker, errors
from consist_es.execution import current as context
from consist_es.execution.current import Frame, Pushed, top
from consist_es.system import with_block
from consist_es.system.with_block import WithBlock
from tests.support.interrupt import struck


class Noted(WithBlock[str]):
    """Notes what happens to it."""

    def __init__(self, *, begin: BaseException | None = None, ends: tuple[BaseException | None, ...] = ()) -> None:
        self.noted: list[str] = []
        self._begin_raises, self._ends_raise = begin, iter(ends)

    def _begin(self) -> str:
        self.noted.append("begin")
        if self._begin_raises is not None:
            raise self._begin_raises
        return "given"

    def _end(self, error: BaseException | None) -> None:
        self.noted.append(f"end {type(error).__name__}")
        if (own := next(self._ends_raise, None)) is not None:
            raise own


def test_it_begins_and_ends_and_hears_of_the_error() -> None:
    block = Noted()
    with block as given:
        assert given == "given"
    with pytest.raises(ValueError, match="x"), block:
        raise ValueError("x")
    assert block.noted == ["begin", "end NoneType", "begin", "end ValueError"]


def test_an_interrupt_at_the_door_is_the_end_at_once() -> None:
    block = Noted()
    with pytest.raises(KeyboardInterrupt) as kept, struck("_leave"), block:
        block.noted.append("body")
    assert block.noted == ["begin", "body", "end KeyboardInterrupt"]
    assert kept.value is not None  # the exception, with all that it holds, is there still: nothing waits for its going


def test_an_interrupt_at_the_door_after_an_error_is_the_end() -> None:
    block = Noted()
    with pytest.raises(KeyboardInterrupt) as caught, struck("_leave"), block:
        raise ValueError("x")
    assert isinstance(caught.value.__context__, ValueError)
    assert block.noted == ["begin", "end KeyboardInterrupt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), errors.ClosedError("x")], ids=["interrupt", "refusal"])
def test_what_fails_at_its_beginning_is_ended_once(error: BaseException) -> None:
    block = Noted(begin=error)
    with pytest.raises(type(error)), block:
        raise AssertionError("the body must not run")
    assert block.noted == ["begin", f"end {type(error).__name__}"]


def test_an_interrupt_within_the_end_ends_it_again() -> None:
    block = Noted(ends=(KeyboardInterrupt(),))
    with pytest.raises(KeyboardInterrupt), block:
        pass
    assert block.noted == ["begin", "end NoneType", "end KeyboardInterrupt"]
    block = Noted(ends=(KeyboardInterrupt(), KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt), block:
        raise ValueError("x")
    assert block.noted == ["begin", "end ValueError", "end ValueError", "end KeyboardInterrupt"]


def test_a_refusal_at_the_end_is_no_reason_to_end_it_again() -> None:
    block = Noted(ends=(errors.ClosedError("x"),))
    with pytest.raises(errors.ClosedError), block:
        pass
    assert block.noted == ["begin", "end NoneType"]


def by_hand(block: Noted) -> None:
    block.__enter__()
    block.__exit__(None, None, None)


def in_a_stack(block: Noted) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(block)


def from_the_class(block: Noted) -> None:
    type(block).__enter__(block)
    type(block).__exit__(block, None, None, None)


@pytest.mark.parametrize("use", [by_hand, in_a_stack, from_the_class])
def test_it_need_not_be_a_with_statement(use: Callable[[Noted], None]) -> None:
    block = Noted()
    use(block)
    assert block.noted == ["begin", "end NoneType"]


def test_looking_at_it_while_it_is_open_does_not_end_it() -> None:
    block = Noted()
    with block:
        assert callable(block.__exit__)
        assert isinstance(block, contextlib.AbstractContextManager)
        inspect.getmembers(block)
        assert block.noted == ["begin"]
    assert block.noted == ["begin", "end NoneType"]


def test_entering_a_scenario_twice_is_refused_and_leaves_it_open(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        with pytest.raises(errors.ClosedError, match="open already"), sc:
            pass
        assert sc.run(lambda: None, name="goes on").run.status == "completed"
    run = tracker.get_run("s")
    assert run is not None
    assert run.status == "completed"


def test_generators_in_blocks_may_end_in_any_order() -> None:
    first, second = Frame("first"), Frame("second")

    def within(frame: Frame) -> Generator[None, None, None]:
        with Pushed(frame):
            yield

    one, two = within(first), within(second)
    next(one)
    next(two)
    one.close()
    assert top() is second
    two.close()
    assert top() is None


def test_a_default_tracker_may_be_set_by_the_same_block_again_and_within_itself() -> None:
    block = context.use_tracker("inner")
    with context.use_tracker("outer"):
        for _ in range(2):
            with block, block:
                assert context.current_tracker() == "inner"
            assert context.current_tracker() == "outer"
    assert context.default_tracker() is None


@pytest.mark.parametrize("place", ["push", "pop", "_leave", "_begin", "_end"])
@pytest.mark.parametrize("file", [with_block.__file__, context.__file__])
def test_an_interrupt_leaves_no_default_tracker_behind(place: str, file: str) -> None:
    with contextlib.suppress(KeyboardInterrupt), struck(place, file), context.use_tracker("a tracker"):
        assert context.current_tracker() == "a tracker"
    assert context.default_tracker() is None
    with contextlib.suppress(KeyboardInterrupt), struck(place, file), Pushed(Frame("x")):
        pass
    assert top() is None
