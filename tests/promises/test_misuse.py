"""Every row of docs/misuse.md: what the user did, the exception, its message, and what was recorded.

A row is a function below; its docstring is the first column. The step or scenario that is held wrong is named "bad".
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import (
    BindingResult,
    CacheOptions,
    Coupler,
    ExecutionOptions,
    OutputPolicyOptions,
    RunContext,
    Tracker,
    errors,
)
from tests.support.api import PATHS, ROOT, made

PAGE = ROOT / "docs" / "misuse.md"
Use = Callable[[Tracker, Path], object]
ROWS: dict[str, list[tuple[Use, type[Exception]]]] = {}
"""Section of the page -> its rows: what is done, and the exception that the specification asks for."""


def row(section: str, kind: type[Exception]) -> Callable[[Use], Use]:
    def add(use: Use) -> Use:
        ROWS.setdefault(section, []).append((use, kind))
        return use

    return add


def step() -> Path:
    return made()


def bad() -> Path:
    return made()


def takes(x: Path) -> Path:
    return made()


def plain(x: Any) -> Path:
    return made()


def two(tracker: Tracker) -> consist.RunResult:
    return tracker.run(lambda: {"a": made("a"), "b": made("b")}, name="two", outputs=["a", "b"])


# ---------------------------------------------------------------- calling a step

CALL = "Calling a step"


@row(CALL, RuntimeError)
def not_entered(tracker: Tracker, here: Path) -> None:
    """`sc.run(…)` before `with`"""
    tracker.scenario("s").run(bad)


@row(CALL, RuntimeError)
def exited(tracker: Tracker, here: Path) -> None:
    """`sc.trace(…)` after the `with` block"""
    with tracker.scenario("s") as sc:
        pass
    sc.trace("bad").__enter__()


@row(CALL, TypeError)
def config_plan(tracker: Tracker, here: Path) -> None:
    """`run(config_plan=…)`: the keyword is `adapter`"""
    tracker.run(bad, config_plan=object())  # type: ignore[call-arg]


@row(CALL, TypeError)
def hash_inputs(tracker: Tracker, here: Path) -> None:
    """`trace(hash_inputs=…)`: the keyword is `identity_inputs`"""
    tracker.trace("bad", hash_inputs=[])  # type: ignore[call-arg]


@row(CALL, TypeError)
def flat_option(tracker: Tracker, here: Path) -> None:
    """`consist.run(cache_mode=…)`, an option outside its group"""
    consist.run(bad, tracker=tracker, cache_mode="overwrite")  # type: ignore[call-arg]


@row(CALL, ValueError)
def no_name(tracker: Tracker, here: Path) -> None:
    """`sc.run()` without function and name"""
    with tracker.scenario("s") as sc:
        sc.run()


@row(CALL, ValueError)
def no_function(tracker: Tracker, here: Path) -> None:
    """`run(name=…)` without a function"""
    tracker.run(name="bad")


@row(CALL, ValueError)
def nameless(tracker: Tracker, here: Path) -> None:
    """An object with `__call__` and no name as a step"""

    class Bad:
        def __call__(self) -> None:
            raise AssertionError("never called")

    tracker.run(Bad())


@row(CALL, TypeError)
def text_function(tracker: Tracker, here: Path) -> None:
    """The name of a function instead of the function"""
    tracker.run("bad")  # type: ignore[arg-type]


@row(CALL, ValueError)
def blank_name(tracker: Tracker, here: Path) -> None:
    """A blank name"""
    tracker.run(bad, name=" ")


@row(CALL, ValueError)
def blank_model(tracker: Tracker, here: Path) -> None:
    """An empty model"""
    tracker.run(bad, model="")


@row(CALL, ValueError)
def numbered_id(tracker: Tracker, here: Path) -> None:
    """`run_id="bad#2"`: attempts are numbered by the library"""
    tracker.run(bad, run_id="bad#2")


@row(CALL, TypeError)
def text_year(tracker: Tracker, here: Path) -> None:
    """A year that is no int"""
    tracker.run(bad, year="2030")  # type: ignore[arg-type]


@row(CALL, TypeError)
def coroutine(tracker: Tracker, here: Path) -> None:
    """`run` of an `async def` step"""

    async def bad() -> None:
        raise AssertionError("never called")

    tracker.run(bad)


@row(CALL, TypeError)
def generator(tracker: Tracker, here: Path) -> None:
    """A generator function as a step"""

    def bad() -> Iterator[int]:
        yield 1

    tracker.run(bad)


@row(CALL, RuntimeError)
def step_in_step(tracker: Tracker, here: Path) -> None:
    """A step started inside another step"""
    tracker.run(lambda: tracker.run(bad), name="outer")


@row(CALL, RuntimeError)
def reading_tracker(tracker: Tracker, here: Path) -> None:
    """A step on a tracker opened with `access_mode="read_only"`"""
    tracker.run(step)
    with Tracker(run_dir="runs", db_path="project.db", access_mode="read_only") as reader:
        reader.run(bad)


@row(CALL, ValueError)
def runtime_kwargs(tracker: Tracker, here: Path) -> None:
    """A runtime kwarg missing that the step requires"""
    tracker.run(consist.require_runtime_kwargs("handle")(lambda handle: None), name="bad")


@row(CALL, TypeError)
def missing_argument(tracker: Tracker, here: Path) -> None:
    """A parameter that nothing supplies"""
    tracker.run(takes, name="bad")


@row(CALL, TypeError)
def unknown_argument(tracker: Tracker, here: Path) -> None:
    """A runtime kwarg without a parameter"""
    tracker.run(bad, execution_options=ExecutionOptions(runtime_kwargs={"handel": 1}))


@row(CALL, ValueError)
def no_context(tracker: Tracker, here: Path) -> None:
    """`inject_context=True` and no parameter for it"""
    tracker.run(bad, execution_options=ExecutionOptions(inject_context=True))


@row(CALL, RuntimeError)
def no_source(tracker: Tracker, here: Path) -> None:
    """A code identity that cannot be had"""
    tracker.run(print, name="bad", cache_options=CacheOptions(code_identity="callable_module"))


@row(CALL, KeyError)
def unknown_parent(tracker: Tracker, here: Path) -> None:
    """A parent run that does not exist"""
    tracker.run(step)
    tracker.run(bad, parent_run_id="nope")


@row(CALL, ZeroDivisionError)
def own_exception(tracker: Tracker, here: Path) -> None:
    """The step's own exception: it comes through unchanged"""
    tracker.run(lambda: 1 // 0, name="bad")


# ---------------------------------------------------------------- options

OPTIONS = "Options"


@row(OPTIONS, ValueError)
def cache_mode(tracker: Tracker, here: Path) -> None:
    """A misspelt cache mode"""
    tracker.run(bad, cache_options=CacheOptions(cache_mode="resue"))


@row(OPTIONS, ValueError)
def trace_mode(tracker: Tracker, here: Path) -> None:
    """A misspelt cache mode of a trace"""
    tracker.trace("bad", cache_mode="on").__enter__()


@row(OPTIONS, ValueError)
def hydration(tracker: Tracker, here: Path) -> None:
    """A misspelt hydration mode"""
    tracker.run(bad, cache_options=CacheOptions(cache_hydration="outputs"))


@row(OPTIONS, ValueError)
def validation(tracker: Tracker, here: Path) -> None:
    """A misspelt validation mode"""
    tracker.run(bad, cache_options=CacheOptions(validate_cached_outputs="full"))


@row(OPTIONS, ValueError)
def failure_alone(tracker: Tracker, here: Path) -> None:
    """`cache_hydration_failure="miss"` with another hydration"""
    tracker.run(bad, cache_options=CacheOptions(cache_hydration="metadata", cache_hydration_failure="miss"))


@row(OPTIONS, ValueError)
def code_mode(tracker: Tracker, here: Path) -> None:
    """A misspelt code identity"""
    tracker.run(bad, cache_options=CacheOptions(code_identity="git"))


@row(OPTIONS, TypeError)
def extra_deps(tracker: Tracker, here: Path) -> None:
    """A single str for extra dependencies"""
    tracker.run(bad, cache_options=CacheOptions(code_identity_extra_deps="a.py"))  # type: ignore[arg-type]


@row(OPTIONS, ValueError)
def binding_mode(tracker: Tracker, here: Path) -> None:
    """A misspelt input binding"""
    tracker.run(bad, execution_options=ExecutionOptions(input_binding="path"))


@row(OPTIONS, ValueError)
def executor(tracker: Tracker, here: Path) -> None:
    """An executor that there is not"""
    tracker.run(bad, execution_options=ExecutionOptions(executor="slurm"))


@row(OPTIONS, ValueError)
def container(tracker: Tracker, here: Path) -> None:
    """A container and a function"""
    tracker.run(bad, execution_options=ExecutionOptions(container=consist.Container("sim")))


@row(OPTIONS, ValueError)
def input_paths_alone(tracker: Tracker, here: Path) -> None:
    """`input_paths` without `input_materialization`"""
    tracker.run(bad, execution_options=ExecutionOptions(input_paths={"x": "fort.10"}))


@row(OPTIONS, ValueError)
def policy(tracker: Tracker, here: Path) -> None:
    """A misspelt output policy"""
    tracker.run(bad, output_policy=OutputPolicyOptions(output_missing="raise"))


@row(OPTIONS, TypeError)
def dict_options(tracker: Tracker, here: Path) -> None:
    """A dict where an option group is expected"""
    tracker.run(bad, cache_options={"cache_mode": "reuse"})  # type: ignore[arg-type]


# ---------------------------------------------------------------- inputs

INPUTS = "Inputs"


@row(INPUTS, ValueError)
def missing_file(tracker: Tracker, here: Path) -> None:
    """An input file that is not there"""
    tracker.run(takes, name="bad", inputs={"x": "nope.csv"})


@row(INPUTS, ValueError)
def neither(tracker: Tracker, here: Path) -> None:
    """In a scenario: a str that is neither coupler key nor file"""
    with tracker.scenario("s") as sc:
        sc.run(takes, name="bad", inputs={"x": "skims"})


@row(INPUTS, KeyError)
def missing_key(tracker: Tracker, here: Path) -> None:
    """A coupler key that is not set"""
    with tracker.scenario("s") as sc:
        sc.run(step, outputs=["trips"])
        sc.run(takes, name="bad", input_keys=["trip"])


@row(INPUTS, ValueError)
def keys_alone(tracker: Tracker, here: Path) -> None:
    """`input_keys` outside a scenario"""
    tracker.run(takes, name="bad", input_keys=["x"])


@row(INPUTS, ValueError)
def binding_and_inputs(tracker: Tracker, here: Path) -> None:
    """`binding=` together with `inputs=`"""
    with tracker.scenario("s") as sc:
        sc.run(takes, name="bad", inputs={"x": __file__}, binding=BindingResult())


@row(INPUTS, TypeError)
def dict_binding(tracker: Tracker, here: Path) -> None:
    """A dict as `binding=`"""
    with tracker.scenario("s") as sc:
        sc.run(takes, name="bad", binding={"inputs": {}})  # type: ignore[arg-type]


@row(INPUTS, TypeError)
def number_name(tracker: Tracker, here: Path) -> None:
    """An input name that is no str"""
    tracker.run(takes, name="bad", inputs={1: __file__})  # type: ignore[dict-item]


@row(INPUTS, TypeError)
def value_input(tracker: Tracker, here: Path) -> None:
    """A value that is no file as an input"""
    tracker.run(plain, name="bad", inputs={"x": 3.5})


@row(INPUTS, ValueError)
def unnamed(tracker: Tracker, here: Path) -> None:
    """A list of inputs that are to be bound"""
    tracker.run(takes, name="bad", inputs=[__file__], execution_options=PATHS)


@row(INPUTS, ValueError)
def several_outputs(tracker: Tracker, here: Path) -> None:
    """A result with several outputs as one input"""
    tracker.run(takes, name="bad", inputs={"x": two(tracker)})


@row(INPUTS, ValueError)
def no_outputs(tracker: Tracker, here: Path) -> None:
    """A result without outputs as an input"""
    tracker.run(takes, name="bad", inputs={"x": tracker.run(lambda: None, name="none")})


@row(INPUTS, KeyError)
def wrong_ref(tracker: Tracker, here: Path) -> None:
    """`ref` of a key that the result does not have"""
    consist.ref(two(tracker), key="c")


@row(INPUTS, ValueError)
def gone_artifact(tracker: Tracker, here: Path) -> None:
    """An artifact whose file is gone"""
    made_by = tracker.run(step, outputs=["o"])
    made_by.output_path("o").unlink()
    tracker.run(takes, name="bad", inputs={"x": made_by})


@row(INPUTS, ValueError)
def unloadable(tracker: Tracker, here: Path) -> None:
    """A file of a format that nothing loads, with `input_binding="loaded"`"""
    (here / "x.txt").write_text("x")
    loaded = ExecutionOptions(input_binding="loaded")
    tracker.run(plain, name="bad", inputs={"x": "x.txt"}, execution_options=loaded)


@row(INPUTS, ValueError)
def loaded_folder(tracker: Tracker, here: Path) -> None:
    """A folder of files, with `input_binding="loaded"`"""
    (here / "zones").mkdir()
    (here / "zones" / "a.csv").write_text("a\n1\n")
    loaded = ExecutionOptions(input_binding="loaded")
    tracker.run(plain, name="bad", inputs={"x": "zones"}, execution_options=loaded)


@row(INPUTS, ImportError)
def missing_extra(tracker: Tracker, here: Path) -> None:
    """A format whose package is not installed"""
    (here / "x.omx").write_bytes(b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "h5py", None)
        tracker.run(plain, name="bad", inputs={"x": "x.omx"})


@row(INPUTS, ValueError)
def unmounted(tracker: Tracker, here: Path) -> None:
    """A URI whose scheme is not mounted"""
    tracker.run(takes, name="bad", inputs={"x": "data://x.csv"})


@row(INPUTS, ValueError)
def nothing_mounted(tracker: Tracker, here: Path) -> None:
    """A URI below a mount whose folder is not there"""
    with Tracker(run_dir="runs", db_path="project.db", mounts={"data": "dtaa"}) as other:
        other.run(takes, name="bad", inputs={"x": "data://x.csv"})


@row(INPUTS, ValueError)
def one_identity_input(tracker: Tracker, here: Path) -> None:
    """A single path as `identity_inputs`"""
    tracker.run(bad, identity_inputs="settings.yaml")


@row(INPUTS, TypeError)
def identity_pair(tracker: Tracker, here: Path) -> None:
    """A tuple that is not (label, path)"""
    tracker.run(bad, identity_inputs=[("settings",)])  # type: ignore[list-item]


@row(INPUTS, ValueError)
def identity_missing(tracker: Tracker, here: Path) -> None:
    """An identity input that is not there"""
    tracker.run(bad, identity_inputs=[("settings", "settings.yaml")])


@row(INPUTS, ValueError)
def staging_outside(tracker: Tracker, here: Path) -> None:
    """A staged input outside the run directory and the mounts"""
    (here / "x.txt").write_text("x")
    options = ExecutionOptions(
        input_binding="paths", input_materialization="requested", input_paths={"x": here / "fort.10"}
    )
    tracker.run(takes, name="bad", inputs={"x": "x.txt"}, execution_options=options)


# ---------------------------------------------------------------- config

CONFIG = "Config, facets and metadata"


@row(CONFIG, TypeError)
def list_config(tracker: Tracker, here: Path) -> None:
    """A config that is no mapping or record"""
    tracker.run(bad, config=[1, 2])


@row(CONFIG, TypeError)
def number_key(tracker: Tracker, here: Path) -> None:
    """A config key that is no str"""
    tracker.run(bad, config={2030: 1})


@row(CONFIG, TypeError)
def formless(tracker: Tracker, here: Path) -> None:
    """A config value without a canonical form"""
    tracker.run(bad, config={"model": {"handle": object()}})


@row(CONFIG, ValueError)
def long_value(tracker: Tracker, here: Path) -> None:
    """A config value that is too long"""
    tracker.run(bad, config={"table": "x" * 1_000_001})


@row(CONFIG, KeyError)
def facet_key(tracker: Tracker, here: Path) -> None:
    """`facet_from` of a key that the config does not have"""
    tracker.run(bad, config={"growth": 1.5}, facet_from=["grwoth"])


@row(CONFIG, ValueError)
def facet_without_config(tracker: Tracker, here: Path) -> None:
    """`facet_from` without a config"""
    tracker.run(bad, facet_from=["growth"])


@row(CONFIG, TypeError)
def formless_meta(tracker: Tracker, here: Path) -> None:
    """Metadata without a plain form, inside a step"""
    tracker.run(lambda: consist.log_meta(handle=object()), name="bad")


# ---------------------------------------------------------------- outputs

OUTPUTS = "Outputs"


@row(OUTPUTS, RuntimeError)
def nothing_returned(tracker: Tracker, here: Path) -> None:
    """A declared output that the step did not make"""
    tracker.run(lambda: None, name="bad", outputs=["trips"])


@row(OUTPUTS, RuntimeError)
def returned_nowhere(tracker: Tracker, here: Path) -> None:
    """A returned path where nothing is"""
    tracker.run(lambda: Path("nowhere.csv"), name="bad", outputs=["trips"])


@row(OUTPUTS, RuntimeError)
def relative_output(tracker: Tracker, here: Path) -> None:
    """A relative `output_paths` file written to the working directory"""

    def bad() -> None:
        Path("trips.csv").write_text("a\n1\n")

    tracker.run(bad, output_paths={"trips": "trips.csv"})


@row(OUTPUTS, RuntimeError)
def too_few(tracker: Tracker, here: Path) -> None:
    """A list of another length than `outputs`"""
    with pytest.warns(consist.ConsistWarning, match="returned 1 value for 2 outputs"):
        tracker.run(lambda: [made()], name="bad", outputs=["a", "b"])


@row(OUTPUTS, RuntimeError)
def mismatch(tracker: Tracker, here: Path) -> None:
    """A list of another length than `outputs`, under policy error"""
    tracker.run(
        lambda: [made()], name="bad", outputs=["a", "b"], output_policy=OutputPolicyOptions(output_mismatch="error")
    )


@row(OUTPUTS, TypeError)
def number_returned(tracker: Tracker, here: Path) -> None:
    """A returned value that cannot be recorded"""
    tracker.run(lambda: 3, name="bad", outputs=["trips"])


@row(OUTPUTS, ValueError)
def bad_key(tracker: Tracker, here: Path) -> None:
    """A declared key that breaks the key rules"""
    tracker.run(bad, outputs=["my trips"])


@row(OUTPUTS, ValueError)
def returned_key(tracker: Tracker, here: Path) -> None:
    """A returned key that breaks the key rules"""
    tracker.run(lambda: {"a": made("a"), "my trips": made("b")}, name="bad", outputs=["a"])


@row(OUTPUTS, TypeError)
def paths_as_outputs(tracker: Tracker, here: Path) -> None:
    """A mapping of key to path as `outputs`"""
    tracker.run(bad, outputs={"trips": "trips.csv"})  # type: ignore[arg-type]


@row(OUTPUTS, TypeError)
def unordered_outputs(tracker: Tracker, here: Path) -> None:
    """A set as `outputs`"""
    tracker.run(bad, outputs={"a", "b"})  # type: ignore[arg-type]


@row(OUTPUTS, ValueError)
def key_twice(tracker: Tracker, here: Path) -> None:
    """A key declared twice"""
    tracker.run(bad, outputs=["a", "a"])


@row(OUTPUTS, ValueError)
def output_escape(tracker: Tracker, here: Path) -> None:
    """An output path that leaves the run's folder"""
    tracker.run(bad, output_paths={"o": "../o.csv"})


@row(OUTPUTS, TypeError)
def number_path(tracker: Tracker, here: Path) -> None:
    """A value of `output_paths` that is no path"""
    tracker.run(bad, output_paths={"o": 3})  # type: ignore[dict-item]


@row(OUTPUTS, ValueError)
def capture_and_return(tracker: Tracker, here: Path) -> None:
    """`capture_dir` and a returned value"""
    tracker.run(bad, capture_dir="out")


@row(OUTPUTS, ValueError)
def keyless(tracker: Tracker, here: Path) -> None:
    """`log_output(path)` without a key, inside a step"""
    tracker.run(lambda: consist.log_output("trips.csv"), name="bad")


@row(OUTPUTS, TypeError)
def misspelt_keyword(tracker: Tracker, here: Path) -> None:
    """`log_output(…, drvier="csv")`, inside a step"""
    tracker.run(lambda: consist.log_output("trips.csv", "trips", drvier="csv"), name="bad")


@row(OUTPUTS, TypeError)
def foreign_keyword(tracker: Tracker, here: Path) -> None:
    """A keyword of LBNL's consist that does nothing here, inside a step"""
    tracker.run(lambda: consist.log_output("trips.csv", "trips", reuse_if_unchanged=True), name="bad")


@row(OUTPUTS, ValueError)
def sideways(tracker: Tracker, here: Path) -> None:
    """`log_artifact(direction="sideways")`, inside a step"""
    tracker.run(lambda: consist.log_artifact("trips.csv", "trips", direction="sideways"), name="bad")


@row(OUTPUTS, ValueError)
def path_escape(tracker: Tracker, here: Path) -> None:
    """`output_path("../trips")`, inside a step"""
    tracker.run(lambda: consist.output_path("../trips"), name="bad")


# ---------------------------------------------------------------- scenarios

SCENARIOS = "Scenarios and couplers"


@row(SCENARIOS, RuntimeError)
def entered_twice(tracker: Tracker, here: Path) -> None:
    """A scenario entered while it is open"""
    with tracker.scenario("s") as sc, sc:
        pass


@row(SCENARIOS, RuntimeError)
def block_entered_twice(tracker: Tracker, here: Path) -> None:
    """A block of `trace` entered a second time"""
    block = tracker.trace("keeper")
    with block, block:
        pass


@row(SCENARIOS, RuntimeError)
def early_input(tracker: Tracker, here: Path) -> None:
    """`add_input` before `with`"""
    tracker.scenario("s").add_input(__file__, "raw")


@row(SCENARIOS, RuntimeError)
def late_input(tracker: Tracker, here: Path) -> None:
    """`add_input` after a step"""
    with tracker.scenario("s") as sc:
        sc.run(step)
        sc.add_input(__file__, "raw")


@row(SCENARIOS, ValueError)
def missing_input(tracker: Tracker, here: Path) -> None:
    """`add_input` of a file that is not there"""
    with tracker.scenario("s") as sc:
        sc.add_input("nope.csv", "raw")


@row(SCENARIOS, RuntimeError)
def required_missing(tracker: Tracker, here: Path) -> None:
    """A required output that no step made"""
    with tracker.scenario("bad", require_outputs=["trips", "skims"]) as sc:
        sc.run(step, outputs=["o"])


@row(SCENARIOS, TypeError)
def text_step_tags(tracker: Tracker, here: Path) -> None:
    """`step_tags` as a single str"""
    tracker.scenario("bad", step_tags="abc")


@row(SCENARIOS, ValueError)
def scenario_hydration(tracker: Tracker, here: Path) -> None:
    """A misspelt `step_cache_hydration`"""
    tracker.scenario("bad", step_cache_hydration="all")


@row(SCENARIOS, TypeError)
def scenario_meta(tracker: Tracker, here: Path) -> None:
    """Metadata of a scenario without a plain form"""
    tracker.scenario("bad", owner=object())


@row(SCENARIOS, TypeError)
def scenario_cache_mode(tracker: Tracker, here: Path) -> None:
    """`scenario(cache_mode=…)`"""
    tracker.scenario("bad", cache_mode="overwrite")


@row(SCENARIOS, TypeError)
def coupler_value(tracker: Tracker, here: Path) -> None:
    """A value in the coupler that is no file"""
    Coupler().set("trips", {"a": 1})  # type: ignore[type-var]


@row(SCENARIOS, ValueError)
def coupler_key(tracker: Tracker, here: Path) -> None:
    """A coupler key that breaks the key rules"""
    Coupler().set("my trips", "trips.csv")


@row(SCENARIOS, KeyError)
def coupler_missing(tracker: Tracker, here: Path) -> None:
    """`coupler.require` of a key that is not set"""
    coupler = Coupler()
    coupler.set("trips", "trips.csv")
    coupler.require("trip")


@row(SCENARIOS, TypeError)
def collect_list(tracker: Tracker, here: Path) -> None:
    """`collect_by_keys` of no mapping"""
    Coupler().collect_by_keys(["trips.csv"], "trips")  # type: ignore[arg-type]


@row(SCENARIOS, TypeError)
def declare_nothing(tracker: Tracker, here: Path) -> None:
    """`declare_outputs(required=True)` without names"""
    Coupler().declare_outputs(required=True)


@row(SCENARIOS, ValueError)
def blank_namespace(tracker: Tracker, here: Path) -> None:
    """`coupler.view("")`"""
    Coupler().view("")


@row(SCENARIOS, errors.DryRunStop)
def used_what_is_not_there(tracker: Tracker, here: Path) -> None:
    """An output of a dry run, opened after its scenario"""
    with tracker.scenario("s", dry_run=True) as sc:
        result = sc.run(bad, outputs=["trips"])
    Path(result.outputs["trips"])


# ---------------------------------------------------------------- trackers, contexts, queries

TRACKERS = "Trackers, contexts and queries"


@row(TRACKERS, TypeError)
def unknown_keyword(tracker: Tracker, here: Path) -> None:
    """`Tracker(db=…)`, an unknown keyword"""
    Tracker(run_dir="runs", db="p.db")  # type: ignore[call-arg]


@row(TRACKERS, ValueError)
def hashing(tracker: Tracker, here: Path) -> None:
    """A misspelt hashing strategy"""
    Tracker(run_dir="runs", hashing_strategy="fsat")


@row(TRACKERS, ValueError)
def run_dir_file(tracker: Tracker, here: Path) -> None:
    """A `run_dir` that is a file"""
    (here / "model.py").touch()
    Tracker(run_dir="model.py")


@row(TRACKERS, ValueError)
def database_below_file(tracker: Tracker, here: Path) -> None:
    """A `db_path` below a file"""
    (here / "model.py").touch()
    Tracker(run_dir="runs", db_path="model.py/views/p.db")


@row(TRACKERS, TypeError)
def run_dir_number(tracker: Tracker, here: Path) -> None:
    """A `run_dir` that is no path"""
    Tracker(run_dir=3)  # type: ignore[arg-type]


@row(TRACKERS, TypeError)
def mount_list(tracker: Tracker, here: Path) -> None:
    """A list as `mounts`"""
    Tracker(run_dir="runs", mounts=["data"])  # type: ignore[arg-type]


@row(TRACKERS, TypeError)
def mount_number(tracker: Tracker, here: Path) -> None:
    """A mount that is no path"""
    Tracker(run_dir="runs", mounts={"data": 3})  # type: ignore[dict-item]


@row(TRACKERS, ValueError)
def mount_file(tracker: Tracker, here: Path) -> None:
    """A mount that is a file"""
    (here / "data.csv").touch()
    Tracker(run_dir="runs", mounts={"data": "data.csv"})


@row(TRACKERS, errors.NotOurDatabaseError)
def foreign_database(tracker: Tracker, here: Path) -> None:
    """A `db_path` that is somebody else's file"""
    (here / "notes.txt").write_text("notes")
    Tracker(run_dir="runs", db_path="notes.txt")


@row(TRACKERS, ValueError)
def mount_escape(tracker: Tracker, here: Path) -> None:
    """A URI that leaves its mount"""
    with Tracker(run_dir="runs", mounts={"data": here / "data"}) as other:
        other.resolve_uri("data://../secret.csv")


@row(TRACKERS, ValueError)
def subdir_escape(tracker: Tracker, here: Path) -> None:
    """A `run_subdir_fn` that leaves the run directory"""
    with Tracker(run_dir="runs", db_path="project.db", run_subdir_fn=lambda run: "../elsewhere") as other:
        other.run(bad)


@row(TRACKERS, RuntimeError)
def helper_outside(tracker: Tracker, here: Path) -> None:
    """`consist.output_path(…)` outside a step"""
    consist.output_path("trips")


@row(TRACKERS, RuntimeError)
def no_tracker(tracker: Tracker, here: Path) -> None:
    """`consist.scenario(…)` without a tracker"""
    consist.scenario("bad")


@row(TRACKERS, RuntimeError)
def kept_context(tracker: Tracker, here: Path) -> None:
    """A run context used after its run"""
    kept: list[RunContext] = []
    tracker.run(lambda ctx: kept.append(ctx), name="keeper", execution_options=ExecutionOptions(inject_context=True))
    kept[0].log_meta(a=1)


@row(TRACKERS, ValueError)
def several_runs(tracker: Tracker, here: Path) -> None:
    """`find_run` that several runs match"""
    for number in (1, 2):
        tracker.run(step, config={"n": number})
    tracker.find_run(name="step")


@row(TRACKERS, ValueError)
def no_latest(tracker: Tracker, here: Path) -> None:
    """`find_latest_run` that no run matches"""
    tracker.find_latest_run(name="nope")


@row(TRACKERS, ValueError)
def unknown_filter(tracker: Tracker, here: Path) -> None:
    """`find_runs` by something that runs do not have"""
    tracker.find_runs(yaer=2030)  # type: ignore[call-overload]


@row(TRACKERS, KeyError)
def unknown_run(tracker: Tracker, here: Path) -> None:
    """`get_run_result` of an unknown run"""
    tracker.run(step)
    tracker.get_run_result("stpe")


@row(TRACKERS, KeyError)
def unknown_output(tracker: Tracker, here: Path) -> None:
    """`get_run_result` of an unknown output"""
    two(tracker)
    tracker.get_run_result("two", keys=["c"])


@row(TRACKERS, KeyError)
def unknown_artifact(tracker: Tracker, here: Path) -> None:
    """`get_run_artifact` of a misspelt key"""
    two(tracker)
    tracker.get_run_artifact("two", "TYPO")


@row(TRACKERS, FileNotFoundError)
def strict_result(tracker: Tracker, here: Path) -> None:
    """`get_run_result(validate="strict")` and the file is gone"""
    tracker.run(step, outputs=["o"]).output_path("o").unlink()
    tracker.get_run_result("step", validate="strict")


@row(TRACKERS, ValueError)
def export_that_is_there(tracker: Tracker, here: Path) -> None:
    """`export` to a file that is there"""
    tracker.export("dot", here / "all.dot")
    tracker.export("dot", here / "all.dot")


@row(TRACKERS, ValueError)
def crate_without_license(tracker: Tracker, here: Path) -> None:
    """`export("ro-crate", …)` without what only people know"""
    tracker.export("ro-crate", here / "crate", "base")


@row(TRACKERS, KeyError)
def export_of_nothing(tracker: Tracker, here: Path) -> None:
    """`export` of a misspelt scenario"""
    with tracker.scenario("baseline"):
        pass
    tracker.export("prov", here / "prov.json", "basline")


# ---------------------------------------------------------------- the page


def cells(tracker: Tracker, here: Path, use: Use, kind: type[Exception], caught: BaseException) -> list[str]:
    """The row as the page must have it; folders of this run of the test are left out of the message."""
    name = type(caught).__name__ + ("" if issubclass(kind, type(caught)) else f" ({kind.__name__})")
    message = str(caught).replace(str(here), "/model").replace("|", "\\|")
    message = re.sub(r"-[0-9a-f]{12}\b", "-…", message)
    recorded = ", ".join(run.status for run in tracker.find_runs(name="bad")) or "nothing"
    return [use.__doc__ or "", name, f"`` {message} ``", recorded]


def page() -> dict[str, list[list[str]]]:
    """Section -> the cells of its rows."""
    found: dict[str, list[list[str]]] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        section, _, body = part.partition("\n")
        lines = [line for line in body.splitlines() if line.startswith("| ")][2:]
        found[section] = [re.split(r"(?<!\\) \| ", line[2:-2]) for line in lines]
    return found


CASES = [(section, use, kind) for section, rows in ROWS.items() for use, kind in rows]


@pytest.mark.parametrize(("section", "use", "kind"), CASES, ids=[use.__name__ for _, use, _ in CASES])
def test_a_misuse_raises_and_records_what_the_page_says(
    tracker: Tracker, here: Path, section: str, use: Use, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        use(tracker, here)
    if type(caught.value) not in (TypeError, ZeroDivisionError):  # Python's own, and the user's own
        assert isinstance(caught.value, errors.ConsistError)
    wanted = cells(tracker, here, use, kind, caught.value)
    rows = [cell for cell in page().get(section, []) if cell[0] == wanted[0]]
    assert rows == [wanted], "\n| " + " | ".join(wanted) + " |"
    assert tracker.run(step, outputs=["o"]).run.status == "completed"  # the tracker goes on


def test_the_page_has_no_row_that_is_not_run() -> None:
    assert {section: [cell[0] for cell in rows] for section, rows in page().items()} == {
        section: [use.__doc__ for use, _ in rows] for section, rows in ROWS.items()
    }
