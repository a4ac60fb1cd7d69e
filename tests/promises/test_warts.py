"""What surprised users of the relative (its warts W1 to W63), and that it does not surprise users of this library.

A test's docstring begins with the numbers it answers. Warts that other files test in full are in `WART`; those that
concern what this library does not have are in `NOT_OURS`.
"""

import ast
import datetime
import decimal
import enum
import importlib
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import consist_es as consist
from consist_es import (
    CacheOptions,
    ConsistWarning,
    Coupler,
    ExecutionOptions,
    OutputPolicyOptions,
    RunResult,
    Tracker,
    errors,
)
from tests.support.api import PATHS, ROOT, made, run_script

WART: dict[str, list[str]] = {
    "W1": ["tests/steps/test_inputs.py::test_swapped_inputs_are_another_step"],
    "W5": [
        "tests/steps/test_steps.py::test_every_attempt_has_a_folder_of_its_own",
        "tests/cache/test_cache.py::test_a_shared_folder_for_runs_never_serves_another_runs_file",
        "tests/cache/test_cache.py::test_steps_that_write_to_one_place_never_serve_each_others_files",
    ],
    "W6": ["tests/steps/test_inputs.py::test_an_edited_output_is_said_to_be_edited_and_counts_as_it_is"],
    "W11": [
        "tests/cache/test_cache.py::test_without_a_database_path_the_project_lies_in_the_run_directory_and_hits_all_the_same"
    ],
    "W12": ["tests/api/test_scenario.py::test_scenarios_share_the_cache_and_headers_are_never_cached"],
    "W13": [
        "tests/steps/test_steps.py::test_partials_and_closures_count_by_what_they_hold",
        "tests/steps/test_steps.py::test_a_closure_over_what_has_no_identity_never_hits_and_says_why",
        "tests/identity/code/test_code_identity.py::test_every_mode_counts_function_defaults_closure_and_partial",
    ],
    "W15": ["tests/api/test_scenario.py::test_reads_inside_a_scenario_see_every_step_so_far"],
    "W18": ["tests/api/test_scenario.py::test_a_scenario_entered_again_is_a_new_attempt_and_the_steps_hit"],
    "W21": [
        "tests/promises/test_history_of_interrupts.py::test_a_step_that_ends_badly_is_recorded_and_never_a_hit",
        "tests/promises/test_history_of_interrupts.py::test_a_scenario_that_ends_badly_is_recorded_with_its_step",
        "tests/promises/test_history_of_interrupts.py::test_hooks_of_failure_hear_of_interrupts",
    ],
    "W23": ["tests/execution/test_trace.py::test_the_blocks_own_error_is_the_one_that_is_raised_and_recorded"],
    "W24": [
        "tests/execution/test_outputs.py::test_a_newly_declared_key_that_the_earlier_run_lacks_is_a_miss_and_says_so",
        "tests/promises/test_workflow_rows.py::test_a_run_that_was_not_held_against_an_expectation_does_not_answer_for_one_that_is",
    ],
    "W25": ["tests/steps/test_steps.py::test_readonly_may_hit_and_what_it_computes_is_not_kept_for_others"],
    "W26": [
        "tests/steps/test_options.py::test_an_option_that_cannot_be_used_is_refused_when_it_is_given",
        "tests/steps/test_options.py::test_a_tracker_refuses_misspelt_options_and_makes_nothing",
    ],
    "W27": ["tests/steps/test_binding.py::test_required_runtime_kwargs_are_checked_before_the_look_up"],
    "W28": ["tests/steps/test_steps.py::test_a_hit_of_a_hit_names_the_run_that_computed_it"],
    "W29": ["tests/steps/test_steps.py::test_a_run_without_a_group_has_no_parent_whatever_made_its_inputs"],
    "W31": [
        "tests/steps/test_binding.py::test_the_annotation_and_the_binding_decide_what_a_parameter_receives",
        "tests/promises/test_seed_examples.py::test_an_example_of_the_page_runs_as_printed_and_hits_in_the_next_process",
    ],
    "W32": ["tests/steps/test_binding.py::test_input_keys_bind_like_inputs"],
    "W33": ["tests/steps/test_binding.py::test_inject_context_finds_its_parameter"],
    "W34": ["tests/steps/test_binding.py::test_config_values_and_labels_bind_by_name"],
    "W38": [
        "tests/execution/test_hydration.py::test_outputs_requested_puts_the_declared_files_into_the_new_runs_folder",
        "tests/execution/test_hydration.py::test_outputs_all_puts_every_output_into_the_new_runs_folder_in_the_old_layout",
        "tests/cache/test_cache.py::test_a_moved_run_directory_and_a_new_one_are_found",
    ],
    "W39": ["tests/steps/test_inputs.py::test_a_deleted_intermediate_is_made_again_when_it_is_needed"],
    "W40": [
        "tests/execution/test_run_context.py::test_inputs_go_by_the_name_they_were_bound_to",
        "tests/steps/test_inputs.py::test_a_list_of_inputs_has_a_place_for_each_also_with_equal_names",
    ],
    "W41": [
        "tests/api/test_coupler.py::test_it_is_a_mapping_in_the_order_of_first_setting",
        "tests/api/test_coupler.py::test_only_what_stands_for_a_file_can_be_set",
        "tests/api/test_coupler.py::test_keys_follow_the_rules",
        "tests/api/test_coupler.py::test_paths_of_every_kind_of_value",
        "tests/api/test_coupler.py::test_a_declaration_held_wrong_is_refused",
        "tests/api/test_coupler.py::test_a_view_is_the_coupler_below_a_namespace",
        "tests/execution/test_trace.py::test_outputs_are_in_the_coupler_when_the_block_has_ended_and_never_of_a_block_that_failed",
    ],
    "W44": ["tests/steps/test_steps.py::test_a_coroutine_is_never_taken_for_a_result"],
    "W45": [
        "tests/api/test_noop.py::test_a_whole_model_runs_the_same",
        "tests/api/test_noop.py::test_a_mistake_is_the_same_exception",
        "tests/api/test_noop.py::test_required_outputs_are_enforced",
    ],
    "W49": ["tests/execution/test_outputs.py::test_an_input_returned_as_an_output_is_both"],
    "W52": ["tests/artifacts/test_artifacts.py::test_json_that_is_no_table_is_parsed_json"],
    "W55": ["tests/steps/test_inputs.py::test_binding_and_inputs_exclude_each_other_and_binding_has_its_type"],
    "W56": [
        "tests/api/test_scenario.py::test_a_scenario_in_a_scenario_is_its_child",
        "tests/api/test_scenario.py::test_a_scenario_inside_a_step_is_refused_or_its_child_but_never_breaks_the_step",
    ],
    "W57": ["tests/execution/test_trace.py::test_a_block_that_makes_an_output_of_its_own_takes_the_hit_back"],
    "W58": ["tests/execution/test_run_context.py::test_a_context_kept_beyond_its_run_refuses"],
    "W59": ["tests/execution/test_outputs.py::test_a_missing_declared_file_tells_where_it_was_looked_for"],
    "W60": [
        "tests/steps/test_steps.py::test_two_threads_run_steps_at_the_same_time",
        "tests/execution/test_context.py::test_threads_and_tasks_have_runs_of_their_own",
    ],
    "W61": ["tests/adapters/test_adapters.py::test_a_run_records_its_adapter_on_a_hit_too"],
    "W62": ["tests/api/test_scenario.py::test_an_explicit_run_id_is_kept_after_the_exit"],
    "W63": ["tests/steps/test_steps.py::test_a_call_held_wrong_says_so_and_records_nothing"],
}
NOT_OURS = {
    "W47": "map_runs is not part of the API: threads and processes share a project, and run_set compares their runs",
    "W50": "OpenLineage events are not written; the log itself is the record",
}
WARN = OutputPolicyOptions(output_missing="warn")


