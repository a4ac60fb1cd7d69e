"""The fingerprint: typed, role-aware, the same everywhere, and able to say how two runs differ."""

import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.events import FingerprintInfo, InputLink
from consist_es.identity.code import CodeIdentity
from consist_es.identity.fingerprint import InputPart, explain, fingerprint
from consist_es.plain import to_plain

CODE = CodeIdentity("b3:code", "imports", {"callable": "1", "model.py:step": "2"}, [])
A, B = InputPart("a", "b3:1", "csv", "x.csv"), InputPart("b", "b3:2", "csv", "y.csv")


def make(**changes: Any) -> FingerprintInfo:
    given: dict[str, Any] = {"code": CODE, "config": {"k": 1}, "inputs": [A, B], "labels": {"model": "m", "year": 2020}}
    return fingerprint(**{**given, **changes})


VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "config value": {"config": {"k": 2}},
    "config type": {"config": {"k": 1.0}},
    "config missing": {"config": None},
    "config empty": {"config": {}},
    "year": {"labels": {"model": "m", "year": 2021}},
    "year as text": {"labels": {"model": "m", "year": "2020"}},
    "iteration for year": {"labels": {"model": "m", "iteration": 2020}},
    "phase": {"labels": {"model": "m", "year": 2020, "phase": "a"}},
    "stage": {"labels": {"model": "m", "year": 2020, "stage": "a"}},
    "config and label swapped": {"config": {"model": "m", "year": 2020}, "labels": {"k": 1}},
    "swapped roles": {"inputs": [msgspec.structs.replace(A, role="b"), msgspec.structs.replace(B, role="a")]},
    "swapped content": {
        "inputs": [msgspec.structs.replace(A, digest="b3:2"), msgspec.structs.replace(B, digest="b3:1")]
    },
    "renamed role": {"inputs": [msgspec.structs.replace(A, role="c"), B]},
    "one input less": {"inputs": [A]},
    "no inputs": {"inputs": []},
    "the same input twice": {"inputs": [A, B, B]},
    "driver": {"inputs": [msgspec.structs.replace(A, driver="parquet"), B]},
    "file name": {"inputs": [msgspec.structs.replace(A, name="z.csv"), B]},
    "no file name": {"inputs": [msgspec.structs.replace(A, name=None), B]},
    "file name None": {"inputs": [msgspec.structs.replace(A, name="None"), B]},
    "table": {"inputs": [msgspec.structs.replace(A, table_path="t"), B]},
    "array": {"inputs": [msgspec.structs.replace(A, array_path="t"), B]},
    "depends_on": {"inputs": [msgspec.structs.replace(A, via="depends_on"), B]},
    "code": {"code": msgspec.structs.replace(CODE, digest="b3:other")},
    "identity input": {"identity_inputs": {"x": "b3:1"}},
    "another identity input": {"identity_inputs": {"y": "b3:1"}},
    "adapter": {"adapter": {"name": "x", "hash": "1"}},
    "adapter version": {"adapter": {"name": "x", "hash": "2"}},
    "empty adapter": {"adapter": {}},
}


def test_every_part_counts_on_its_own() -> None:
    found = {name: make(**changes).digest for name, changes in VARIANTS.items()}
    assert None not in found.values()
    assert len(set(found.values())) == len(VARIANTS)


def test_order_and_absent_labels_do_not_count() -> None:
    assert make(inputs=[B, A]).digest == make().digest
    assert make(labels={"year": 2020, "model": "m", "iteration": None}).digest == make().digest
    assert make(identity_inputs={}).digest == make(identity_inputs=None).digest


def test_unstable_code_has_no_fingerprint_and_says_why() -> None:
    found = make(code=msgspec.structs.replace(CODE, unstable=["variable 'rng' …"]))
    assert found.digest is None
    assert found.unstable == ["variable 'rng' …"]


def test_the_fingerprint_of_every_release_stays() -> None:
    found = make(identity_inputs={"x": "b3:1"}, adapter={"name": "x"})
    assert found.version == 1
    assert found.config == "b3:e6594e125fbb59a7c694a4372f6ba347bec7b4c6abeed9d32842c707e8dd3574"
    assert found.inputs == "b3:55ac53bc5c6b238d4cae880831cb8cfe24a6f9f3605f6c9a5311912ed25a6116"
    assert found.labels == "b3:d5f387644122033c13dd67f4d79ec4f2a95663780a7043cbd818becbe3b5b2b5"
    assert found.digest == "b3:5aecdecb8af7bbaec6bf7ba69f08d79a1f4a2d3afd1da3cc10bbc64b848ce3e6"


PROGRAM = """
from consist_es.identity.code import CodeIdentity
from consist_es.identity.fingerprint import InputPart, fingerprint
parts = [InputPart(r, d, "csv") for r, d in {("a", "1"), ("b", "2"), ("c", "3")}]
config = {"s": {"x", "y", "z"}, "m": {1: frozenset("abc")}}
code = CodeIdentity("b3:code", "imports", {}, [])
found = fingerprint(code=code, config=config, inputs=parts, labels={"model": "m"}, identity_inputs={"q": "1", "p": "2"})
print(found.digest)
"""


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    found = set()
    for seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert found.pop().startswith("b3:")


words = st.sampled_from(["", "a", "b", "ab", "1"])
parts = st.builds(InputPart, words, words, words, st.none() | words, st.none() | words, st.none() | words, words)


