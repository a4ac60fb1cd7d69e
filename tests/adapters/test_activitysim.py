"""The ActivitySim adapter: what it reads, what counts, what a hit says that it ignored, what is refused."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from consist_es import RunResult, Tracker
from consist_es.adapters.activitysim import ActivitySimAdapter
from consist_es.adapters.activitysim_settings import read_settings, text_of
from consist_es.adapters.config_tree import Tree
from consist_es.adapters.prepare import prepare_adapter
from consist_es.artifacts.digest import digest_path
from consist_es.errors import ConfigFileError, ConsistError, InputError, UsageError, UsageTypeError
from consist_es.identity.adapters import drift
from consist_es.values.packed import unpacked
from tests.support.api import made

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from adapters.theirs import shown
from adapters.trees import make

RECORDED = Path(__file__).resolve().parents[1] / "golden" / "activitysim_reader.json"
"""What ActivitySim 1.6.0 reads from trees of `tools/adapters/trees.py`; see `activitysim_check.py --record`."""

BASE = {
    "settings.yaml": """
models: [initialize_households, auto_ownership_simulate]
households_sample_size: 10   # a sample
num_processes: 2
chunk_size: 0
rng_base_seed: 7
input_table_list:
  - {tablename: households, filename: households.csv}
values_of_time: {1: 6.01, 2: 8.81}
""",
    "auto_ownership.yaml": "SPEC: auto_ownership.csv\nCOEFFICIENTS: auto_ownership_coefficients.csv\n",
    "auto_ownership.csv": "Label,Expression,c0,c1\n# none\nutil_a,drivers==2,,coef_a\nutil_b,drivers==3,,coef_b\n",
    "auto_ownership_coefficients.csv": "coefficient_name,value,constrain\ncoef_a,0.5,F\ncoef_b,1.0,F\n",
    "size_terms.csv": "segment,TOTHH\nwork,1.0\n",
    "logging.yaml": "level: !!python/name:logging.INFO\n",
}
NEAR = {"settings.yaml": "inherit_settings: true\nhouseholds_sample_size: 0\n"}
DATA = {"households.csv": "id,zone\n1,5\n", "skims.omx": "bytes"}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def model(here: Path) -> ActivitySimAdapter:
    return ActivitySimAdapter([write(here / "local", NEAR), write(here / "configs", BASE)], write(here / "data", DATA))


def info(adapter: Any) -> dict[str, Any]:
    return prepare_adapter(adapter, Path.cwd(), lambda path: digest_path(path).value).info


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def model_run() -> Path:
    return made()


# ---------------------------------------------------------------- what is read


def test_the_settings_are_those_that_activitysim_reads(here: Path) -> None:
    """Recorded answers of ActivitySim's own reader."""
    recorded = json.loads(RECORDED.read_text())
    assert len(recorded) >= 60
    refused = 0
    for seed, answers in recorded.items():
        folders = make(here / seed, int(seed))
        for name, theirs in answers.items():
            try:
                found = read_settings(name, folders, lambda path: text_of(path, path.read_bytes()))
                ours = shown((found.values, [path.relative_to(here / seed).as_posix() for path in _paths(found)]))
            except ConsistError:
                ours = "refused"
                refused += 1
            assert ours == theirs, (seed, name)
    assert refused > 20


def _paths(settings: Any) -> list[Path]:
    return [source.path for source in settings.sources]


def test_the_first_folder_wins_key_by_key_with_inheritance(model: ActivitySimAdapter) -> None:
    settings = model.settings()
    assert settings["households_sample_size"] == 0
    assert settings["rng_base_seed"] == 7
    assert settings["values_of_time"] == {1: 6.01, 2: 8.81}
    assert model.settings("auto_ownership") == {
        "SPEC": "auto_ownership.csv",
        "COEFFICIENTS": "auto_ownership_coefficients.csv",
    }


def test_the_settings_that_were_used_are_written_with_their_files(model: ActivitySimAdapter, here: Path) -> None:
    text = model.write_settings(here / "settings-used.yaml").read_text()
    assert "# settings.yaml: local/settings.yaml, configs/settings.yaml\n" in text
    assert yaml.safe_load(text)["settings.yaml"] == model.settings()


