"""Queries made for large projects answer as simple Python on a list of runs does."""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.events import (
    ArtifactLogged,
    CacheHit,
    Draft,
    ErrorInfo,
    InputLink,
    MetaLogged,
    OutputsDoubted,
    StepFailed,
)
from consist_es.projections import BUILTIN, cache_index, lineage, near, rarest, run_table
from consist_es.projections.run_rows import RunRow
from consist_es.values.plain import to_plain
from consist_es.views import file as view_file
from consist_es.views.projector import Projector
from tests.support.views import MemoryLog, artifact, completed, fingerprint, scenario, step, within


@contextmanager
def built(drafts: Sequence[Draft]) -> Iterator[sqlite3.Connection]:
    """The views of these events."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "views.db"
        Projector(Path(folder) / "live.db", MemoryLog(drafts), BUILTIN).rebuild(target=target)
        with closing(view_file.connect(target)) as conn:
            yield conn


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three matches are many, so that every condition leads now and then."""
    monkeypatch.setattr(rarest, "COMMON", 3)


# ---------------------------------------------------------------- runs

LONG = "a" * 70
VALUES = st.sampled_from([None, True, 1, 1.0, "1", LONG, LONG + "b", [1], 2**70])
MANY = st.sampled_from([None, "a", "b"])


class Ran(msgspec.Struct):
    """A run as it is told to the log, and as filters see it."""

    name: str
    model: str
    year: int | None
    iteration: int | None
    phase: str | None
    stage: str | None
    parent: str | None
    scenario: str | None
    tags: list[str]
    facet: dict[str, Any]
    meta: dict[str, Any]
    later: dict[str, Any]
    status: str

    def drafts(self, key: str) -> list[Draft]:
        given = {name: getattr(self, name) for name in ("name", "model", "year", "iteration", "phase", "stage")}
        more = {name: to_plain(getattr(self, name), name) for name in ("parent", "tags", "facet", "meta")}
        found = [step(key, scenario=self.scenario, **given, **more)]
        found += [Draft(MetaLogged(values=to_plain(self.later, "later")), run=key)] if self.later else []
        if self.status == "completed":
            found.append(completed(key))
        elif self.status == "failed":
            failed = StepFailed(status="failed", seconds=1.0, error=ErrorInfo(type="E", message=""))
            found.append(Draft(failed, run=key))
        return found

    def meets(self, filters: dict[str, Any]) -> bool:
        return all(self._meets(name, value) for name, value in filters.items())

    def _meets(self, name: str, value: Any) -> bool:
        match name:
            case "tags":
                return {*value} <= {*self.tags}
            case "facet":
                return all(key in self.facet and alike(self.facet[key], each) for key, each in value.items())
            case "metadata":
                meta = self.meta | self.later
                return all(key in meta and alike(meta[key], each) for key, each in value.items())
            case "phase" | "stage" if isinstance(self.later.get(name), str):
                return bool(self.later[name] == value)
        return bool(getattr(self, name) == value)


