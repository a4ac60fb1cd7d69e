"""What each format says of hits, misses, failures, killed and running runs. The official validators read them in
`tools/dev.py external exports`."""

import itertools
import json
import math
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from consist_es import Tracker
from consist_es.exports.trace import _Lanes
from tests.support.exported import HOSTILE, LICENCE, SCENARIOS, SECRET, break_down, crate_options, lines, play
from tests.support.exported import tracker as opened

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
SCHEMAS = Path(os.environ.get("OPENLINEAGE_SCHEMAS", Path(__file__).parents[3] / "shared" / "data" / "openlineage"))
FILES = ("openlineage", "prov", "trace", "mermaid", "dot")
FORMATS = (*FILES, "parquet", "ro-crate")


def exported(tracker: Tracker, format: str, folder: Path, scenarios: Any = None, **more: Any) -> Path:
    """An export in a free place of a folder."""
    if format == "ro-crate":
        more = {**crate_options(folder), **more}
        scenarios = scenarios or "baseline#1"
    return tracker.export(format, folder / f"{len(list(folder.iterdir()))}.{format}", scenarios, **more)


def bytes_of(path: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    return {file.relative_to(path.parent).name: file.read_bytes() for file in files}


# ---------------------------------------------------------------- all formats


@pytest.mark.parametrize("format", FORMATS)
def test_two_exports_of_one_state_are_equal_byte_for_byte(format: str, tracker: Tracker, tmp_path: Path) -> None:
    one, two = (bytes_of(exported(tracker, format, tmp_path)) for _ in range(2))
    assert [*one.values()] == [*two.values()]
    assert any(one.values())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_kind_of_scenario_can_be_exported_and_no_secret_leaves(
    format: str, scenario: str, tracker: Tracker, tmp_path: Path
) -> None:
    written = bytes_of(exported(tracker, format, tmp_path, [scenario]))
    assert written
    assert not any(SECRET.encode() in text for text in written.values())


def test_without_scenarios_everything_is_exported_also_steps_outside_of_them(tracker: Tracker, tmp_path: Path) -> None:
    events = lines(exported(tracker, "openlineage", tmp_path))
    starts = [event["job"]["name"] for event in events if event["eventType"] == "START"]
    assert Counter(starts)["prepare"] == 1
    assert len(starts) == len(SCENARIOS) * 4 + 1
    only = lines(exported(tracker, "openlineage", tmp_path, ["edited", "baseline#2", "edited"]))
    assert {event["job"]["name"].partition(".")[0] for event in only} == {"edited", "baseline"}
    assert sum(event["eventType"] == "START" for event in only) == 8


def test_what_was_redacted_is_in_no_export(here: Path) -> None:
    (here / "inputs").mkdir()
    (here / "inputs" / "zones.csv").write_text("zone,people\n1,20\n")
    with opened(here) as own:
        with pytest.raises(ValueError, match="no zone"):
            play(own, "failing", last=break_down, note="told too much")
        types = (
            "scenario_started",
            "step_started",
            "step_failed",
            "scenario_exited",
            "artifact_logged",
            "cache_missed",
        )
        found = own.project.connection().execute("SELECT seq, type FROM audit_index").fetchall()
        own.project.redact([seq for seq, kind in found if kind in types], "a test")
        written = [text for each in FORMATS for text in bytes_of(exported(own, each, here, "failing")).values()]
    assert len(written) == 5 + 7 + 2
    for word in (b"told too much", b"no zone", b"How failing goes", b"zones.csv"):
        assert not any(word in text for text in written), word


# ---------------------------------------------------------------- OpenLineage


@pytest.fixture(scope="module")
def events(tracker: Tracker, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return lines(exported(tracker, "openlineage", tmp_path_factory.mktemp("events")))


def of_job(events: list[Any], job: str, kind: str) -> Any:
    return next(event for event in events if (event["job"]["name"], event["eventType"]) == (job, kind))


def tags(event: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]}


def test_every_run_starts_once_and_ends_as_it_ended(events: list[Any]) -> None:
    kinds: dict[str, list[str]] = {}
    for event in events:
        kinds.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert {tuple(found) for found in kinds.values()} == {
        ("START",), ("START", "COMPLETE"), ("START", "FAIL"), ("START", "ABORT"),
    }  # fmt: skip
    assert sum(found == ["START"] for found in kinds.values()) == 2  # the running scenario, and its step
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)


