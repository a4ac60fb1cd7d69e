"""`run_container` under the name and with the arguments of LBNL's consist."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ContainerResult, Tracker
from consist_es.errors import OptionError, ProgramError, UsageError, UsageTypeError
from tests.support.api import made, output_of
from tests.support.engines import Stub, TestEngine

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for an engine is a shell script")
IMAGE = "localhost/model:1"
ROOT = Path(__file__).resolve().parents[2]


def run(tracker: Tracker, engine: TestEngine, **more: Any) -> ContainerResult:
    """Sort an input into an output, both in one volume."""
    folder = Path("runs/work").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not Path(folder, "in.csv").exists():
        Path(folder, "in.csv").write_text("b\na\n")
    given: dict[str, Any] = {
        "run_id": "sort",
        "image": IMAGE,
        "command": ["sh", "-c", "cat /data/in.csv /version > /data/out.csv; echo '{done}'"],
        "volumes": {str(folder): "/data"},
        "inputs": [folder / "in.csv"],
        "outputs": {"sorted": folder / "out.csv"},
        "backend_type": engine.name,
    }
    return consist.run_container(tracker, **{**given, **more})


def test_a_container_is_a_run_of_its_own_and_its_outputs_are_put_back_on_a_hit(
    tracker: Tracker, engine: TestEngine
) -> None:
    digest = engine.tag(IMAGE, "one")
    first = run(tracker, engine)
    out = Path("runs/work/out.csv")
    assert out.read_text() == "b\na\none"
    assert (first.cache_hit, first.image_digest, list(first.artifacts)) == (False, digest, ["sorted"])
    assert first.output == first.artifacts["sorted"]
    assert first.manifest["command"][0] == "sh"
    again = run(tracker, engine)
    assert (again.cache_hit, again.cache_source) == (True, "sort")
    assert again.manifest_hash == first.manifest_hash
    assert out.read_text() == "b\na\none"


def test_a_moved_tag_and_another_input_run_again(tracker: Tracker, stub: Stub) -> None:
    run(tracker, stub)
    stub.tag(IMAGE, "two")
    second = run(tracker, stub)
    assert not second.cache_hit
    assert Path("runs/work/out.csv").read_text() == "b\na\ntwo"
    Path("runs/work/in.csv").write_text("c\n")
    assert not run(tracker, stub).cache_hit


def test_lineage_mode_none_runs_it_and_records_nothing(tracker: Tracker, engine: TestEngine) -> None:
    result = run(tracker, engine, lineage_mode="none")
    assert Path("runs/work/out.csv").read_text() == "b\na\none"
    assert (result.artifacts, result.cache_hit) == ({}, False)
    assert tracker.find_runs() == []
    with pytest.raises(ProgramError, match="exit code 4"):
        run(tracker, engine, lineage_mode="none", command=["sh", "-c", "exit 4"])


def test_within_a_step_it_belongs_to_the_step_which_is_never_reused(tracker: Tracker, engine: TestEngine) -> None:
    def model() -> Path:
        result = run(tracker, engine)
        assert list(result.artifacts) == ["sorted"]
        return made(text="x")

    first = tracker.run(model, name="model")
    assert [artifact.key for artifact in tracker.get_artifacts_for_run(first.run.id).inputs.values()] == ["in"]
    assert set(tracker.get_artifacts_for_run(first.run.id).outputs) == {"model", "sorted"}
    engine.tag(IMAGE, "two")
    second = tracker.run(model, name="model")
    assert not second.cache_hit
    assert "a container that run_container started inside it" in str(second.run.why())
    assert Path("runs/work/out.csv").read_text() == "b\na\ntwo"


def test_a_missing_output_is_a_warning_and_the_run_is_not_reused(tracker: Tracker, stub: Stub) -> None:
    for _ in range(2):
        with pytest.warns(consist.ConsistWarning, match="did not produce its output 'sorted'"):
            assert not run(tracker, stub, command="true").cache_hit


def test_the_name_of_their_module_is_ours(tracker: Tracker, stub: Stub) -> None:
    from consist_es.lbnl.integrations import containers

    assert containers.run_container is consist.run_container
    first = run(tracker, stub, volumes={Path("runs/work").absolute(): {"bind": "/data", "mode": "rw"}})
    assert output_of(first).path.exists()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"backend_type": "lxc"}, OptionError, "use one of 'docker', 'podman', 'singularity', 'apptainer'"),
        ({"lineage_mode": "some"}, OptionError, "use one of 'full', 'none'"),
        ({"pull_latest": True}, UsageError, "pulls nothing"),
        ({"output_log_kwargs": {"meta": {}}}, UsageError, "takes no output_log_kwargs"),
        ({"volumes": {"/somewhere": "/d"}}, UsageError, "strict_mounts=False"),
        ({"volumes": ["/a:/d"]}, UsageTypeError, "mounts"),
        ({"outputs": "out.csv"}, UsageTypeError, "takes a list of paths, or paths by key"),
        ({"outputs": ["a/x.csv", "b/x.csv"]}, UsageError, "two outputs have one file name"),
        ({"outputs": ["/elsewhere/x.csv"]}, UsageError, "where the container sees nothing"),
        ({"command": 3}, UsageTypeError, "takes a list of str"),
    ],
)
def test_wrong_arguments_are_refused_and_nothing_is_recorded(
    tracker: Tracker, stub: Stub, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(tracker, stub, **given)
    assert tracker.find_runs() == []


def test_the_page_about_containers_runs_as_it_is_printed(here: Path, engine: TestEngine) -> None:
    page = (ROOT / "docs" / "howto" / "containers.md").read_text("utf-8")
    code = "\n".join(re.findall(r"```python no-run\n(.*?)```", page, re.DOTALL))
    code = code.replace('"podman"', repr(engine.name))
    with pytest.warns(consist.ConsistWarning, match="the container can read"):
        exec(compile(code, "containers.md", "exec"), {"__name__": "page"})