@settings(max_examples=300, deadline=None)
@given(st.lists(parts, max_size=3), st.lists(parts, max_size=3))
def test_inputs_are_equal_exactly_where_their_parts_are(one: list[InputPart], other: list[InputPart]) -> None:
    def rows(some: list[InputPart]) -> list[str]:
        return sorted(map(repr, some))

    assert (make(inputs=one).inputs == make(inputs=other).inputs) == (rows(one) == rows(other))


# ---------------------------------------------------------------- explaining


def link(role: str, digest: str, key: str = "raw.csv", via: str = "inputs") -> InputLink:
    return InputLink(role=role, artifact=f"id-{role}", key=key, digest=digest, via=via)


def account(old: dict[str, Any], new: dict[str, Any], links: Any = ((), ())) -> tuple[str, list[str]]:
    before, after = make(**old), make(**new)
    plain = [to_plain(item.get("config", {"k": 1})) for item in (new, old)]
    return explain(after, before, plain[0], plain[1], links[1], links[0])


def test_a_changed_config_is_explained_by_key() -> None:
    old = {"config": {"growth": 1.0, "deep": {"list": [1, 2], "gone": 1}, "same": float("nan")}}
    new = {"config": {"growth": 1.1, "deep": {"list": [1, 3], "new": (1,)}, "same": float("nan")}}
    reason, lines = account(old, new)
    assert reason == "config_changed"
    assert lines == [
        "config.growth: 1.0 -> 1.1",
        "config.deep.list[1]: 2 -> 3",
        "config.deep.gone: 1 -> (missing)",
        "config.deep.new: (missing) -> {'$tuple': [1]}",
    ]


def test_a_changed_type_is_explained() -> None:
    assert account({"config": {"k": 1}}, {"config": {"k": 1.0}}) == ("config_changed", ["config.k: 1 -> 1.0"])
    assert account({"config": {"k": 1}}, {"config": {"k": True}}) == ("config_changed", ["config.k: 1 -> True"])


def test_a_changed_field_of_an_object_is_explained_by_its_name() -> None:
    one, other = (msgspec.defstruct("Rates", [("a", int), ("b", int)])(1, b) for b in (2, 3))
    assert account({"config": {"rates": one}}, {"config": {"rates": other}})[1] == ["config.rates.b: 2 -> 3"]
    other = msgspec.defstruct("Others", [("a", int), ("b", int)])(1, 2)
    (line,) = account({"config": {"rates": one}}, {"config": {"rates": other}})[1]
    assert line.startswith("config.rates: {'$object'")


def test_changed_inputs_are_explained_by_role() -> None:
    new = {"inputs": [msgspec.structs.replace(A, digest="b3:9")]}
    links = ([link("a", "b3:1"), link("b", "b3:2")], [link("a", "b3:9"), link("c", "b3:3")])
    reason, lines = account({}, new, links)
    assert reason == "inputs_changed"
    assert lines == ["input 'a': content differs (raw.csv)", "input 'b': removed", "input 'c': added"]


def test_swapped_inputs_are_explained_as_such() -> None:
    links = ([link("a", "b3:1"), link("b", "b3:2")], [link("a", "b3:2"), link("b", "b3:1")])
    _, lines = account({}, VARIANTS["swapped content"], links)
    assert lines == [f"input {role!r}: content differs (the content that another role had)" for role in "ab"]


def test_a_renamed_file_is_explained_though_its_content_is_the_same() -> None:
    links = ([link("a", "b3:1")], [link("a", "b3:1")])
    reason, lines = account({}, VARIANTS["file name"], links)
    assert reason == "inputs_changed"
    assert lines == ["inputs: same content, but a file name, driver, or table differs"]


def test_changed_code_is_explained_by_part() -> None:
    code = CodeIdentity("b3:new", "imports", {"callable": "1", "model.py:step": "3", "helper.py": "4"}, [])
    assert account({}, {"code": code}) == (
        "code_changed",
        ["code of model.py:step: changed", "code of helper.py: added"],
    )


def test_another_mode_is_explained_as_such() -> None:
    code = CodeIdentity("b3:new", "repo_git", {}, [])
    assert account({}, {"code": code}) == ("code_changed", ["code identity mode: imports -> repo_git"])


def test_changed_labels_are_explained_with_their_values() -> None:
    found = account({}, {"labels": {"model": "m", "year": 2030}})
    assert found == ("labels_changed", ["year: 2020 -> 2030"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (["config value", "code"], "config_and_code_changed"),
        (["config value", "no inputs"], "config_and_inputs_changed"),
        (["no inputs", "code"], "inputs_and_code_changed"),
        (["config value", "no inputs", "code"], "all_components_changed"),
        (["identity input"], "identity_inputs_changed"),
        (["adapter"], "adapter_changed"),
        (["year"], "labels_changed"),
        (["base"], "exact_match_lookup_inconclusive"),
    ],
)
def test_the_reason_names_all_that_changed(changes: list[str], reason: str) -> None:
    merged = {key: value for name in changes for key, value in VARIANTS[name].items()}
    assert account({}, merged)[0] == reason


def test_an_unstable_run_is_explained() -> None:
    reason, lines = account({}, {"code": msgspec.structs.replace(CODE, unstable=["variable 'rng' …"])})
    assert (reason, lines) == ("unstable", ["never reused: variable 'rng' …"])


def test_a_long_account_is_cut_and_says_so() -> None:
    _, lines = account(
        {"config": dict.fromkeys(map(str, range(50)), 1)}, {"config": dict.fromkeys(map(str, range(50)), 2)}
    )
    assert len(lines) == 21
    assert lines[-1] == "… and 30 more"


def test_the_label_values_are_kept_for_the_reader() -> None:
    assert make().label_values == {"model": "m", "year": 2020}
