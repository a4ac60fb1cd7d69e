"""Identity of configs: equal exactly where a step cannot tell the values apart."""

import dataclasses
import os
import subprocess
import sys
import types
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import ConfigTypeError
from consist_es.identity.config import as_mapping, canonical, config_digest, digest_of_plain
from consist_es.values.plain import to_plain

leaves = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, "", "1", "a", b"", b"1"])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["a", "b", "$set", ""]) | st.integers(0, 1), inner, max_size=2)
        | st.frozensets(leaves, max_size=2)
    ),
    max_leaves=5,
)


def exact(value: Any) -> Any:
    """A key that two values share only if they are the same, types and all; written apart from the code under test."""
    if isinstance(value, dict):
        return ("dict", frozenset((exact(key), exact(item)) for key, item in value.items()))
    if isinstance(value, frozenset):
        return ("set", frozenset(map(exact, value)))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(map(exact, value)))
    return (type(value).__name__, repr(value))


@settings(max_examples=1000, deadline=None)
@given(values, values)
def test_canonical_bytes_are_equal_exactly_where_values_are(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (exact(one) == exact(other))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), values, max_size=5))
def test_the_digest_of_a_stored_form_is_the_digest_of_the_value(config: dict[str, Any]) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(to_plain(config)))
    assert digest_of_plain(stored) == config_digest(config)


def test_digests_of_every_release_stay() -> None:
    config = {"growth": 1.1, "n": 3, "tags": {"b", "a"}, "path": (None, True, "é", b"\x00", -0.0, 2**70)}
    assert config_digest(config) == "b3:6f71045d04b18f2ebb1780df5e5ebaf929fc769c00b87cce22e4761da1af36c9"
    assert config_digest(None) == "b3:1d03a7578b0b713101445beab292143e074af336e71e7f3a2a0be222d338be4d"


def test_missing_none_and_empty_differ() -> None:
    values: list[Any] = [None, {}, {"a": None}, {"a": {}}, {"a": ""}, {"a": []}]
    found = {config_digest(value) for value in values}
    assert len(found) == 6


@pytest.mark.parametrize("seed", ["0", "1", "77"])
def test_the_digest_is_the_same_in_every_process(seed: str) -> None:
    expression = "{'a': {'x', 'y', 'z', 1, 2.0}, 'b': {1: frozenset('abc')}}"
    program = f"from consist_es.identity.config import config_digest; print(config_digest({expression}))"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == config_digest({"a": {"x", "y", "z", 1, 2.0}, "b": {1: frozenset("abc")}})


@dataclasses.dataclass
class Data:
    a: int = 1


class Struct(msgspec.Struct):
    a: int = 1


class Named(NamedTuple):
    a: int = 1


@pytest.mark.parametrize("config", [{"a": 1}, types.MappingProxyType({"a": 1}), Data(), Struct(), Named()])
def test_mappings_and_records_bind_by_name(config: Any) -> None:
    assert as_mapping(config) == {"a": 1}


def test_values_are_bound_as_they_are() -> None:
    inner = Data()
    assert as_mapping({"inner": inner})["inner"] is inner


def test_no_config_binds_nothing() -> None:
    assert as_mapping(None) == {}


@pytest.mark.parametrize("config", [[1], "a", 1, {1: 2}, Data, print])
def test_other_configs_are_refused(config: Any) -> None:
    with pytest.raises(ConfigTypeError, match="use"):
        as_mapping(config)


def test_private_attributes_of_a_pydantic_model_count_but_are_not_bound() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = type(
        "Model",
        (pydantic.BaseModel,),
        {"__annotations__": {"a": int, "_p": int}, "a": 1, "_p": pydantic.PrivateAttr(2), "__module__": __name__},
    )
    one, other = model(), model()
    other._p = 3
    assert as_mapping(one) == {"a": 1}
    assert config_digest(one) != config_digest(other)