def test_events_say_why_a_step_was_computed_or_which_run_answered(events: list[Any]) -> None:
    hit = tags(of_job(events, "failing.grow", "START"))
    assert (hit["cache"], hit["cache_source"], hit["year"], hit["iteration"]) == ("hit", "baseline_grow", "2030", "1")
    missed = tags(of_job(events, "edited.report", "START"))
    assert missed["cache_reason"] == "config_changed"
    assert missed["slow"] == "true"


def test_a_config_is_written_as_people_write_it_and_secrets_are_masked(events: list[Any]) -> None:
    def parameters(job: str) -> dict[str, str]:
        facet = of_job(events, job, "START")["run"]["facets"]["executionParameters"]
        return {item["key"]: item["value"] for item in facet["parameters"]}

    assert parameters("baseline.grow") == {"growth": "1.5", "rate": "{2025: 1.0, 2030: nan}"}
    assert parameters("baseline")["token"] == "masked"


def test_files_have_the_names_that_openlineage_gives_them(events: list[Any], record: Path) -> None:
    start, end = (of_job(events, "baseline.prepare", kind) for kind in ("START", "COMPLETE"))
    (zones,), (people,) = start["inputs"], end["outputs"]
    assert (zones["namespace"], zones["name"]) == ("inputs://", "zones.csv")
    assert people["namespace"] == "file"
    assert Path(people["name"]).read_bytes() == (record / "inputs" / "zones.csv").read_bytes()
    assert people["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert people["facets"]["version"]["datasetVersion"].startswith("b3:")
    assert [field["name"] for field in people["facets"]["schema"]["fields"]] == ["zone", "people"]


def test_a_failure_and_a_killed_run_say_so(events: list[Any]) -> None:
    failed = of_job(events, "failing.break_down", "FAIL")["run"]["facets"]["errorMessage"]
    assert failed["message"] == 'ValueError: no zone <b>"7"</b>'
    assert "break_down" in failed["stackTrace"]
    assert "is gone" in of_job(events, "killed.die", "ABORT")["run"]["facets"]["errorMessage"]["message"]


@pytest.mark.skipif(
    not (SCHEMAS / "OpenLineage.json").is_file(),
    reason="wanted in ../shared/data/openlineage: OpenLineage.json and facets/ of the folder spec of "
    "github.com/OpenLineage/OpenLineage",
)
def test_events_and_facets_are_as_the_schemas_of_openlineage_want_them(events: list[Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed: see the extra test")
    from referencing import Registry, Resource

    found = [json.loads(path.read_text()) for path in (SCHEMAS / "OpenLineage.json", *SCHEMAS.glob("facets/*.json"))]
    registry = Registry().with_resources([(item["$id"], Resource.from_contents(item)) for item in found])
    checkers: dict[str, Any] = {}

    def problems(value: Any, url: str) -> list[str]:
        if url not in checkers:
            checkers[url] = jsonschema.Draft202012Validator({"$ref": url}, registry=registry)
        return [error.message for error in checkers[url].iter_errors(value)]

    assert problems({**events[0], "eventTime": None}, events[0]["schemaURL"])
    checked = 0
    for event in events:
        assert problems(event, event["schemaURL"]) == []
        sets = [event["run"]["facets"], event["job"]["facets"]]
        for item in event["inputs"] + event["outputs"]:
            sets += [item.get(name, {}) for name in ("facets", "inputFacets", "outputFacets")]
        for facet in (facet for one in sets for facet in one.values()):
            checked += 1
            assert problems(facet, facet["_schemaURL"]) == []
    assert checked > 300


# ---------------------------------------------------------------- PROV


@pytest.fixture(scope="module")
def document(tracker: Tracker, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return json.loads(exported(tracker, "prov", tmp_path_factory.mktemp("prov")).read_text())


def test_every_relation_is_between_things_that_are_told(document: Any) -> None:
    known = {*document["entity"], *document["activity"], *document["agent"]}
    ends = ("activity", "entity", "agent", "plan", "starter", "informed", "informant", "delegate", "responsible")
    named = [
        relation[f"prov:{end}"]
        for part, relations in document.items()
        if part not in ("prefix", "entity", "activity", "agent")
        for relation in relations.values()
        for end in ends
        if f"prov:{end}" in relation
    ]
    assert set(named) <= known
    assert len(named) > 100


def test_a_file_is_made_once_and_reused_by_hits(document: Any) -> None:
    made = Counter(item["prov:entity"] for item in document["wasGeneratedBy"].values())
    assert set(made.values()) == {1}
    reused = [item for item in document["used"].values() if "prov:type" in item]
    labels = {key: item["prov:label"] for key, item in document["activity"].items()}
    assert {labels[item["prov:activity"]].rpartition("_")[2] for item in reused} >= {"prepare", "grow"}
    informed = {
        labels[item["prov:informed"]]: labels[item["prov:informant"]] for item in document["wasInformedBy"].values()
    }
    assert informed["failing_grow"] == "baseline_grow"
    assert "wasDerivedFrom" not in document


def test_outcomes_are_told_and_unknown_ends_are_left_out(document: Any) -> None:
    found = {item["prov:label"]: item for item in document["activity"].values()}
    outcomes = {"baseline_report": "computed", "failing_grow": "hit", "failing_break_down": "failed"}
    outcomes |= {"killed_die": "abandoned", "running_wait": "running", "running": "running"}
    assert {label: found[label]["es:outcome"] for label in outcomes} == outcomes
    assert "prov:endTime" not in found["running_wait"]
    assert "prov:endTime" not in found["killed_die"]
    assert "prov:endTime" in found["baseline_report"]


# ---------------------------------------------------------------- RO-Crate


def graph(crate: Path) -> dict[str, Any]:
    entities = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities), "an entity twice"
    return found


def listed(value: Any) -> list[str]:
    return [item["@id"] for item in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_crate_refers_only_to_what_it_tells(scenario: str, tracker: Tracker, tmp_path: Path) -> None:
    found = graph(exported(tracker, "ro-crate", tmp_path, scenario))
    outside = ("https://w3id.org/ro/crate/1.1",)
    for entity in found.values():
        for value in entity.values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    assert item["@id"] in found or item["@id"] in outside, (entity["@id"], item)
    kinds = Counter(kind for entity in found.values() for kind in [entity["@type"]] if isinstance(kind, str))
    assert (kinds["CreateAction"], kinds["ControlAction"], kinds["OrganizeAction"]) == (4, 3, 1)


def test_a_crate_invents_nobody(tracker: Tracker, tmp_path: Path) -> None:
    plain = graph(exported(tracker, "ro-crate", tmp_path))
    assert {"author", "publisher"}.isdisjoint(plain["./"])
    assert plain["./"]["license"] == {"@id": f"https://spdx.org/licenses/{LICENCE}"}
    people = [entity for entity in plain.values() if entity["@type"] in ("Person", "Organization")]
    assert len(people) <= 1  # the user of the process, as it was recorded
    orcid = "https://orcid.org/0000-0002-1825-0097"
    said = {"author": orcid, "publisher": "An Institute", "published": "2031-02-03", "license": "https://a.example/l"}
    told = graph(exported(tracker, "ro-crate", tmp_path, **said))
    assert told["./"]["author"] == {"@id": orcid}
    assert told[listed(told["./"]["publisher"])[0]]["name"] == "An Institute"
    assert told["./"]["datePublished"] == "2031-02-03"
    assert told["./"]["license"] == {"@id": "https://a.example/l"}


def test_failures_are_told_and_ends_that_are_unknown_are_left_out(tracker: Tracker, tmp_path: Path) -> None:
    failing = graph(exported(tracker, "ro-crate", tmp_path, "failing"))
    (action,) = (entity for entity in failing.values() if entity.get("name") == "failing_break_down")
    assert action["error"] == 'no zone <b>"7"</b>'
    assert action["actionStatus"].endswith("FailedActionStatus")
    running = graph(exported(tracker, "ro-crate", tmp_path, "running"))
    (action,) = (entity for entity in running.values() if entity.get("name") == "running_wait")
    assert action["actionStatus"].endswith("ActiveActionStatus")
    assert "endTime" not in action


def test_a_crate_with_data_has_the_recorded_bytes_and_no_others(record: Path, tmp_path: Path) -> None:
    with opened(record) as tracker:
        (artifact,) = (item for item in tracker.find_artifacts(key="report", limit=None) if "edited" in str(item.path))
        before = artifact.path.read_bytes()
        whole = exported(tracker, "ro-crate", tmp_path, "edited", data=True)
        try:
            artifact.path.write_bytes(b"overwritten")
            with pytest.warns(UserWarning, match="1 file not in the crate.*: report"):
                less = exported(tracker, "ro-crate", tmp_path, "edited", data=True)
        finally:
            artifact.path.write_bytes(before)
    files = {item["name"]: item for item in graph(whole).values() if "contentSize" in item}
    assert (whole / files["report"]["@id"]).read_bytes() == before
    assert (whole / files["zones"]["@id"]).read_text().startswith("zone,people")
    left = {item["name"]: item for item in graph(less).values() if "contentSize" in item}
    assert left["report"]["@id"].startswith("urn:")
    assert left["report"]["contentUrl"] == f"file://{artifact.path}"
    assert not [file for file in less.rglob("*") if file.is_file() and file.read_bytes() == b"overwritten"]


# ---------------------------------------------------------------- Parquet, trace, graphs


def test_tables_have_the_rows_of_the_views_and_types_for_programs(tracker: Tracker, tmp_path: Path) -> None:
    folder = exported(tracker, "parquet", tmp_path)
    conn = tracker.project.connection()
    for name in ("scenarios", "steps", "files", "artifacts", "run_inputs", "run_outputs"):
        table = pq.read_table(folder / f"{name}.parquet")
        wanted = conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
        assert table.num_rows == wanted > 0, name
    steps = pq.read_table(folder / "steps.parquet")
    assert {str(steps.schema.field(name).type) for name in ("started_at", "ended_at")} == {"timestamp[us, tz=UTC]"}
    assert str(steps.schema.field("year").type) == "int64"
    few = pq.read_table(exported(tracker, "parquet", tmp_path, "failing") / "steps.parquet")
    assert few.column("outcome").to_pylist() == ["hit", "hit", "failed"]
    assert few.schema == steps.schema


def test_slices_do_not_overlap_and_arrows_are_between_them(tracker: Tracker, tmp_path: Path) -> None:
    found = json.loads(exported(tracker, "trace", tmp_path).read_text())["traceEvents"]
    names = {event["pid"]: event["args"]["name"] for event in found if event["name"] == "process_name"}
    assert [*names.values()] == [
        "baseline",
        "baseline#2",
        "edited",
        "failing",
        HOSTILE,
        "killed",
        "running",
        "outside scenarios",
    ]
    slices = [event for event in found if event["ph"] in "XB"]
    assert {event["name"]: event["cat"] for event in slices if names[event["pid"]] == "killed"} == {
        "killed": "abandoned", "prepare": "hit", "grow 2030·1": "hit", "die 2030 am": "abandoned",
    }  # fmt: skip
    assert Counter(event["ph"] for event in slices)["B"] == 4  # killed and running have no end
    arrows = [event for event in found if event["ph"] in "sf"]
    assert Counter(Counter(event["id"] for event in arrows).values()) == {2: len(arrows) // 2}
    assert len(arrows) == len(SCENARIOS) * 4
    for event in arrows:
        at = [item for item in slices if (item["pid"], item["tid"]) == (event["pid"], event["tid"])]
        assert any(item["ts"] <= event["ts"] <= item["ts"] + item.get("dur", 1 << 62) for item in at)


def test_charts_have_a_node_for_each_step_and_outside_file_and_say_how_each_ended(
    tracker: Tracker, tmp_path: Path
) -> None:
    chart = exported(tracker, "mermaid", tmp_path, "failing").read_text()
    kinds = re.findall(r":::(\w+)$", chart, re.MULTILINE)
    assert kinds == ["file", "hit", "hit", "failed"]
    assert re.findall(r'-- "(\w+)" -->', chart) == ["zones", "people", "grown"]
    dot = exported(tracker, "dot", tmp_path, "failing").read_text()
    assert re.findall(r"-> \w+ \[label=\"(\w+)\"\]", dot) == ["zones", "people", "grown"]
    assert len(re.findall(r"fillcolor=", dot)) == 4


def test_names_are_no_markup_in_charts(tracker: Tracker, tmp_path: Path) -> None:
    chart = exported(tracker, "mermaid", tmp_path, HOSTILE).read_text()
    title = chart.splitlines()[1]
    assert re.fullmatch(r'  subgraph sc1\["[\w .#;·-]*"\]', title)
    assert HOSTILE not in chart
    dot = exported(tracker, "dot", tmp_path, HOSTILE).read_text()
    (label,) = re.findall(r"^  label=(.*);$", dot, re.MULTILINE)
    assert json.loads(label) == HOSTILE


@pytest.mark.parametrize("seed", range(20))
def test_steps_at_the_same_time_have_lanes_of_their_own(seed: int) -> None:
    draw = random.Random(seed)
    lanes, last = _Lanes(), 0
    taken: dict[int, list[tuple[int, float]]] = {}
    for _ in range(60):
        last = max(0, last + draw.randint(-2, 9))  # starts are in the order of the log, on several clocks
        length = None if draw.random() < 0.05 else draw.randint(1, 25)
        end = math.inf if length is None else last + length
        taken.setdefault(lanes.take(last, length), []).append((last, end))
    assert sorted(taken) == list(range(1, len(taken) + 1))
    for times in taken.values():
        assert all(one[1] <= other[0] for one, other in itertools.pairwise(times))