def test_the_folders_are_arguments_of_activitysim(model: ActivitySimAdapter, here: Path) -> None:
    place = [str(here / name) for name in ("local", "configs", "data")]
    assert model.arguments() == ["-c", place[0], "-c", place[1], "-d", place[2]]


# ---------------------------------------------------------------- what counts

READ = {
    "a setting": ("configs/settings.yaml", "seed: 7", "seed: 8", "settings.yaml: rng_base_seed: 7 -> 8"),
    "a nearer one": (
        "local/settings.yaml", "_size: 0", "_size: 5", "settings.yaml: households_sample_size: 0 -> 5"
    ),
    "a whole number with a point": (
        "configs/settings.yaml", "seed: 7", "seed: 7.0", "settings.yaml: rng_base_seed: 7 -> 7.0"
    ),
    "inside a mapping": (
        "configs/settings.yaml", "2: 8.81", "2: 8.82", "settings.yaml: values_of_time.'(2)': 8.81 -> 8.82"
    ),
    "a coefficient": (
        "configs/auto_ownership_coefficients.csv", "coef_a,0.5", "coef_a,0.6",
        "auto_ownership_coefficients.csv: coef_a.value: '0.5' -> '0.6'",
    ),
    "an expression": (
        "configs/auto_ownership.csv", "drivers==2", "drivers==4",
        "auto_ownership.csv: util_a: 'drivers==2,,coef_a' -> 'drivers==4,,coef_a'",
    ),
    "the order of rows": (
        "configs/auto_ownership_coefficients.csv", "coef_a,0.5,F\ncoef_b,1.0,F", "coef_b,1.0,F\ncoef_a,0.5,F",
        "auto_ownership_coefficients.csv: content differs",
    ),
    "the order of inner keys": (
        "configs/settings.yaml", "{1: 6.01, 2: 8.81}", "{2: 8.81, 1: 6.01}", "settings.yaml: content differs"
    ),
    "a row of a table that nobody names": (
        "configs/size_terms.csv", "work,1.0", "work,1.5", "size_terms.csv: work.TOTHH: '1.0' -> '1.5'"
    ),
    "a comment in a table that nobody names": (
        "configs/size_terms.csv", "work,1.0", "work,1.0\n#school,2.0",
        "size_terms.csv: #school.TOTHH: (missing) -> '2.0'",
    ),
    "a data file": ("data/skims.omx", "bytes", "other", "data/skims.omx: content differs"),
}  # fmt: skip


@pytest.mark.parametrize("what", READ)
def test_an_edit_of_what_is_read_misses_by_file_and_key(model: ActivitySimAdapter, what: str) -> None:
    path, old, new, line = READ[what]
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(model_run, outputs=["out"], adapter=model)
        edit(path, old, new)
        again = tracker.run(model_run, outputs=["out"], adapter=model)
    assert not again.cache_hit
    said = again.run.meta["cache_miss_explanation"]
    assert [text.replace("'#school'", "#school") for text in said["differs"]] == [line]