def step() -> Path:
    return made()


def other() -> Path:
    return made(text="other\n")


def copy(x: Path) -> Path:
    return made("c", x.read_text())


def found(tracker: Tracker, run_id: str) -> consist.Run:
    run = tracker.get_run(run_id)
    assert run is not None
    return run


def text_of(result: RunResult) -> str:
    assert result.output is not None
    return result.output.path.read_text()


# ---------------------------------------------------------------- the list is whole


def defined(file: str) -> dict[str, str]:
    """Name -> docstring of the tests of a file."""
    tree = ast.parse((ROOT / file).read_text())
    tests = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name: ast.get_docstring(node) or "" for node in tests if node.name.startswith("test_")}


@pytest.mark.parametrize(("wart", "targets"), WART.items(), ids=WART)
def test_the_test_that_a_wart_is_referred_to_exists(wart: str, targets: list[str]) -> None:
    assert targets
    for target in targets:
        file, _, name = target.partition("::")
        assert name in defined(file), f"{wart}: {target}"


def test_every_wart_is_tested_here_or_elsewhere_or_is_not_ours() -> None:
    here = {wart for text in defined("tests/promises/test_warts.py").values() for wart in re.findall(r"\bW\d+\b", text)}
    wanted = {f"W{number}" for number in range(1, 64)}
    assert here | WART.keys() | NOT_OURS.keys() == wanted
    assert not NOT_OURS.keys() & (here | WART.keys())


