"""Every place that takes a name, with names of all kinds: each works through a round trip, or is refused by an error of
ours that says what to do, before anything is recorded."""

import os
import warnings
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import consist_es as consist
from consist_es import ConsistError, OutputSet, Tracker
from tests.support.api import made

ODD = [
    "",
    " ",
    "\t",
    "a\n",
    "a ",
    " a",
    ".",
    "..",
    "../x",
    "/",
    "/etc/x",
    "a/b",
    "a//b",
    "a\\b",
    "a:b",
    "~",
    "$HOME",
    "%41",
    "%",
    "{x}",
    "a#2",
    "#",
    "-",
    "--help",
    "*",
    "?",
    "[a]",
    "a'b",
    'a"b',
    "a;b",
    "NULL",
    "None",
    "con",
    "é",
    "e\u0301",
    "ﬁ",
    "日本",
    "😀",
    "\u202eabc",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\x00",
    "a\x00b",
    "\x1b[31m",
    "\x7f",
    "\ud800",
    "a\udcff",
    os.fsdecode(b"M\xfcnchen"),
    "x" * 255,
    "x" * 256,
    "x" * 257,
    "x" * 5000,
    "é" * 200,
    "$int",
    "$$",
    "__class__",
]
NAMES = st.sampled_from(ODD) | st.text(max_size=300) | st.text(st.characters(categories=["Cs", "Cc", "Cf", "Zs", "L"]))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """One tracker for all examples, in a folder that is the working directory."""
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with Tracker(run_dir="runs", db_path="project.db", sync="os", observe="off") as tracker:
            yield tracker


def step() -> Path:
    return made("o")


def configured(config: Any) -> Path:
    return made("o")


def reads(z: Path) -> Path:
    return made("o", z.name.encode("utf-8", "surrogateescape").hex())


COUNT = iter(range(10**9))


def fresh() -> dict[str, int]:
    return {"n": next(COUNT)}


def as_step(tracker: Tracker, name: str) -> None:
    run = tracker.run(step, name, config=fresh()).run
    assert run.name == name
    assert [found.key for found in tracker.find_runs(name=name, limit=1)] == [run.key]


def as_model(tracker: Tracker, name: str) -> None:
    run = tracker.run(step, model=name, config=fresh()).run
    assert [found.key for found in tracker.find_runs(model=name, limit=1)] == [run.key]


def as_tag(tracker: Tracker, name: str) -> None:
    run = tracker.run(step, tags=[name], config=fresh()).run
    assert [found.key for found in tracker.find_runs(tags=[name], limit=1)] == [run.key]


def as_run_id(tracker: Tracker, name: str) -> None:
    run = tracker.run(step, run_id=name, config=fresh()).run
    found = tracker.get_run(run.id)
    assert found is not None
    assert (found.key, found.run_id) == (run.key, name)


def as_phase(tracker: Tracker, name: str) -> None:
    run = tracker.run(step, phase=name, stage=name, description=name, config=fresh()).run
    found = tracker.get_run(run.id)
    assert found is not None
    assert (found.phase, found.stage, found.description) == (name, name, name)


def as_scenario(tracker: Tracker, name: str) -> None:
    with tracker.scenario(name) as sc:
        run = sc.run(step, config=fresh()).run
    assert run.parent_run_id == sc.run_id
    found = tracker.get_run(sc.run_id)
    assert found is not None
    assert found.name == name


def as_output(tracker: Tracker, name: str) -> None:
    assert list(tracker.run(step, outputs=[name], config=fresh()).outputs) == [name]


def as_returned_key(tracker: Tracker, name: str) -> None:
    assert list(tracker.run(lambda: {name: made("o")}, "returned", config=fresh()).outputs) == [name]


def as_logged_key(tracker: Tracker, name: str) -> None:
    def logs() -> None:
        consist.log_output(made("o"), name)

    run = tracker.run(logs, config=fresh()).run
    assert list(tracker.get_run_outputs(run.id)) == [name]


def as_coupler_key(tracker: Tracker, name: str) -> None:
    with tracker.scenario("coupled") as sc:
        sc.coupler.set(name, "somewhere.csv")
        assert name in sc.coupler


def as_input_role(tracker: Tracker, name: str) -> None:
    Path("role.csv").write_text("a\n1\n")
    result = tracker.run(step, inputs={name: "role.csv"}, config=fresh())
    assert list(tracker.get_run_inputs(result.run.id)) == [name]


def as_config_key(tracker: Tracker, name: str) -> None:
    config = {**fresh(), name: name, "deep": {name: [name]}}
    run = tracker.run(configured, config=config).run
    assert tracker.run(configured, config=config).cache_hit
    assert tracker.get_run(run.id) is not None


def as_metadata(tracker: Tracker, name: str) -> None:
    def logs() -> None:
        consist.log_meta(**{name: name})
        consist.log_output(made("o"), "o", meta={name: name})

    run = tracker.run(logs, config=fresh()).run
    found = tracker.get_run(run.id)
    assert found is not None
    assert found.meta[name] == name
    assert tracker.get_run_outputs(run.id)["o"].meta == {name: name}


