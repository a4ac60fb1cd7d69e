"""The fingerprint: typed, role-aware, the same everywhere, and able to say how two runs differ."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.events import FingerprintInfo, InputLink
from consist_es.identity.adapters import counted, explain_adapters, short_digest
from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.config import said_of
from consist_es.identity.differences import explain as explain_as_data
from consist_es.identity.fingerprint import InputPart, fingerprint
from consist_es.values.plain import to_plain

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
    assert found.version == 2
    assert found.config == "b3:e6594e125fbb59a7c694a4372f6ba347bec7b4c6abeed9d32842c707e8dd3574"
    assert found.inputs == "b3:55ac53bc5c6b238d4cae880831cb8cfe24a6f9f3605f6c9a5311912ed25a6116"
    assert found.labels == "b3:d5f387644122033c13dd67f4d79ec4f2a95663780a7043cbd818becbe3b5b2b5"
    assert found.before == "b3:e129fe053de2864bbb282335e0b89a8007088c4f2be1e4c6ec9ee5fe4bcb75f9"
    assert found.digest == "b3:9bcbaf115691ac7ac7a0b1345d5677707c3b86d166888766b90ff43e24546d66"


PROGRAM = """
from consist_es.identity.adapters import counted, explain_adapters, short_digest
from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.config import said_of
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


def explain(*given: Any, **more: Any) -> tuple[str, list[str]]:
    """In words."""
    reason, found = explain_as_data(*given, **more)
    return reason, [difference.text for difference in found]


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
        "config.deep.new: (missing) -> (1,)",
    ]


def test_a_key_that_is_a_number_is_told_as_any_other() -> None:
    years = {"config": {"growth": {2025: 1.0, 2030: 1.1}}}, {"config": {"growth": {2025: 1.0, 2030: 1.2}}}
    assert account(*years)[1] == ["config.growth.2030: 1.1 -> 1.2"]
    alike = {"config": {"growth": {1: 1, "1": 1}}}, {"config": {"growth": {1: 1, "1": 2}}}
    assert account(*alike)[1] == ["config.growth: {1: 1, '1': 1} -> {1: 1, '1': 2}"]


def test_values_that_people_write_alike_are_told_apart() -> None:
    (line,) = account({"config": {"k": 0.5}}, {"config": {"k": Path("0.5")}})[1]
    assert line == "config.k: 0.5 -> '0.5'"
    (line,) = account({"config": {"k": "0.5"}}, {"config": {"k": Path("0.5")}})[1]
    assert line == "config.k: '0.5' -> {'$path': '0.5'}"


def test_a_changed_type_is_explained() -> None:
    assert account({"config": {"k": 1}}, {"config": {"k": 1.0}}) == ("config_changed", ["config.k: 1 -> 1.0"])
    assert account({"config": {"k": 1}}, {"config": {"k": True}}) == ("config_changed", ["config.k: 1 -> True"])


def test_a_changed_field_of_an_object_is_explained_by_its_name() -> None:
    one, other = (msgspec.defstruct("Rates", [("a", int), ("b", int)])(1, b) for b in (2, 3))
    assert account({"config": {"rates": one}}, {"config": {"rates": other}})[1] == ["config.rates.b: 2 -> 3"]
    other = msgspec.defstruct("Others", [("a", int), ("b", int)])(1, 2)
    (line,) = account({"config": {"rates": one}}, {"config": {"rates": other}})[1]
    assert line == "config.rates: Rates(a=1, b=2) -> Others(a=1, b=2)"


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


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"]])
def test_fields_of_an_object_that_were_not_given_are_named(names: list[str]) -> None:
    def plain(unset: list[str]) -> Any:
        return {"k": {"$object": ["m.Rates", {"a": 1}, *([{"$unset": unset}] if unset else [])]}}

    then, now = make(config_plain=plain(names)), make(config_plain=plain(["c"]))
    said = ", ".join(names) or "none"
    assert explain(now, then, plain(["c"]), plain(names), [], []) == (
        "config_changed",
        [f"config.k, not given: {said} -> c"],
    )
    (line,) = explain(then, now, plain(names), plain(["c"]), [], [])[1]
    assert line == f"config.k, not given: c -> {said}"