# ---------------------------------------------------------------- wrong results, lost data


@pytest.mark.parametrize("mode", [None, "imports", "repo_git", "callable_module", "callable_source"])
def test_two_functions_of_one_name_never_answer_for_each_other(git: Path, tracker: Tracker, mode: str | None) -> None:
    """W2: in no code identity mode."""
    options = CacheOptions(code_identity=mode)
    tracker.run(step, name="step", outputs=["o"], cache_options=options)
    second = tracker.run(other, name="step", outputs=["o"], cache_options=options)
    assert (second.cache_hit, text_of(second)) == (False, "other\n")


@pytest.fixture
def git(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory as a repository with one commit, on the path for imports."""
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *words], cwd=here, check=True)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield here
    sys.modules.pop("untracked_steps", None)


def load_steps(folder: Path, text: str) -> ModuleType:
    """Write the module, as a user does in an editor, and load it afresh."""
    (folder / "untracked_steps.py").write_text(
        f'import consist_es as consist\n\ndef step():\n    p = consist.output_path("o", "txt")\n'
        f'    p.write_text("{text}")\n    return p\n'
    )
    sys.modules.pop("untracked_steps", None)
    importlib.invalidate_caches()
    return importlib.import_module("untracked_steps")


@pytest.mark.parametrize("mode", [None, "repo_git"])
def test_an_edit_of_code_that_git_does_not_track_is_a_miss(git: Path, tracker: Tracker, mode: str | None) -> None:
    """W3: in the default mode and in repo_git."""
    options = CacheOptions(code_identity=mode)
    assert text_of(tracker.run(load_steps(git, "v1").step, outputs=["o"], cache_options=options)) == "v1"
    assert text_of(tracker.run(load_steps(git, "v2").step, outputs=["o"], cache_options=options)) == "v2"


def test_a_commit_of_data_leaves_everything_cached(git: Path, tracker: Tracker) -> None:
    """W3: the other half; a commit is provenance, not identity."""
    tracker.run(step, outputs=["o"])
    (git / "data.csv").write_text("a\n1\n")
    for words in (["add", "data.csv"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "data"]):
        subprocess.run(["git", *words], cwd=git, check=True)
    assert tracker.run(step, outputs=["o"]).cache_hit


@pytest.mark.parametrize("hydration", [None, "metadata", "outputs-requested", "outputs-all"])
def test_a_tampered_output_is_never_served_nor_copied(tracker: Tracker, hydration: str | None) -> None:
    """W4: whatever the hydration; every way of tampering is in test_cache."""

    def writes(ctx: consist.RunContext) -> None:
        (ctx.run_dir / "o.txt").write_text("good\n")

    def run(options: CacheOptions | None) -> RunResult:
        inject = ExecutionOptions(inject_context=True)
        return tracker.run(writes, output_paths={"o": "o.txt"}, execution_options=inject, cache_options=options)

    run(None).output_path("o").write_text("evil\n")
    again = run(CacheOptions(validate_cached_outputs="eager", cache_hydration=hydration))
    assert (again.cache_hit, text_of(again)) == (False, "good\n")


def test_two_missing_artifacts_are_an_error_and_never_the_same_step(tracker: Tracker, here: Path) -> None:
    """W7: nothing stands in for an input that cannot be digested."""
    inputs = []
    for name in ("a.txt", "b.txt"):
        (here / name).write_text(name)
        run = tracker.run(copy, run_id=name, inputs={"x": name}).run
        inputs.append(tracker.get_run_inputs(run.id)["x"])
    for artifact in inputs:
        artifact.path.unlink()
        with pytest.raises(errors.InputError, match=artifact.path.name):
            tracker.run(copy, name="later", inputs={"x": artifact})
    assert tracker.find_runs(name="later") == []


@pytest.mark.parametrize("hashing", ["full", "fast"])
@pytest.mark.parametrize(
    "change",
    [
        lambda d: (d / "1.txt").rename(d / "3.txt"),
        lambda d: ((d / "1.txt").write_text("A"), (d / "2.txt").write_text("BC")),
        lambda d: (d / "empty").mkdir(),
        lambda d: (d / ".hidden").write_text("h"),
        lambda d: ((d / "sub").mkdir(), (d / "1.txt").rename(d / "sub" / "1.txt")),
    ],
    ids=["renamed", "a byte moved", "an empty folder", "a hidden file", "moved down"],
)
@pytest.mark.parametrize("as_input", [True, False])
def test_a_folder_that_changed_in_any_way_is_a_miss(
    here: Path, hashing: str, change: Callable[[Path], object], as_input: bool
) -> None:
    """W8: as an input and as an identity input, with full and with fast digests."""
    folder = here / "d"
    folder.mkdir()
    (folder / "1.txt").write_text("AB")
    (folder / "2.txt").write_text("C")
    given: dict[str, Any] = {"inputs": {"x": "d"}} if as_input else {"identity_inputs": [("d", "d")]}
    with Tracker(run_dir="runs", db_path="p.db", hashing_strategy=hashing) as tracker:
        tracker.run(lambda x=None: made(), name="s", **given)
        assert tracker.run(lambda x=None: made(), name="s", **given).cache_hit
        change(folder)
        assert not tracker.run(lambda x=None: made(), name="s", **given).cache_hit


def test_a_run_that_missed_its_output_is_tried_again(tracker: Tracker, here: Path) -> None:
    """W9: also where the policy only warned."""

    def flaky() -> Path | None:
        return made() if Path("ready").exists() else None

    with pytest.warns(ConsistWarning, match="'o'"):
        first = tracker.run(flaky, outputs=["o"], output_policy=WARN)
    assert (first.run.status, first.outputs) == ("completed", {})
    (here / "ready").write_text("")
    second = tracker.run(flaky, outputs=["o"])
    assert (second.cache_hit, text_of(second)) == (False, "x\n")


def test_a_returned_text_is_no_output_unless_a_file_is_there(tracker: Tracker) -> None:
    """W10: a returned path that does not exist is a missing output."""
    with pytest.raises(errors.OutputError, match="hello world, which does not exist"):
        tracker.run(lambda: "hello world", name="s", outputs=["o"])
    assert found(tracker, "s").status == "failed"


def test_a_misspelt_key_is_an_error_that_lists_the_right_ones(tracker: Tracker) -> None:
    """W14: never another artifact."""
    result = tracker.run(step, outputs=["o"])
    asks: list[Callable[[], object]] = [
        lambda: tracker.get_run_artifact("step", key="TYPO"),
        lambda: tracker.load_run_output("step", "TYPO"),
        lambda: tracker.get_run_result("step", keys=["TYPO"]),
        lambda: consist.ref(result, key="TYPO"),
        lambda: result.output_path("TYPO"),
    ]
    for ask in asks:
        with pytest.raises(KeyError, match=r"'TYPO'\. Available: 'o'"):
            ask()


def test_metadata_with_a_path_is_recorded_and_the_artifact_is_there_on_the_hit(tracker: Tracker) -> None:
    """W16: and a failing append fails the call, see test_history_of_interrupts and test_log_faults."""

    def logs() -> None:
        consist.log_output(made("k"), "k", made_of=Path("x"))

    for hit in (False, True):
        result = tracker.run(logs)
        assert (result.cache_hit, list(result.outputs)) == (hit, ["k"])
    assert str(tracker.get_run_outputs("logs")["k"].meta["made_of"]) == "x"


# ---------------------------------------------------------------- runs and scenarios


def test_a_trace_that_failed_on_its_second_run_leaves_the_first_to_be_reused(tracker: Tracker, here: Path) -> None:
    """W17: every trace is an attempt of its own; the loop over years is in test_trace."""

    def sim() -> bool:
        with tracker.scenario("s") as sc, sc.trace("sim", cache_epoch=1) as t:
            if Path("broken").exists():
                raise OSError("disk")
            return bool(t.is_cached)

    assert not sim()
    (here / "broken").write_text("")
    with pytest.raises(OSError, match="disk"):
        sim()
    (here / "broken").unlink()
    assert sim()
    assert [found(tracker, run_id).status for run_id in ("s_sim#1", "s_sim#2", "s_sim#3")] == [
        "completed",
        "failed",
        "completed",
    ]


def test_a_scenario_run_again_keeps_what_the_first_one_was(tracker: Tracker) -> None:
    """W18: start time, config, steps and outputs of the first attempt stay."""
    with tracker.scenario("s", config={"a": 1}) as sc:
        sc.run(step, outputs=["o"])
    before = found(tracker, "s#1")
    outputs = tracker.get_run_outputs("s#1")
    with tracker.scenario("s", config={"a": 2}) as sc:
        sc.run(other, outputs=["o2"])
    assert found(tracker, "s#1") == before
    assert tracker.get_run_outputs("s#1") == outputs
    assert [item["id"] for item in before.meta["steps"]] == ["s_step"]
    assert list(tracker.get_run_outputs("s")) == ["o2"]


def test_a_run_id_used_again_is_a_new_attempt_and_ids_that_look_alike_stay_apart(tracker: Tracker) -> None:
    """W19: `a/b` and `a_b` too."""
    for number, run_id in enumerate(("mine", "mine", "a/b", "a_b")):
        tracker.run(step, run_id=run_id, config={"n": number}, outputs=["o"])
    configs = {run_id: tracker.get_run_config(run_id) for run_id in ("mine#1", "mine", "a/b", "a_b")}
    assert configs == {"mine#1": {"n": 0}, "mine": {"n": 1}, "a/b": {"n": 2}, "a_b": {"n": 3}}
    assert len({run.artifact_dir for run in tracker.find_runs()}) == 4


def bad_metadata(tracker: Tracker) -> None:
    with pytest.raises(errors.ConfigTypeError):
        tracker.run(lambda: consist.log_meta(a=object()), name="s")


def bad_staging(tracker: Tracker) -> None:
    options = ExecutionOptions(input_materialization="requested", input_paths={"x": "/outside/x"})
    with pytest.raises(errors.PathError):
        tracker.run(copy, inputs={"x": "my file.csv"}, execution_options=options)


def odd_name(tracker: Tracker) -> None:
    result = tracker.run(step, inputs=["my file.csv"])
    assert [artifact.key for artifact in tracker.get_run_inputs(result.run.id).values()] == ["my_file"]


@pytest.mark.parametrize("mistake", [bad_metadata, bad_staging, odd_name])
def test_the_tracker_is_never_stuck(tracker: Tracker, here: Path, mistake: Callable[[Tracker], None]) -> None:
    """W20: neither by a mistake that is noticed late, nor by a file name that is no valid key."""
    (here / "my file.csv").write_text("a\n1\n")
    mistake(tracker)
    assert consist.current_run() is None
    with tracker.scenario("s") as sc:
        assert sc.run(step, outputs=["o"]).run.status == "completed"
    assert tracker.find_runs(status="running") == []


def test_the_steps_of_a_scenario_are_listed_once_each_and_as_they_ended(tracker: Tracker) -> None:
    """W22: failed ones too, and none that never started."""
    with tracker.scenario("s") as sc:
        sc.run(step, outputs=["o"])
        with pytest.raises(ZeroDivisionError):
            sc.run(lambda: 1 // 0, name="bad")
        with pytest.raises(errors.UsageError), sc.trace("never", identity_inputs="x"):
            pytest.fail("the block ran")
        sc.run(step, outputs=["o"])
    steps = found(tracker, "s").meta["steps"]
    assert [(item["name"], item["status"], item["cache_hit"]) for item in steps] == [
        ("step", "completed", False),
        ("bad", "failed", False),
        ("step", "completed", True),
    ]
    with pytest.raises(ZeroDivisionError), tracker.scenario("t") as sc:
        sc.run(lambda: 1 // 0, name="bad")
    assert found(tracker, "t").meta["failed_step"] == "bad"
    with pytest.raises(errors.RequiredOutputsError), tracker.scenario("u", require_outputs=["b", "a"]):
        pass
    assert found(tracker, "u").meta["missing_outputs"] == ["a", "b"]


def test_a_trace_needs_no_git(here: Path) -> None:
    """W30 and W51: nor any other package that is not installed with this one."""
    script = here / "model.py"
    script.write_text(
        "import os, sys\n"
        "os.environ['PATH'] = ''\n"
        "for name in ('git', 'pytz', 'pandas', 'numpy', 'xarray', 'h5py'):\n"
        "    sys.modules[name] = None\n"
        "import consist_es as consist\n"
        "tracker = consist.Tracker(run_dir='runs', db_path='p.db')\n"
        "for _ in range(2):\n"
        "    with tracker.scenario('s') as sc, sc.trace('t', outputs=['o']) as t:\n"
        "        print(t.is_cached)\n"
        "        if not t.is_cached:\n"
        "            path = consist.output_path('o', 'csv')\n"
        "            path.write_text('a\\n1\\n')\n"
        "            t.log_output(path, 'o')\n"
    )
    assert run_script(script).stdout == "False\nTrue\n"


# ---------------------------------------------------------------- ergonomics


def test_hit_and_miss_give_the_same_outputs_in_the_same_order_in_every_process(here: Path) -> None:
    """W35: whatever the hash seed, and for the undeclared keys too."""
    script = here / "model.py"
    script.write_text(
        "import consist_es as consist\n"
        "def step():\n"
        "    found = {}\n"
        "    for key in ('b', 'a', 'c'):\n"
        "        found[key] = consist.output_path(key, 'txt')\n"
        "        found[key].write_text(key)\n"
        "    return found\n"
        "with consist.Tracker(run_dir='runs', db_path='p.db') as tracker:\n"
        "    result = tracker.run(step, outputs=['b', 'a'])\n"
        "    print(result.cache_hit, *result.outputs, result.output.key)\n"
    )
    said = []
    for seed in ("0", "2", "4"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONHASHSEED", seed)
            said.append(run_script(script).stdout)
    assert said == ["False b a c b\n", "True b a c b\n", "True b a c b\n"]


def test_an_output_declared_later_is_made_and_not_silently_missing(tracker: Tracker) -> None:
    """W35: the first, undeclared run knew it by the function's name."""
    assert list(tracker.run(step).outputs) == ["step"]
    later = tracker.run(step, outputs=["o"])
    assert (later.cache_hit, list(later.outputs)) == (False, ["o"])


def test_a_returned_dict_is_checked_whole_before_anything_of_it_is_recorded(tracker: Tracker) -> None:
    """W36: tables in it are written, see test_outputs; a key given twice is refused, see test_steps."""
    with pytest.raises(errors.ReturnTypeError, match="int for output 'b'"):
        tracker.run(lambda: {"a": made("a"), "b": 3}, name="s", outputs=["a", "b"])
    assert tracker.get_run_outputs("s") == {}


def test_captured_files_all_have_a_key_also_below_the_folder(tracker: Tracker, here: Path) -> None:
    """W37: none is dropped and none hides another."""
    names = ["a.csv", "a.txt", "my file.csv", ".hid", "sub/a.csv", "sub/deep/b.csv"]

    def writes() -> None:
        for name in names:
            path = here / "out" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    result = tracker.run(writes, capture_dir="out", capture_pattern="**/*")
    assert sorted(artifact.path.read_text() for artifact in result.outputs.values()) == sorted(names)
    assert {"sub/a", "sub/deep/b", "my_file"} < result.outputs.keys()


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Settings:
    day: datetime.date


VALUES: list[tuple[Any, Any]] = [
    (datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC), datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC)),
    (datetime.date(2030, 1, 1), datetime.date(2030, 1, 2)),
    (Color.RED, Color.BLUE),
    (decimal.Decimal("1.10"), decimal.Decimal("1.2")),
    (uuid.UUID(int=1), uuid.UUID(int=2)),
    (b"a", b"b"),
    (frozenset({1}), frozenset({2})),
    (Settings(datetime.date(2030, 1, 1)), Settings(datetime.date(2031, 1, 1))),
    ({1: "a"}, {1: "b"}),
    (range(3), range(4)),
    (1j, 2j),
]