UNREAD = {
    "a shadowed key": (
        "configs/settings.yaml", "_size: 10", "_size: 20",
        "configs/settings.yaml (shadowed): households_sample_size: 10 -> 20",
    ),
    "a run-only key": (
        "configs/settings.yaml", "num_processes: 2", "num_processes: 8",
        "settings.yaml (run-only): num_processes: 2 -> 8",
    ),
    "logging": ("configs/logging.yaml", "INFO", "DEBUG", "logging.yaml (run-only): changed"),
    "a comment": ("configs/settings.yaml", "a sample", "a small sample", ""),
    "a comment of a specification": ("configs/auto_ownership.csv", "# none", "# nothing", ""),
    "the order of keys": (
        "configs/auto_ownership.yaml", "SPEC: auto_ownership.csv\nCOEFFICIENTS: auto_ownership_coefficients.csv",
        "COEFFICIENTS: auto_ownership_coefficients.csv\nSPEC: auto_ownership.csv", "",
    ),
    "layout": ("configs/settings.yaml", "_time: {1: 6.01, 2: 8.81}", "_time:\n  1: 6.01\n  2: 8.81", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", UNREAD)
def test_an_edit_of_what_is_not_read_hits_and_the_hit_says_so(model: ActivitySimAdapter, what: str) -> None:
    path, old, new, line = UNREAD[what]
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(model_run, outputs=["out"], adapter=model)
        edit(path, old, new)
        again = tracker.run(model_run, outputs=["out"], adapter=model)
        assert again.cache_hit
        why = again.run.why()
    assert why.notes == ([f"differs and does not count: {line}"] if line else [])
    assert all(note in str(why) for note in why.notes)


def test_a_shadowed_file_and_one_that_no_longer_shadows(model: ActivitySimAdapter) -> None:
    write(Path("local"), {"size_terms.csv": "segment,TOTHH\nwork,9\n"})
    before = info(model)
    edit("configs/size_terms.csv", "1.0", "2.0")
    assert drift(info(model), before) == ["configs/size_terms.csv (shadowed): changed"]
    assert info(model)["digest"] == before["digest"]
    Path("local/size_terms.csv").unlink()
    assert info(model)["digest"] != before["digest"]


def test_a_folder_that_only_repeats_what_counts_is_no_other_work(model: ActivitySimAdapter, here: Path) -> None:
    """Where the values lie does not count, nor does a folder in between of which nothing is read."""
    merged = write(here / "merged", {**BASE, "settings.yaml": BASE["settings.yaml"].replace("_size: 10", "_size: 0")})
    assert info(ActivitySimAdapter(merged, here / "data"))["digest"] == info(model)["digest"]


def test_a_traced_household_counts_with_a_sample_only(model: ActivitySimAdapter) -> None:
    """In a sample it takes the place of another household."""
    before = info(model)["digest"]
    write(Path("local"), {"settings.yaml": NEAR["settings.yaml"] + "trace_hh_id: 12\n"})
    assert info(model)["digest"] == before
    edit("local/settings.yaml", "_size: 0", "_size: 10")
    sampled = info(model)["digest"]
    edit("local/settings.yaml", "trace_hh_id: 12", "trace_hh_id: 13")
    assert info(model)["digest"] != sampled


def test_what_is_run_only_can_be_said_and_is_recorded(model: ActivitySimAdapter, here: Path) -> None:
    folders, data = model.configs, model.data
    counted = ActivitySimAdapter(folders, data, run_only={"chunk_size": None, "rng_base_seed": "tried with many"})
    before, told = info(counted), unpacked(info(counted)["aside"])
    assert told["run-only settings: chunk_size"] == "(counts)"
    assert told["run-only settings: rng_base_seed"] == "tried with many"
    assert told["settings.yaml (run-only): rng_base_seed"] == 7
    edit("configs/settings.yaml", "seed: 7", "seed: 8")
    assert info(counted)["digest"] == before["digest"]
    edit("configs/settings.yaml", "chunk_size: 0", "chunk_size: 1")
    assert info(counted)["digest"] != before["digest"]


def test_data_that_the_step_gets_as_inputs_do_not_count_twice(model: ActivitySimAdapter) -> None:
    adapter = ActivitySimAdapter(model.configs, model.data, inputs=["households.csv"])
    before = info(adapter)["digest"]
    edit("data/households.csv", "1,5", "1,6")
    assert info(adapter)["digest"] == before


def test_a_file_that_settings_name_outside_the_folders_counts(model: ActivitySimAdapter, here: Path) -> None:
    write(here / "elsewhere", {"zones.csv": "a,b\n1,2\n"})
    edit("configs/settings.yaml", "households.csv", "../elsewhere/zones.csv")
    before = info(model)["digest"]
    edit("elsewhere/zones.csv", "1,2", "1,3")
    assert info(model)["digest"] != before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a,b,c\nx,1,2\nx,3,4\n", "a,b,c\nx,1,2\nx,3,5\n"),
        ("a,b,c\nx,1,2\nx,3,4\nx ((2)),5,6\n", "a,b,c\nx,1,2\nx,9,4\nx ((2)),5,6\n"),
        ("a,b,b\nx,1,2\n", "a,b,b\nx,3,2\n"),
        ('Label,Expression\nx,"a\n#b\nc"\ny,1\n', 'Label,Expression\nx,"a\n#d\nc"\ny,1\n'),
        ('Label,Expression\nx,"a\n#b"\ny,1\n', 'Label,Expression\nx,"a\n#d"\ny,1\n'),
        ("(columns),b\n(columns),1\n(order),2\n", "(columns),b\n(columns),3\n(order),2\n"),
        ("a\nx\n", "a\ny\n"),
        ('a,b\n"x,1\n', 'a,b\n"y,1\n'),
    ],
)
def test_no_table_is_read_so_that_a_change_is_lost(model: ActivitySimAdapter, before: str, after: str) -> None:
    table = Path("configs/auto_ownership.csv")
    table.write_text(before)
    first = info(model)["digest"]
    table.write_text(after)
    assert info(model)["digest"] != first