def as_facet(tracker: Tracker, name: str) -> None:
    run = tracker.run(step, facet={name: name}, config=fresh()).run
    found = tracker.get_run(run.id)
    assert found is not None
    assert found.facet is not None


def as_file(tracker: Tracker, name: str) -> None:
    """An input file of that name."""
    path = Path("files") / "one"
    path.mkdir(parents=True, exist_ok=True)
    try:
        (path / name).write_text("a\n1\n")
        there = (path / name).resolve().is_relative_to(path.resolve())
    except (OSError, ValueError):
        there = True  # whoever is given it must say so
    if there:
        result = tracker.run(reads, inputs={"z": f"files/one/{name}"}, config=fresh())
        assert tracker.get_run_inputs(result.run.id)["z"].path.resolve() == Path(f"files/one/{name}").resolve()


def as_made_file(tracker: Tracker, name: str) -> None:
    """A file of that name that a step makes, and its folder."""

    def makes() -> Path:
        path = consist.output_path(name, "txt")
        path.write_text("x")
        return path

    first = tracker.run(makes, config={"name": name}, outputs=["o"])
    assert tracker.run(makes, config={"name": name}, outputs=["o"]).cache_hit
    assert first.outputs["o"].path.read_text() == "x"


def as_output_path(tracker: Tracker, name: str) -> None:
    def makes(place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x")

    place = Path("made").absolute() / name
    options = consist.ExecutionOptions(runtime_kwargs={"place": place})
    try:
        allowed = place.resolve().is_relative_to(Path("made").absolute().resolve()) and place != Path("made").absolute()
    except (OSError, ValueError):
        allowed = True
    if allowed:
        result = tracker.run(makes, "out", output_paths={"o": place}, config=fresh(), execution_options=options)
        assert result.outputs["o"].path == place


def as_captured(tracker: Tracker, name: str) -> None:
    folder = Path("captured") / str(next(COUNT))
    made_it = []

    def makes() -> None:
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")
            made_it.append((folder / name).resolve().is_relative_to(folder.resolve()))
        except (OSError, ValueError):
            (folder / "other").write_text("x")

    options = consist.CacheOptions(cache_mode="overwrite")
    found = tracker.run(makes, capture_dir=folder, capture_pattern="**/*", cache_options=options).outputs
    assert len(found) == 1 or made_it != [True]


def as_set(tracker: Tracker, name: str) -> None:
    def makes() -> None:
        consist.output_path("set/a", "csv").write_text("a")

    found = tracker.run(makes, output_sets={name: OutputSet("set", "*.csv")}, config=fresh()).outputs
    assert name in found


def as_mount(tracker: Tracker, name: str) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os", mounts={name: "."}, observe="off") as other:
        assert other.run(step, config=fresh()).outputs


def as_database(tracker: Tracker, name: str) -> None:
    folder = Path("databases")
    folder.mkdir(exist_ok=True)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return
    with Tracker(run_dir=folder / f"runs {name}", db_path=folder / f"{name}.db", sync="os", observe="off") as other:
        first = other.run(step, config={"n": 1})
        assert other.run(step, config={"n": 1}).cache_hit
        assert first.output is not None
        assert first.output.path.exists()


def as_pattern(tracker: Tracker, name: str) -> None:
    """A pattern of what is captured."""

    def makes() -> None:
        (Path("patterns") / "a.csv").write_text("a")

    options = consist.CacheOptions(cache_mode="overwrite")
    tracker.run(makes, capture_dir="patterns", capture_pattern=name, cache_options=options)


PLACES: dict[str, Callable[[Tracker, str], None]] = {
    name.removeprefix("as_"): call for name, call in dict(globals()).items() if name.startswith("as_")
}


def tried(tracker: Tracker, place: str, name: str) -> str:
    """How it went: ``""``, or what was said. Anything that is no error of ours is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            PLACES[place](tracker, name)
        except ConsistError as error:
            return str(error)
    return ""


@pytest.mark.parametrize("place", PLACES)
def test_odd_names_work_or_are_refused_by_errors_of_ours(shared: Tracker, place: str) -> None:
    wrong = {}
    for name in ODD:
        try:
            said = tried(shared, place, name)
        except Exception as error:  # noqa: BLE001  all of them are told at once
            wrong[name[:20]] = f"{type(error).__name__}: {error}"[:200]
            continue
        assert said == "" or (said.isprintable() or "\n" in said), name
    assert wrong == {}
    assert [run.id for run in shared.find_runs(status="running", limit=None)] == []


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=NAMES)
def test_any_names_do(shared: Tracker, place: str, name: str) -> None:
    tried(shared, place, name)


# ---------------------------------------------------------------- what a step returns


@pytest.mark.parametrize(
    "kind", [dict, OrderedDict, UserDict, MappingProxyType, lambda items: defaultdict(list, items)]
)
def test_a_step_may_return_any_mapping(tracker: Tracker, kind: Callable[[dict[str, Path]], Any]) -> None:
    def returns() -> Any:
        return kind({"a": made("a"), "b": made("b")})

    assert list(tracker.run(returns, outputs=["a", "b"]).outputs) == ["a", "b"]
    assert list(tracker.run(returns, config={"n": 1}).outputs) == ["a", "b"]