def test_a_value_with_a_type_of_its_own_is_shown_whole_and_lists_of_other_length_too() -> None:
    assert account({"config": {"k": (1,)}}, {"config": {"k": [1]}})[1] == ["config.k: (1,) -> [1]"]
    assert account({"config": {"k": [1]}}, {"config": {"k": [1, 2]}})[1] == ["config.k: [1] -> [1, 2]"]
    assert account({"config": {"k": {"a": 1}}}, {"config": {"k": None}})[1] == ["config.k: {'a': 1} -> None"]
    assert account({"config": {"k": None}}, {"config": {"k": {1}}})[1] == ["config.k: None -> {1}"]


def test_a_secret_that_changed_is_not_shown() -> None:
    def plain(digest: str) -> Any:
        return {"k": {"$masked": digest}, "same": {"$masked": "1"}}

    then, now = make(config_plain=plain("1")), make(config_plain=plain("2"))
    assert explain(now, then, plain("2"), plain("1"), [], [])[1] == ["config.k: masked -> masked (changed)"]
    assert explain(now, then, {"k": 1}, {"k": {"$masked": "1"}}, [], [])[1] == ["config.k: masked -> 1"]


def test_a_long_value_is_cut_and_one_that_fits_is_not() -> None:
    fits, long = "x" * 58, "x" * 59
    (line,) = account({"config": {"k": 1}}, {"config": {"k": fits}})[1]
    assert line == f"config.k: 1 -> '{fits}'"
    (line,) = account({"config": {"k": 1}}, {"config": {"k": long}})[1]
    assert line == f"config.k: 1 -> '{'x' * 58}…"
    twenty, more = ({"config": dict.fromkeys(map(str, range(count)), 1)} for count in (20, 21))
    assert len(account({"config": {}}, twenty)[1]) == 20
    assert account({"config": {}}, more)[1][-1] == "… and 1 more"


def test_a_config_that_differs_in_nothing_that_is_recorded_is_said_to_differ() -> None:
    then, now = make(config_plain=1), make(config_plain=2)
    assert explain(now, then, {"k": 1}, {"k": 1}, [], []) == ("config_changed", ["config differs"])


def test_another_version_of_the_fingerprint_is_a_reason_of_its_own() -> None:
    now = make()
    then = msgspec.structs.replace(now, version=0)
    assert explain(now, then, 1, 1, [], []) == ("version_changed", ["fingerprint version: 0 -> 2"])
    unstable = msgspec.structs.replace(now, unstable=["x"])
    assert explain(now, unstable, 1, 1, [], []) == ("unstable", [])


def test_a_label_that_came_or_went_is_named_and_one_recorded_otherwise_is_not() -> None:
    came = account({"labels": {"model": "m"}}, {"labels": {"model": "m", "phase": "a"}})
    assert came == ("labels_changed", ["phase: None -> 'a'"])
    went = account({"labels": {"model": "m", "phase": "a"}}, {"labels": {"model": "m"}})
    assert went == ("labels_changed", ["phase: 'a' -> None"])


def test_identity_inputs_are_explained_by_name() -> None:
    now = {"identity_inputs": {"a": "1", "b": "2", "c": "3"}}
    then = {"identity_inputs": {"a": "1", "b": "9", "d": "3"}}
    assert account(then, now) == (
        "identity_inputs_changed",
        ["identity input 'b': content differs", "identity input 'c': the same content, 'd' before"],
    )


# ---------------------------------------------------------------- explaining inputs by their files


class File(msgspec.Struct):
    uri: str
    driver: str = "csv"
    table_path: str | None = None
    array_path: str | None = None
    key: str = "raw"
    facet: Any = None
    meta: dict[str, Any] = {}


def named(then: File | None, now: File | None, *, content: bool = False, **more: Any) -> list[str]:
    """The account of one input whose files are these; `content` says whether its bytes differ."""
    old = InputLink(role="a", artifact="then", key="raw.csv", digest="b3:1")
    new = InputLink(role="a", artifact="now", key="raw.csv", digest="b3:2" if content else "b3:1")
    files = {key: file for key, file in (("then", then), ("now", now)) if file is not None}
    before, after = make(), make(inputs=[A])
    return explain(after, before, 1, 1, [new], [old], files=files, **more)[1]


