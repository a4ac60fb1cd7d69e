"""The config adapters under LBNL's names, and configurations with some values changed."""

from pathlib import Path
from typing import Any

import pytest

from consist_es import ExecutionOptions, Tracker
from consist_es.adapters.activitysim import ActivitySimAdapter
from consist_es.adapters.lbnl_configs import ActivitySimConfigAdapter, BeamConfigAdapter, ConfigOverrides
from consist_es.adapters.overrides import changed_activitysim, changed_beam
from consist_es.errors import AdapterError, AdapterTypeError, MissingKeyError, NoActiveRunError, UsageError
from tests.support.api import made

SETTINGS = "households_sample_size: 10\nCONSTANTS: {time: 1.5, deep: {cost: 2}}\n"
COEFFICIENTS = "coefficient_name,value,constrain\n# a comment\ncoef_a,0.5,F\ncoef_b,1.0,F\n"


@pytest.fixture
def configs(here: Path) -> Path:
    folder = here / "configs"
    folder.mkdir()
    (folder / "settings.yaml").write_text(SETTINGS)
    (folder / "cars.csv").write_text(COEFFICIENTS)
    return folder


def step() -> Path:
    return made()


def test_values_are_changed_in_a_folder_in_front(configs: Path, here: Path) -> None:
    base = ActivitySimAdapter(configs)
    changes: dict[str, Any] = {"households_sample_size": 20, "CONSTANTS.deep.cost": 3}
    model = changed_activitysim(
        base, "near", settings={"settings": changes}, coefficients={"cars.csv": {"coef_a": 0.7}}
    )
    assert model.configs == (Path("near"), configs)
    assert model.settings() == {"households_sample_size": 20, "CONSTANTS": {"time": 1.5, "deep": {"cost": 3}}}
    assert Path("near/cars.csv").read_text() == COEFFICIENTS.replace("coef_a,0.5", "coef_a,0.7")
    assert (configs / "settings.yaml").read_text() == SETTINGS
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(step, outputs=["out"], adapter=base)
        told = tracker.run(step, outputs=["out"], adapter=model).run.meta["cache_miss_explanation"]["differs"]
    assert told == [
        "settings.yaml: households_sample_size: 10 -> 20",
        "settings.yaml: CONSTANTS.deep.cost: 2 -> 3",
        "cars.csv: coef_a.value: '0.5' -> '0.7'",
    ]


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"settings": {"absent.yaml": {"a": 1}}}, MissingKeyError, r"absent\.yaml"),
        ({"settings": {"settings.yaml": {"absent": 1}}}, MissingKeyError, "has no such key"),
        ({"settings": {"settings.yaml": {"CONSTANTS.deep.absent": 1}}}, MissingKeyError, "absent"),
        ({"coefficients": {"absent.csv": {"a": 1}}}, MissingKeyError, r"absent\.csv"),
        ({"coefficients": {"cars.csv": {"coef_c": 1}}}, MissingKeyError, "coef_c"),
        ({"coefficients": {"settings.yaml": {"a": 1}}}, UsageError, "no column 'value'"),
    ],
)
def test_a_change_of_what_is_not_there_is_refused(
    configs: Path, change: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        changed_activitysim(ActivitySimAdapter(configs), "near", **change)
    assert not Path("near").exists()


def test_a_folder_with_files_of_others_is_left_alone(configs: Path) -> None:
    changes = {"settings.yaml": {"households_sample_size": 20}}
    with pytest.raises(UsageError, match=r"cars\.csv"):
        changed_activitysim(ActivitySimAdapter(configs), configs, settings=changes)
    assert (configs / "settings.yaml").read_text() == SETTINGS


def test_values_of_beam_are_changed_in_a_file_that_includes_the_other(here: Path) -> None:
    (here / "input").mkdir()
    (here / "input" / "main.conf").write_text("beam { last = 2, name = run }\n")
    base = BeamConfigAdapter(here / "input" / "main.conf", env_overrides={"PWD": str(here)})
    assert base.model_name == "beam"
    model = changed_beam(base, here / "input" / "near", {"beam.last": 5})
    assert model.values() == {"beam.last": 5, "beam.name": "run"}
    with pytest.raises(MissingKeyError, match=r"beam\.absent"):
        changed_beam(base, here / "other", {"beam.absent": 5})


def test_a_plan_has_the_identity_and_may_be_an_adapter(configs: Path) -> None:
    adapter = ActivitySimConfigAdapter(model_name="activitysim", adapter_version="2")
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        plan = tracker.prepare_config(adapter, [configs])
        assert (plan.adapter_name, plan.adapter_version) == ("activitysim", "1 2")
        result = tracker.run(step, outputs=["out"], adapter=plan)
        assert result.run.meta["config_bundle_hash"] == plan.identity_hash
        assert result.run.meta["config_tree_hash"]
        named = ActivitySimConfigAdapter(root_dirs=[configs], adapter_version="2")
        assert named.model_name == "activitysim"
        assert tracker.run(step, outputs=["out"], adapter=named).cache_hit
        with pytest.raises(NoActiveRunError):
            tracker.canonicalize_config(adapter, [configs])
        with tracker.trace("inside"):
            seen = tracker.canonicalize_config(adapter, [configs])
        assert tracker.find_runs()[0].meta["config_bundle_hash"] == seen.identity_hash


def test_a_step_runs_with_overrides(configs: Path, here: Path) -> None:
    def simulate(selected_root_dir: Path, factor: int) -> Path:
        return made(text=f"{(selected_root_dir / 'settings.yaml').read_text()} {factor}")

    adapter = ActivitySimConfigAdapter()
    with Tracker(run_dir="runs", db_path="p.db") as tracker:

        def again(size: int) -> Any:
            return tracker.run_with_config_overrides(
                adapter=adapter,
                base_config_dirs=[configs],
                overrides=ConfigOverrides(
                    constants={("settings.yaml", "households_sample_size"): size},
                    coefficients={("cars.csv", "coef_a", ""): 0.6},
                ),
                output_dir=here / "changed",
                fn=simulate,
                name="simulate",
                outputs=["out"],
                execution_options=ExecutionOptions(runtime_kwargs={"factor": 2}),
            )

        first = again(20)
        assert "households_sample_size: 20" in first.output.path.read_text()
        assert again(20).cache_hit
        assert not again(30).cache_hit
        with pytest.raises(AdapterTypeError, match="ActivitySim and BEAM"):
            tracker.run_with_config_overrides(
                adapter="folder:configs", overrides=ConfigOverrides(), output_dir=here, fn=step, name="x"
            )
        for wrong in (ConfigOverrides(values={"a": 1}),):
            with pytest.raises(AdapterError, match="for BEAM"):
                tracker.run_with_config_overrides(
                    adapter=ActivitySimConfigAdapter([configs]), overrides=wrong, output_dir=here, fn=step, name="y"
                )