def test_a_file_of_the_data_is_told_from_one_of_the_configs(model: ActivitySimAdapter, here: Path) -> None:
    write(here / "configs", {"data/skims.omx": "a"})
    before = info(model)["digest"]
    for path in ("configs/data/skims.omx", "data/skims.omx"):
        text = Path(path).read_text()
        edit(path, text, "c")
        assert info(model)["digest"] != before
        edit(path, "c", text)
    assert info(model)["digest"] == before


def test_a_broken_file_that_is_never_read_is_no_error(model: ActivitySimAdapter) -> None:
    write(Path("local"), {"auto_ownership.yaml": BASE["auto_ownership.yaml"]})
    before = info(model)
    Path("configs/auto_ownership.yaml").write_text("a: [")
    assert info(model)["digest"] == before["digest"]
    assert drift(info(model), before)[0].startswith("configs/auto_ownership.yaml (shadowed)")


def test_extensions_count_by_their_code(model: ActivitySimAdapter, here: Path) -> None:
    write(here / "ext", {"steps.py": "x = 1\n", "notes.txt": "a"})
    adapter = ActivitySimAdapter(model.configs, model.data, extensions="ext")
    before = info(adapter)["digest"]
    edit("ext/notes.txt", "a", "b")
    assert info(adapter)["digest"] == before
    edit("ext/steps.py", "1", "2")
    assert info(adapter)["digest"] != before


def test_files_are_not_observed_twice_and_a_change_during_the_run_is_told(model: ActivitySimAdapter) -> None:
    def changes() -> Path:
        edit("configs/settings.yaml", "seed: 7", "seed: 9")
        return made()

    told = pytest.warns(UserWarning, match="configs/settings.yaml")
    with Tracker(run_dir="runs", db_path="p.db") as tracker, told:
        found = tracker.run(changes, outputs=["out"], adapter=model)
    assert isinstance(found, RunResult)


def test_secrets_beside_what_counts_are_masked(model: ActivitySimAdapter, here: Path) -> None:
    edit(
        "configs/settings.yaml", "chunk_size: 0", "chunk_size: 0\napi_token: hunter2222\nother: {password: hunter3333}"
    )
    edit("local/settings.yaml", "inherit", "other: 1\ninherit")
    adapter = ActivitySimAdapter(model.configs, model.data, run_only={"api_token": "only logged"})
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(model_run, outputs=["out"], adapter=adapter)
        edit("configs/settings.yaml", "hunter2222", "hunter4444")
        again = tracker.run(model_run, outputs=["out"], adapter=adapter)
        assert again.cache_hit
        said = "settings.yaml (run-only): api_token: masked -> masked (changed)"
        assert again.run.why().notes == [f"differs and does not count: {said}"]
    digest = digest_path(here / "configs" / "settings.yaml").value
    recorded = [path for path in here.rglob("*") if path.is_file() and path.relative_to(here).parts[0].startswith("p.")]
    assert recorded
    for path in recorded:
        assert not any(text in path.read_bytes() for text in (b"hunter", digest.encode())), path