def test_changed_content_is_named_by_its_file_or_by_both() -> None:
    here, there = File("./a.csv"), File("./b.csv")
    assert named(here, here, content=True) == ["input 'a': content differs (./a.csv)"]
    assert named(here, there, content=True) == ["input 'a': content differs (./a.csv -> ./b.csv)"]
    assert named(None, there, content=True) == ["input 'a': content differs (./b.csv)"]
    assert named(here, None, content=True) == ["input 'a': content differs (raw.csv)"]


def test_another_file_driver_or_table_of_the_same_content_is_named() -> None:
    here = File("./a.csv")
    assert named(here, File("./sub/b.csv")) == ["input 'a': same content, but file a.csv -> b.csv"]
    assert named(here, File("./a.csv", driver="h5", table_path="t", array_path="x")) == [
        "input 'a': same content, but driver csv -> h5, table_path None -> t, array_path None -> x"
    ]


def test_what_is_said_of_an_input_is_named_where_it_alone_differs() -> None:
    then = File("./a.csv", key="one", facet={"n": 1}, meta={"crs": 1, "edited_from": "x"})
    now = File("./a.csv", key="two", facet={"n": 2}, meta={"crs": 1, "edited_from": "y"})
    assert named(then, now) == [
        "input 'a'.key: 'one' -> 'two', with the same content",
        "input 'a'.facet.n: 1 -> 2, with the same content",
    ]

    def mask(plain: Any) -> Any:
        return {**plain, "facet": {"$masked": str(plain["facet"])}}

    assert named(then, now, mask=mask)[1] == "input 'a'.facet: masked -> masked (changed), with the same content"


def test_what_stands_for_a_secret_in_what_is_said_is_no_mapping_of_the_users() -> None:
    said = said_of(File("./a.csv", facet={"a": [{"$masked": "d"}, (1,)]}, meta={"n": 1, "recorded_digest": "x"}))
    facet = {"a": [{"$masked": "d"}, {"$tuple": [1]}]}
    assert said == {"key": "raw", "facet": facet, "metadata": {"n": 1}}


def test_the_same_files_taken_otherwise_are_said_to_be() -> None:
    here, other = File("./a.csv"), "inputs: same files and content, but the function receives them in another form"
    assert named(here, here) == [f"{other} or under another name"]
    assert named(here, None) == [f"{other} or under another name"]
    assert named(None, None) == ["inputs: same content, but a file name, driver, or table differs"]


def test_an_input_that_came_or_went_is_named_with_its_file_where_that_is_known() -> None:
    old = InputLink(role="a", artifact="then", key="raw.csv", digest="b3:1")
    files = {"then": File("./a.csv")}
    before, after = make(), make(inputs=[A])
    assert explain(after, before, 1, 1, [], [old], files=files)[1] == ["input 'a': removed (./a.csv)"]
    assert explain(after, before, 1, 1, [old], [], files=files)[1] == ["input 'a': added (./a.csv)"]
    assert explain(after, before, 1, 1, [old], [])[1] == ["input 'a': added"]


def test_the_same_role_by_another_way_is_another_input() -> None:
    then, now = link("a", "b3:1"), link("a", "b3:1", via="depends_on")
    lines = account({}, {"inputs": [A]}, ([then], [now]))[1]
    assert lines == ["input 'a': removed", "input 'a': added"]


def test_code_that_takes_its_inputs_otherwise_is_named_before_them() -> None:
    code = CodeIdentity("b3:new", "imports", {"callable": "1", "model.py:step": "3"}, [])
    before, after = make(), make(code=code, inputs=[A])
    old = InputLink(role="a", artifact="x", key="raw.csv", digest="b3:1")
    reason, lines = explain(after, before, 1, 1, [old], [old], files={"x": File("./a.csv")})
    assert reason == "inputs_and_code_changed"
    assert [line.partition(": ")[0] for line in lines] == ["code of model.py:step", "inputs"]