@pytest.mark.parametrize(("one", "two"), VALUES, ids=[type(one).__name__ for one, _ in VALUES])
def test_a_config_value_of_any_plain_type_counts(tracker: Tracker, one: Any, two: Any) -> None:
    """W42: and its value reaches the function as it is."""

    def uses(value: Any) -> Path:
        return made(text=f"{value}")

    first = tracker.run(uses, config={"value": one}, outputs=["o"])
    assert text_of(first) == f"{one}"
    assert tracker.run(uses, config={"value": one}, outputs=["o"]).cache_hit
    assert not tracker.run(uses, config={"value": two}, outputs=["o"]).cache_hit


def test_a_dataclass_or_model_with_a_date_is_a_whole_config_too(tracker: Tracker) -> None:
    """W42: the config itself, not only a value in it."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", day=(datetime.date, ...))
    day = datetime.date(2030, 1, 1)
    for config in (Settings(day), model(day=day)):
        result = tracker.run(lambda day: made(text=str(day)), name="s", config=config, outputs=["o"])
        assert text_of(result) == "2030-01-01"


@pytest.mark.parametrize("label", ["phase", "stage"])
def test_another_phase_or_stage_is_another_step(tracker: Tracker, label: str) -> None:
    """W43: as another year or iteration is; so is another name, by way of the model."""

    def run(value: str, **more: Any) -> bool:
        labels: dict[str, Any] = {label: value, **more}
        return tracker.run(step, outputs=["o"], **labels).cache_hit

    assert [run("A"), run("B"), run("A")] == [False, False, True]
    assert not run("A", name="renamed")


def test_a_generator_or_async_function_is_refused_before_it_starts(tracker: Tracker) -> None:
    """W44: and `arun` awaits, see test_context."""

    async def waits() -> Path:
        return made()

    def yields() -> Iterator[Path]:
        yield made()

    for fn, said in ((waits, "arun"), (yields, "generator")):
        with pytest.raises(TypeError, match=said):
            tracker.run(fn)
    assert tracker.find_runs() == []


def test_no_argument_is_silently_ignored(tracker: Tracker, here: Path) -> None:
    """W46: each is applied or refused; a mismatch cannot happen in a trace, which returns nothing."""
    hits = []
    for epoch in (7, 7, 8):
        with tracker.scenario("s", cache_epoch=epoch) as sc, sc.trace("t") as t:
            hits.append(t.is_cached)
    assert hits == [False, True, False]
    with pytest.raises(errors.UsageTypeError, match="output_sets"):
        tracker.scenario("s", output_sets={})
    with pytest.raises(errors.UsageError, match="source_root"):
        CacheOptions(materialize_cached_outputs_source_root="old")
    with pytest.raises(errors.UsageError, match="input_materialization='requested'"):
        ExecutionOptions(input_paths={"x": "y"})
    injected = consist.define_step(inject_context=True)(lambda ctx: ctx.log_meta(seen=True))
    assert tracker.run(injected, name="s").run.meta["seen"] is True


def test_the_same_file_added_twice_is_one_input(tracker: Tracker, here: Path) -> None:
    """W48: a missing file is refused, and a step that never started locks nothing; see test_scenario."""
    (here / "x.txt").write_text("x")
    with tracker.scenario("s") as sc:
        assert sc.add_input("x.txt", "raw") == sc.add_input("x.txt", "raw")
        assert list(sc.inputs) == ["raw"]
    assert list(tracker.get_run_inputs("s")) == ["raw"]


def test_one_text_where_a_list_is_expected_is_one_item(tracker: Tracker, here: Path) -> None:
    """W53: never a list of characters."""
    (here / "r.csv").write_text("a\n1\n")
    result = tracker.run(
        step, outputs="xy", tags="abc", inputs="r.csv", depends_on="r.csv", facet_from="ab", config={"ab": 1}
    )
    run = result.run
    assert (list(result.outputs), run.tags, run.facet) == (["xy"], ["abc"], {"ab": 1})
    assert [artifact.path.name for artifact in tracker.get_run_inputs(run.id).values()] == ["r.csv", "r.csv"]
    with tracker.scenario("s", tags="abc", require_outputs="xy") as sc:
        sc.run(step, outputs="xy")
        assert sc.tags == ["abc", "scenario_header"]
        assert sc.run(copy, inputs={"x": "xy"}, optional_input_keys="xy").run.status == "completed"


def test_a_direction_that_does_not_exist_is_refused(tracker: Tracker) -> None:
    """W54: an error that lists the two that do."""

    def logs() -> None:
        with pytest.raises(ValueError, match="use one of 'input', 'output'"):
            consist.log_artifact(made(), "k", direction="sideways")

    tracker.run(logs)


def test_a_returned_relative_path_is_taken_where_the_function_wrote_it(tracker: Tracker, here: Path) -> None:
    """W59: only `output_paths` are relative to the run's folder, and the message says so, see test_outputs."""

    def writes() -> Path:
        Path("here.csv").write_text("a\n1\n")
        return Path("here.csv")

    assert tracker.run(writes, outputs=["o"]).output_path("o") == here / "here.csv"


def test_a_coupler_of_another_scenario_and_a_plain_one_go_on_working() -> None:
    """W41: without any tracker."""
    coupler = Coupler()
    coupler["a"] = Path("a.txt")
    assert (dict(coupler), coupler.path("a")) == ({"a": Path("a.txt")}, Path.cwd() / "a.txt")


def test_paths_and_loaded_inputs_are_asked_for_by_the_annotation(tracker: Tracker, here: Path) -> None:
    """W31: a text file is no reason to fail."""
    (here / "note.txt").write_text("n")
    assert text_of(tracker.run(copy, inputs={"x": "note.txt"})) == "n"
    assert tracker.run(copy, inputs={"x": "note.txt"}, execution_options=PATHS).cache_hit