def alike(one: Any, other: Any) -> bool:
    """True for the same value, also 1 and 1.0, but not 1 and True."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


LABELS = {"year": st.sampled_from([None, 2030, 2040]), "iteration": st.sampled_from([None, 0, 1])}
RUNS = st.lists(
    st.builds(
        Ran,
        name=st.sampled_from("nm"),
        model=st.sampled_from("mn"),
        phase=MANY,
        stage=MANY,
        parent=st.sampled_from([None, "S"]),
        scenario=st.sampled_from([None, "S"]),
        tags=st.lists(st.sampled_from("tu"), unique=True),
        facet=st.dictionaries(st.sampled_from("fg"), VALUES, min_size=1, max_size=2),
        meta=st.dictionaries(st.sampled_from("ab"), VALUES, min_size=1, max_size=2),
        later=st.dictionaries(st.sampled_from(["a", "b", "phase", "stage"]), VALUES, max_size=2),
        status=st.sampled_from(["completed", "failed", "running"]),
        **LABELS,
    ),
    min_size=5,
    max_size=15,
)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from("nmx"),
        "model": st.sampled_from("mnx"),
        "year": st.sampled_from([2030, 2040, 2050]),
        "iteration": st.integers(0, 2),
        "phase": st.sampled_from("abc"),
        "stage": st.sampled_from("abc"),
        "status": st.sampled_from(["completed", "failed", "running", "abandoned"]),
        "parent": st.sampled_from(["S", "x"]),
        "scenario": st.sampled_from(["S", "x"]),
        "tags": st.lists(st.sampled_from("tuv"), max_size=2),
        "facet": st.dictionaries(st.sampled_from("fgh"), VALUES, min_size=1, max_size=2),
        "metadata": st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1, max_size=2),
    },
)
FEW_FILTERS = FILTERS.map(lambda filters: dict([*filters.items()][-3:]))
"""At most three, for nothing meets them all."""


@settings(deadline=None, max_examples=60)
@given(RUNS, st.lists(FEW_FILTERS, min_size=8, max_size=15), st.sampled_from([None, 0, 1, 2, 100]))
def test_runs_are_found_as_by_a_look_at_each(runs: list[Ran], asked: list[dict[str, Any]], limit: int | None) -> None:
    drafts = [scenario("S"), *(draft for number, run in enumerate(runs) for draft in run.drafts(f"r{number}"))]
    with built(drafts) as conn:
        for filters in asked:
            expected = [f"r{number}" for number, run in enumerate(runs) if run.meets(filters)][::-1]
            found = [run.key for run in run_table.find(conn, limit=limit, kind="run", **filters)]
            assert found == (expected if limit is None else expected[:limit])


# ---------------------------------------------------------------- artifacts

LOGGED = st.fixed_dictionaries(
    {
        "key": st.sampled_from("kl"),
        "digest": st.sampled_from(["d1", "d2", None]),
        "uri": st.sampled_from(["./u", "./v"]),
        "driver": st.sampled_from(["csv", "parquet"]),
        "kind": st.sampled_from(["file", "folder"]),
        "parent": st.sampled_from([None, "a0"]),
        "producer": st.sampled_from([None, "r0", "r1"]),
    }
)
USED = st.lists(st.sampled_from(["a0", "a1", "a2"]), unique=True, max_size=3)
ARTIFACTS_ASKED = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from("klm"),
        "digest": st.sampled_from(["d1", "d2", "d3"]),
        "uri": st.sampled_from(["./u", "./v", "./w"]),
        "driver": st.sampled_from(["csv", "parquet", "zarr"]),
        "kind": st.sampled_from(["file", "folder", "missing"]),
        "parent": st.sampled_from(["a0", "a9"]),
        "creator": st.sampled_from(["r0", "r1", "r9"]),
        "consumer": st.sampled_from(["use", "r0"]),
        "run": st.sampled_from(["use", "r0"]),
    },
)
ARTIFACTS_FEW = ARTIFACTS_ASKED.map(lambda filters: dict([*filters.items()][-3:]))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(LOGGED, max_size=10),
    USED,
    st.lists(ARTIFACTS_ASKED, min_size=1, max_size=6),
    st.sampled_from([None, 1, 5]),
)
def test_artifacts_are_found_as_by_a_look_at_each(
    logged: list[dict[str, Any]], used: list[str], asked: list[dict[str, Any]], limit: int | None
) -> None:
    drafts = [
        Draft(ArtifactLogged(artifact=f"a{number}", direction="output", **about), run=about["producer"])
        for number, about in enumerate(logged)
    ]
    bound = [InputLink(role=f"role {name}", artifact=name, key="k", digest=None, via="inputs") for name in used]

    def meets(number: int, about: dict[str, Any], filters: dict[str, str]) -> bool:
        linked = {"use": {*used}, "r0": {f"a{n}" for n, each in enumerate(logged) if each["producer"] == "r0"}}
        for name, value in filters.items():
            if name == "run":
                fits = f"a{number}" in linked[value]
            elif name == "consumer":
                fits = value == "use" and f"a{number}" in used
            else:
                fits = about["producer" if name == "creator" else name] == value
            if not fits:
                return False
        return True

    with built([*drafts, step("use", inputs=bound)]) as conn:
        for filters in asked:
            expected = [f"a{n}" for n, about in enumerate(logged) if meets(n, about, filters)][::-1]
            found = [row.artifact_id for row in lineage.find_artifacts(conn, limit=limit, **filters)]
            assert found == (expected if limit is None else expected[:limit])


# ---------------------------------------------------------------- candidates

ENDED = st.tuples(
    st.sampled_from(["f0", "f0", "f0", "f1"]), st.sampled_from(["good"] * 6 + ["lost", "never", "doubted"])
)


@settings(deadline=None, max_examples=40)
@given(st.lists(ENDED, min_size=20, max_size=60))
def test_candidates_are_all_runs_that_can_be_a_hit_newest_first(ended: list[tuple[str, str]]) -> None:
    drafts: list[Draft] = []
    for number, (print_, how) in enumerate(ended):
        key, output = f"r{number}", f"a{number}"
        drafts += [step(key)] if how == "lost" else [step(key), artifact(key, output)]
        drafts.append(completed(key, ("out", output), fingerprint=print_, reusable=how != "never"))
        drafts += [Draft(OutputsDoubted(by="r0"), run=key)] if how == "doubted" else []
    with built(drafts) as conn:
        for print_ in ("f0", "f1", "f2"):
            found = [*cache_index.candidates(conn, print_)]
            good = [f"r{n}" for n, (given_, how) in enumerate(ended) if (given_, how) == (print_, "good")][::-1]
            assert [each.run_key for each in found] == good
            assert [cache_index.candidate(conn, each.run_key, print_) for each in found] == found
            assert all(cache_index.candidate(conn, each.run_key, "other") is None for each in found)


def test_candidates_are_read_as_they_are_asked_for() -> None:
    drafts = [draft for n in range(100) for draft in (step(f"r{n}"), completed(f"r{n}"))]
    with built(drafts) as conn:
        asked: list[str] = []
        conn.set_trace_callback(asked.append)
        assert next(cache_index.candidates(conn, "fp")).run_key == "r99"
        assert len(asked) == 2  # a page, and the outputs of one run


# ---------------------------------------------------------------- the nearest run

PARTS = st.fixed_dictionaries({part: st.sampled_from("xxxy") for part in ("code", "config", "inputs", "labels")})
ENDS = st.sampled_from(["completed"] * 6 + ["late", "failed", "running", "hit"])
EARLIER = st.lists(
    st.tuples(
        PARTS, st.sampled_from("mmmmmn"), st.sampled_from("mmmmmn"), st.sampled_from([None, "S", "T", "U"]), ENDS
    ),
    min_size=3,
    max_size=15,
)


def told(earlier: Sequence[tuple[dict[str, str], str, str, str | None, str]]) -> list[Draft]:
    """Three scenarios, the first and last of one name, and runs in them."""
    drafts, late = [scenario("S", "one"), scenario("T", "two"), scenario("U", "one")], list[Draft]()
    for number, (parts, model, name, place, end) in enumerate(earlier):
        key = f"r{number}"
        drafts.append(step(key, scenario=place, model=model, name=name, fingerprint=fingerprint("f", **parts)))
        if end == "failed":
            failed = StepFailed(status="failed", seconds=1.0, error=ErrorInfo(type="E", message=""))
            drafts.append(Draft(failed, run=key))
        elif end == "late":
            late.append(completed(key))
        elif end != "running":
            drafts += [Draft(CacheHit(source="r0", validation="stat"), run=key)] if end == "hit" else []
            drafts.append(completed(key))
    return [within("S", draft) if draft.scenario is None else draft for draft in (*drafts, *late)]


@settings(deadline=None, max_examples=60)
@given(EARLIER, st.sampled_from([None, "S", "T"]), st.integers(0, 15), st.integers(0, 7))
def test_the_nearest_run_is_the_first_by_the_order_of_the_documentation(
    earlier: list[tuple[dict[str, str], str, str, str | None, str]], place: str | None, until: int, seed: int
) -> None:
    drafts = told(earlier)
    info = fingerprint("f", code="x", config="x", inputs="x", labels="x")
    names = {"S": "one", "T": "two", "U": "one", None: None}

    def differing(run: RunRow) -> int:
        return (run.started_seq * (seed + 1)) % 5

    with built(drafts) as conn:
        rows = {row.key: row for row in run_table.find(conn, limit=None)}
        before = 1 << 62 if until >= len(earlier) else rows[f"r{until}"].started_seq
        kept = [
            (rows[f"r{number}"], parts, model, name)
            for number, (parts, model, name, _, end) in enumerate(earlier)
            if end in ("completed", "late") and "m" in (model, name)
        ]
        done = [each for each in kept if (each[0].ended_seq or 0) < before]

        def rank(each: tuple[RunRow, dict[str, str], str, str]) -> tuple[Any, ...]:
            row, parts, model, name = each
            same = (model == "m") + (name == "m")
            differ = sum(parts[part] != "x" for part in ("code", "config", "inputs"))  # labels have no values here
            here = place is not None and row.scenario_key is not None and names[row.scenario_key] == names[place]
            return (same, -differ, here, -differing(row), row.started_seq)

        asked: dict[str, Any] = {"model": "m", "name": "m", "info": info, "scenario": place}
        found = near.nearest(conn, **asked, differing=differing, before=before)
        assert (None if found is None else found.key) == (max(done, key=rank)[0].key if done else None)

        quick = near.quickly(conn, **asked)
        assert (quick is None) == (not kept)
        if quick is None:
            return
        mine = {each[0].key: each for each in kept}[quick]

        def exact(each: tuple[RunRow, dict[str, str], str, str]) -> tuple[int, int]:
            _, parts, model, name = each
            differ = sum(parts[part] != "x" for part in ("code", "config", "inputs")) + 2 * (parts["labels"] != "x")
            return 2 - (model == "m") - (name == "m"), differ

        def coarse(each: tuple[RunRow, dict[str, str], str, str]) -> tuple[int, int]:
            others, differ = exact(each)
            return others, max(differ, 1)  # all but one part equal is near enough

        def elsewhere(each: tuple[RunRow, dict[str, str], str, str]) -> bool:
            return place is not None and names[each[0].scenario_key] != names[place]

        assert coarse(mine) == min(map(coarse, kept))
        equals = [each for each in kept if exact(each) == exact(mine)]
        assert elsewhere(mine) == min(map(elsewhere, equals))  # all are looked at here, for they are few
        newest = max(each[0].started_seq for each in equals if elsewhere(each) == elsewhere(mine))
        assert mine[0].started_seq == newest