def test_a_class_is_not_named_where_its_method_says_more() -> None:
    then = CodeIdentity("b3:1", "imports", {"m.py:C": "1", "m.py:C.f": "1", "m.py:D": "1"}, [])
    now = CodeIdentity("b3:2", "imports", {"m.py:C": "2", "m.py:C.f": "2", "m.py:D": "2"}, [])
    assert account({"code": then}, {"code": now})[1] == ["code of m.py:C.f: changed", "code of m.py:D: changed"]


def test_code_whose_parts_are_all_the_same_is_said_to_differ() -> None:
    code = CodeIdentity("b3:new", "imports", CODE.parts, [])
    assert account({}, {"code": code}) == ("code_changed", ["code differs"])


# ---------------------------------------------------------------- explaining adapters


def record(**changes: Any) -> dict[str, Any]:
    base = {"name": "x", "version": "1", "hash": "h", "files": {}, "values": {}, "references": []}
    return {**base, **changes}


def test_an_adapter_that_says_the_same_differs_in_nothing() -> None:
    assert explain_adapters(None, None) == []
    assert explain_adapters(record(files={"a": "1"}), record(files={"a": "2"})) == []


def test_another_adapter_is_named_by_name_and_version() -> None:
    assert explain_adapters(record(), None) == ["adapter: (none) -> x 1"]
    assert explain_adapters(None, record(version=None)) == ["adapter: x -> (none)"]
    assert explain_adapters(record(version="2"), record()) == ["adapter: x 1 -> x 2"]


def test_values_are_named_with_what_they_were_and_are() -> None:
    then = record(hash="1", files={"a": "1"}, values={"a: same": 1, "a: k": 1, "a: gone": [1, 2], "a: type": 1})
    now = record(hash="2", files={"a": "2"}, values={"a: same": 1, "a: k": 2, "a: new": "x", "a: type": 1.0})
    assert explain_adapters(now, then) == [
        "a: k: 1 -> 2",
        "a: gone: [1, 2] -> (missing)",
        "a: type: 1 -> 1.0",
        "a: new: (missing) -> 'x'",
    ]


def test_files_that_came_or_went_are_named_without_their_values() -> None:
    then = record(hash="1", files={"a": "1", "b": "1"}, values={"a: k": 1, "b: k": 1})
    now = record(hash="2", files={"b": "1", "c": "1"}, values={"b: k": 1, "c: k": 1})
    assert explain_adapters(now, then) == ["a: removed", "c: added"]


def test_a_file_without_a_value_that_differs_is_named_by_its_content() -> None:
    then = record(hash="1", files={"a": "1", "b": "1", "c": "1"}, values={"a: k": 1})
    now = record(hash="2", files={"a": "2", "b": "2", "c": "1"}, values={"a: k": 2})
    assert explain_adapters(now, then) == ["a: k: 1 -> 2", "b: content differs"]
    assert explain_adapters({**now, "values": {}}, then) == ["a: content differs", "b: content differs"]


def test_a_list_is_explained_by_its_items_where_it_has_several() -> None:
    def lines(new: Any, old: Any) -> list[str]:
        return explain_adapters(record(hash="2", values={"k": new}), record(hash="1", values={"k": old}))

    assert lines([1, 3, 4], [1, 2, 3]) == ["k: without 2, with 4"]
    assert lines([2, 1], [1, 2]) == ["k: [1, 2] -> [2, 1]"]
    assert lines([2], [1]) == ["k: [1] -> [2]"]
    assert lines([2, 3], 1) == ["k: 1 -> [2, 3]"]
    assert lines([1, 2], []) == ["k: with 1, with 2"]


def test_a_value_that_is_kept_as_a_digest_is_compared_with_the_value_itself() -> None:
    def lines(new: Any, old: Any) -> list[str]:
        return explain_adapters(record(hash="2", values={"k": new}), record(hash="1", values={"k": old}))

    kept = short_digest("a long text")
    nothing = ["adapter 'x': what it reads differs"]
    assert lines("a long text", kept) == lines(kept, "a long text") == lines(kept, kept) == nothing
    assert lines("another text", kept) == lines(kept, "another text") == ["k: changed"]
    assert lines(short_digest(1), kept) == ["k: changed"]
    assert explain_adapters(record(hash="2", values={"l": 1}), record(hash="1", values={"k": kept})) == [
        "k: (a value) -> (missing)",
        "l: (missing) -> 1",
    ]