def test_the_adapter_has_a_name(model: ActivitySimAdapter) -> None:
    assert info("activitysim:local,configs")["name"] == "activitysim"


# ---------------------------------------------------------------- what is refused


def test_a_circle_a_template_and_more_are_told_by_file(model: ActivitySimAdapter, here: Path) -> None:
    wrong = {
        "circle": ({"a.yaml": "include_settings: b.yaml", "b.yaml": "include_settings: a.yaml"}, "in a circle: "),
        "itself": ({"a.yaml": "inherit_settings: a.yaml"}, "in a circle: "),
        "template": ({"a.yaml": "zones: {{ zones }}\n"}, "a.yaml, line 1: a template"),
        "not alone": ({"a.yaml": "include_settings: auto_ownership.yaml\nb: 1"}, "must stand alone"),
        "no name": ({"a.yaml": "include_settings: 5"}, "takes the name of a file"),
        "half a suffix": ({"a.yaml": "include_settings: auto_ownership -s x_"}, "takes both or none"),
        "two names": ({"a.yaml": "include_settings: auto_ownership and more"}, "names no settings file"),
        "a list": ({"a.yaml": "- a"}, "settings are a mapping"),
        "not UTF-8": ({"a.yaml": "a: \udcff"}, "not UTF-8"),
        "in itself": ({"a.yaml": "a: &x [*x]"}, "in itself"),
    }
    for files, said in wrong.values():
        for name, text in files.items():
            (here / "local" / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(ConfigFileError, match=said):
            info(model)
        assert info(ActivitySimAdapter(model.configs, model.data, exclude=[*model.exclude, "a.yaml", "b.yaml"]))
        for name in files:
            (here / "local" / name).unlink()
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        write(here / "local", {"a.yaml": "inherit_settings: a.yaml"})
        with pytest.raises(ConfigFileError):
            tracker.run(model_run, outputs=["out"], adapter=model)
        assert tracker.find_runs() == []


@pytest.mark.parametrize(
    ("make_one", "error", "said"),
    [
        (lambda: ActivitySimAdapter([]), UsageError, "at least one"),
        (lambda: ActivitySimAdapter(5), UsageTypeError, "a folder or a list"),  # type: ignore[arg-type]
        (lambda: ActivitySimAdapter("configs", run_only={"a": 5}), UsageTypeError, "run_only"),  # type: ignore[dict-item]
        (lambda: ActivitySimAdapter("configs", inputs="a.csv"), UsageTypeError, "names of data files"),
        (lambda: info(ActivitySimAdapter("absent")), InputError, "does not exist"),
        (lambda: info(ActivitySimAdapter(["configs", "./configs"])), InputError, "listed twice"),
        (lambda: info(ActivitySimAdapter("configs", "absent")), InputError, "data folder absent does not exist"),
        (lambda: info(ActivitySimAdapter("configs/settings.yaml")), InputError, "is not a folder"),
        (lambda: info(ActivitySimAdapter("configs", settings_file="x")), InputError, r"has x\.yaml"),
        (lambda: info(ActivitySimAdapter("configs", exclude="settings.yaml")), InputError, "excluded"),
        (lambda: ActivitySimAdapter("configs", settings_file=""), UsageTypeError, "settings_file"),
    ],
)
def test_what_is_given_wrongly(
    model: ActivitySimAdapter, make_one: Callable[[], Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make_one()


def test_a_folder_of_the_tree_is_named_once_even_if_two_have_its_name(here: Path) -> None:
    outside = here / "project"
    outside.mkdir()
    one, two = write(here / "a" / "configs", NEAR), write(here / "b" / "configs", BASE)
    tree = Tree([one, two], outside)
    assert [tree.label(path) for path in tree.names["settings.yaml"]] == [
        "configs/settings.yaml",
        "configs'/settings.yaml",
    ]
    shutil.rmtree(outside)
