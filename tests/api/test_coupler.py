"""The coupler: a mapping with rules, recorded while its scenario is open."""

from pathlib import Path
from typing import Any

import pytest

from consist_es import ConsistWarning, Coupler, Tracker, errors
from consist_es.events import CouplerSet, OutputsDeclared
from tests.support.api import made


class Alike:
    """Stands for a file where tracking is off."""

    path = Path("/data/file.txt")
    container_uri = "data://file.txt"


def test_it_is_a_mapping_in_the_order_of_first_setting() -> None:
    coupler = Coupler()
    coupler["b"] = "b.txt"
    coupler.update({"a": Path("a.txt")}, c="c.txt")
    coupler.set("b", "other.txt")
    assert list(coupler) == ["b", "a", "c"]
    assert (len(coupler), "a" in coupler, "z" in coupler, "a b" in coupler) == (3, True, False, False)
    assert dict(coupler) == {"b": "other.txt", "a": Path("a.txt"), "c": "c.txt"}
    assert next(iter(coupler.items())) == ("b", "other.txt")


def test_reading_says_what_is_there() -> None:
    coupler = Coupler()
    coupler.set("a", "a.txt")
    assert (coupler.get("b"), coupler.get("b", 3)) == (None, 3)
    with pytest.raises(errors.MissingKeyError, match=r"'b'\. Available: 'a'.*Set it"):
        coupler.require("b")
    with pytest.raises(errors.MissingKeyError):
        coupler["b"]
    with pytest.raises(errors.KeyNameError):
        coupler.get("a b")


@pytest.mark.parametrize("value", [None, 3, {"x": 1}, b"bytes", ["a"]])
def test_only_what_stands_for_a_file_can_be_set(value: Any) -> None:
    coupler = Coupler()
    with pytest.raises(errors.UsageTypeError, match="'w' takes an Artifact, a path"):
        coupler.update({"ok": "x", "w": value})
    assert len(coupler) == 0  # all or none


@pytest.mark.parametrize("key", ["", ".a", "-a", "/a", "a b", "a@b", "a\n", "ä", "a..b", "a//b", "x" * 257])
def test_keys_follow_the_rules(key: str) -> None:
    with pytest.raises(errors.KeyNameError, match="not a valid coupler key"):
        Coupler().set(key, "x")


def test_paths_of_every_kind_of_value(tracker: Tracker, here: Path) -> None:
    with tracker.scenario("s") as sc:
        artifact = sc.run(lambda: made(), name="m", outputs=["o"]).output
        assert artifact is not None
        sc.coupler.update(text="x.txt", path=Path("y.txt"), alike=Alike())
        assert sc.coupler.path("o") == artifact.path
        assert sc.coupler.path("text") == here / "x.txt"
        assert sc.coupler.path("path") == here / "y.txt"
        assert sc.coupler.path("alike") == Path("/data/file.txt")
        assert sc.coupler.path("none", required=False) is None
        with pytest.raises(errors.MissingKeyError):
            sc.coupler.path("none")


def test_what_is_set_in_a_scenario_is_recorded_and_reads_are_not(tracker: Tracker, here: Path) -> None:
    with tracker.scenario("s") as sc:
        sc.coupler.set("given", "x.txt")
        sc.coupler.set_from_artifact("alike", Alike())
        before = tracker.project.log.head().seq
        _ = (sc.coupler.get("given"), list(sc.coupler), sc.coupler.path("given"), sc.coupler.missing_declared_outputs())
        assert tracker.project.log.head().seq == before
    sets = [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, CouplerSet)]
    assert [(event.key, event.value) for event in sets] == [
        ("given", str(here / "x.txt")),
        ("alike", "data://file.txt"),
    ]


def test_after_the_scenario_the_coupler_is_readable_and_records_no_more(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(lambda: made(), name="m", outputs=["o"])
    before = tracker.project.log.head().seq
    sc.coupler.set("later", "x.txt")
    assert list(sc.coupler) == ["o", "later"]
    assert tracker.project.log.head().seq == before


def test_declared_outputs_and_descriptions(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.declare_outputs(" a ", "b", required={"b": True}, description={"a": "first"})
        sc.require_outputs("c")
        sc.declare_outputs("c", required=False, description={"a": "again", "c": "third"})
        assert sc.coupler.missing_declared_outputs() == ["b", "c"]
        assert sc.coupler.describe_outputs() == {"a": "first", "c": "third"}
        sc.coupler.update(b="b.txt", c="c.txt")
        assert sc.coupler.missing_declared_outputs() == []
    declared = [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, OutputsDeclared)]
    assert declared[0].required == {"a": False, "b": True}


@pytest.mark.parametrize(
    ("names", "options", "kind"),
    [
        ((3,), {}, errors.UsageTypeError),
        ((" ",), {}, errors.KeyNameError),
        (("a b",), {}, errors.KeyNameError),
        ((), {"required": True}, errors.UsageTypeError),
    ],
)
def test_a_declaration_held_wrong_is_refused(names: Any, options: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Coupler().declare_outputs(*names, **options)


def test_a_key_that_was_never_declared_warns_once_where_asked() -> None:
    coupler = Coupler()
    coupler.declare_outputs("a", warn_undefined=True)
    coupler.set("a", "x")
    with pytest.warns(ConsistWarning, match="'b' was set but never declared"):
        coupler.set("b", "x")
    coupler.set("b", "y")


def test_collecting_by_keys() -> None:
    coupler = Coupler()
    assert coupler.collect_by_keys({"a": "1", "b": "2"}, "b", prefix="year_") == {"year_b": "2"}
    assert dict(coupler) == {"year_b": "2"}
    assert coupler.collect_by_keys({"a": "1"}) == {}
    with pytest.raises(errors.MissingKeyError, match="'z'"):
        coupler.collect_by_keys({"a": "1"}, "a", "z")
    with pytest.raises(errors.UsageTypeError, match="mapping"):
        coupler.collect_by_keys(["a"], "a")  # type: ignore[arg-type]
    with pytest.raises(errors.KeyNameError):
        coupler.collect_by_keys({"a": "1"}, "a", prefix="-")
    assert dict(coupler) == {"year_b": "2"}


def test_a_view_is_the_coupler_below_a_namespace() -> None:
    coupler = Coupler()
    coupler.set("top", "t")
    view = coupler.view(" /2030/ ")
    view["pop"] = "p"
    view.view("skims").set("am", "a")
    view.update(jobs="j")
    assert list(coupler) == ["top", "2030/pop", "2030/skims/am", "2030/jobs"]
    assert list(view) == ["pop", "skims/am", "jobs"]
    assert (len(view), "pop" in view, "top" in view, "a b" in view, view.namespace) == (3, True, False, False, "2030")
    assert (view["pop"], view.get("nope"), view.qualify("x")) == ("p", None, "2030/x")
    with pytest.raises(errors.MissingKeyError, match="'2030/nope'"):
        view.require("nope")
    view.require_outputs("pop", "emp", description={"emp": "jobs by zone"})
    assert view.missing_declared_outputs() == ["emp"]
    assert coupler.missing_declared_outputs() == ["2030/emp"]
    assert view.describe_outputs() == {"emp": "jobs by zone"}
    assert view.collect_by_keys({"a": "1"}, "a", prefix="x_") == {"x_a": "1"}
    assert view.path("pop") == Path.cwd() / "p"


@pytest.mark.parametrize(
    ("namespace", "kind"), [(3, errors.UsageTypeError), ("", errors.KeyNameError), ("..", errors.KeyNameError)]
)
def test_a_namespace_held_wrong_is_refused(namespace: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Coupler().view(namespace)