def test_secrets_and_long_values_of_an_adapter_are_not_shown_whole() -> None:
    def lines(new: Any, old: Any) -> list[str]:
        return explain_adapters(record(hash="2", values={"k": new}), record(hash="1", values={"k": old}))

    assert lines({"$masked": "2"}, {"$masked": "1"}) == ["k: masked -> masked (changed)"]
    assert lines(1, {"$masked": "1"}) == ["k: masked -> 1"]
    assert lines("x" * 58, 1) == [f"k: 1 -> '{'x' * 58}'"]
    assert lines("x" * 59, 1) == [f"k: 1 -> '{'x' * 58}…"]


def test_an_adapter_without_files_and_values_is_explained_by_what_it_refers_to() -> None:
    def refer(**digests: str) -> list[dict[str, str]]:
        return [{"path": path, "digest": digest} for path, digest in digests.items()]

    then = record(hash="1", references=refer(a="1", b="1", c="1"))
    now = record(hash="2", references=refer(b="2", c="1", d="1"))
    assert explain_adapters(now, then) == ["a: removed", "b: content differs", "d: added"]
    assert explain_adapters(record(hash="2", files=None), record(hash="1", files=3)) == [
        "adapter 'x': what it reads differs"
    ]


def test_what_only_explains_an_adapter_is_not_hashed() -> None:
    assert counted(None) is None
    assert counted(record(files={"a": "1"})) == {"name": "x", "version": "1", "hash": "h"}
    one, other = (make(adapter=record(files={"a": digest})).digest for digest in "12")
    assert one == other
    assert make(adapter=record(hash="2")).digest != one


# ---------------------------------------------------------------- as data


def as_data(old: dict[str, Any], new: dict[str, Any], links: Any = ((), ())) -> list[tuple[str, str, Any, Any]]:
    before, after = make(**old), make(**new)
    plain = [to_plain(item.get("config", {"k": 1})) for item in (new, old)]
    found = explain_as_data(after, before, plain[0], plain[1], links[1], links[0])[1]
    return [(item.kind, item.key, item.before, item.after) for item in found]


def test_a_changed_config_is_told_by_path_and_values() -> None:
    old, new = {"a": {"b": [1, 2], "gone": True}, "same": 0}, {"a": {"b": [1, 3], "new": "x"}, "same": 0}
    assert as_data({"config": old}, {"config": new}) == [
        ("config", "a.b[1]", 2, 3),
        ("config", "a.gone", True, None),
        ("config", "a.new", None, "x"),
    ]


def test_a_changed_input_is_told_by_its_role_and_artifacts() -> None:
    old, new = [link("a", "1"), link("b", "1")], [link("a", "2"), link("c", "1")]
    inputs = [InputPart("a", "b3:9", "csv")]
    assert as_data({"inputs": []}, {"inputs": inputs}, (old, new)) == [
        ("input", "a", "id-a", "id-a"),
        ("input", "b", "id-b", None),
        ("input", "c", None, "id-c"),
    ]


def test_labels_and_code_are_told_by_name() -> None:
    code = CodeIdentity("b3:other", "imports", {"callable": "1", "model.py:step": "3"}, [])
    new = {"labels": {"model": "m", "year": 2030}, "code": code}
    assert as_data({}, new) == [("label", "year", 2020, 2030), ("code", "model.py:step", None, None)]


def test_long_values_are_told_by_their_beginning_and_secrets_not_at_all() -> None:
    before, after = make(config={"k": 1}), make(config={"k": 2})
    (found,) = explain_as_data(after, before, {"k": {"$masked": "1"}}, {"k": "x" * 5000}, [], [])[1]
    assert found.key == "k"
    assert 100 < len(found.before) <= 200
    assert found.after == {"$masked": "1"}
    many = {str(n): n for n in range(50)}
    found_many = as_data({"config": {}}, {"config": many})
    assert len(found_many) == 21
    assert found_many[-1][0] == "more"
