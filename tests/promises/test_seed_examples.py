"""The examples of the page this library answers to, run as printed with one import changed, in fresh interpreters."""

from pathlib import Path

import pytest

from tests.support.api import run_script

HEAD = """
from pathlib import Path
import consist_es as consist
from consist_es import BindingResult, ExecutionOptions, RunContext, Tracker

tracker = Tracker(run_dir="./runs", db_path="./provenance.duckdb")
"""

MINIMAL = """
def prepare() -> Path:
    out = consist.output_path("prepared", ext="txt")
    out.write_text("prepared\\n")
    return out

def analyze(prepared_artifact) -> Path:
    out = consist.output_path("analysis", ext="txt")
    out.write_text(prepared_artifact.path.read_text())
    return out

with tracker.scenario("baseline") as sc:
    prep = sc.run(fn=prepare, name="prepare", outputs=["prepared"])
    analysis = sc.run(
        fn=analyze,
        name="analyze",
        inputs={"prepared_artifact": consist.ref(prep, key="prepared")},
        outputs=["analysis"],
    )
"""

BINDING = """
def prepare(raw: Path) -> dict[str, Path]:
    out = consist.output_path("prepared", ext="parquet")
    out.write_text("prepared\\n")
    return {"prepared": out}


def analyze(prepared: Path) -> dict[str, Path]:
    out = consist.output_path("analysis", ext="parquet")
    out.write_text(prepared.read_text())
    return {"analysis": out}


with tracker.scenario("baseline") as sc:
    prep = sc.run(
        fn=prepare,
        inputs={"raw": Path("raw.csv")},
        execution_options=ExecutionOptions(input_binding="paths"),
        outputs=["prepared"],
    )

    analysis = sc.run(
        fn=analyze,
        binding=BindingResult(
            inputs={"prepared": consist.ref(prep, key="prepared")},
            input_keys=["prepared"],
        ),
        execution_options=ExecutionOptions(input_binding="loaded"),
        outputs=["analysis"],
    )
"""

CONTEXT = """
def my_step(ctx: RunContext):
    # Access the run's dedicated directory
    output_path = ctx.run_dir / "results.csv"
    output_path.write_text("a\\n1\\n")
    ctx.log_artifact(output_path, "results")

with tracker.scenario("baseline") as sc:
    prep = sc.run(fn=my_step, execution_options=ExecutionOptions(inject_context=True))
    analysis = prep
"""

COUPLER = """
def preprocess_fn(raw):
    out = consist.output_path("clean", ext="txt")
    out.write_text("clean\\n")
    return out

def model_fn(clean: Path):
    out = consist.output_path("results", ext="txt")
    out.write_text(clean.read_text())
    return out

with tracker.scenario("base_case") as sc:
    # Step 1: Pre-process
    prep = sc.run(preprocess_fn, inputs={"raw": "data.csv"}, outputs=["clean"])
    # Step 2: Model (reads "clean" from the coupler automatically)
    analysis = sc.run(model_fn, input_keys=["clean"], outputs=["results"])
"""

TAIL = """
print(prep.cache_hit, analysis.cache_hit, sc.run_id, analysis.output.path.read_text().split()[0])
"""


@pytest.mark.parametrize(
    ("body", "scenario", "result"),
    [
        (MINIMAL, "baseline", "prepared"),
        (BINDING, "baseline", "prepared"),
        (CONTEXT, "baseline", "a"),
        (COUPLER, "base_case", "clean"),
    ],
    ids=["minimal", "binding", "context", "coupler"],
)
def test_an_example_of_the_page_runs_as_printed_and_hits_in_the_next_process(
    tmp_path: Path, body: str, scenario: str, result: str
) -> None:
    (tmp_path / "raw.csv").write_text("a\n1\n")
    (tmp_path / "data.csv").write_text("a\n1\n")
    script = tmp_path / "model.py"
    script.write_text(HEAD + body + TAIL)
    assert run_script(script).stdout == f"False False {scenario} {result}\n"
    assert run_script(script).stdout == f"True True {scenario}#2 {result}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data.csv",
        "model.py",
        "provenance.duckdb",
        "provenance.duckdb.lock",
        "provenance.events",
        "raw.csv",
        "runs",
    ]


def test_a_changed_function_runs_again_in_the_next_process_and_what_follows_it_too(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(HEAD + MINIMAL + TAIL)
    run_script(script)
    script.write_text((HEAD + MINIMAL + TAIL).replace('"prepared\\n"', '"ready\\n"'))
    assert run_script(script).stdout == "False False baseline#2 ready\n"


def test_a_changed_function_that_writes_the_same_bytes_leaves_what_follows_cached(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(HEAD + MINIMAL + TAIL)
    run_script(script)
    script.write_text((HEAD + MINIMAL + TAIL).replace('"prepared\\n"', '"prep" + "ared\\n"'))
    assert run_script(script).stdout == "False True baseline#2 prepared\n"


def test_a_change_of_the_workflow_around_the_steps_leaves_them_cached(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(HEAD + MINIMAL + TAIL)
    run_script(script)
    script.write_text(HEAD + "# a note\nUNUSED = 3\n" + MINIMAL + "\nprint(end='')\n" + TAIL)
    assert run_script(script).stdout == "True True baseline#2 prepared\n"
