"""The codec: one event, one line, and the chain that binds lines together."""

import contextlib
import math
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consist_es.errors import LimitError, LogCorruptError, UsageTypeError
from consist_es.events import REGISTRY, Draft, Event, MetaLogged, StepAbandoned, UnknownEvent
from consist_es.log import record
from consist_es.log.record import (
    EVENT_CAP,
    BadRecord,
    chain_of,
    decode_event,
    decode_line,
    encode_data,
    encode_line,
    genesis,
    prepare,
    split_line,
)

ZERO = b"A" * 43
OURS = {key: cls for key, cls in REGISTRY.items() if cls.__module__ == "consist_es.events"}

texts = st.text(max_size=12)
numbers = st.integers(min_value=-(2**63), max_value=2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this type may hold."""
    simple = {Any: values, str: texts, int: numbers, float: floats, bool: st.booleans(), type(None): st.none()}
    if kind in simple:
        return simple[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values_of, args))
    if origin is list:
        return st.lists(values_of(args[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(texts, values_of(args[1]), max_size=2)
    assert issubclass(kind, msgspec.Struct), kind
    return structs_of(kind)


def structs_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: values_of(hints[name]) for name in kind.__struct_fields__})


def line_of(event: Event, *, id: str = "an-id", scenario: str | None = "s", run: str | None = None) -> bytes:
    return encode_line(prepare(Draft(event, scenario, run), id), 7, True, "2026-01-02T03:04:05.678901Z", "me", ZERO)[0]


@pytest.mark.parametrize("key", sorted(OURS), ids=lambda key: key[0])
def test_every_event_type_survives_the_round_trip(key: tuple[str, int]) -> None:
    @settings(max_examples=25)
    @given(structs_of(OURS[key]))
    def check(event: Event) -> None:
        found = decode_event(*key, encode_data(event))
        assert repr(found) == repr(event)  # repr, for 1 == 1.0 == True

    check()


@given(event=structs_of(MetaLogged), id=texts, scenario=st.none() | texts, run=st.none() | texts)
def test_a_line_is_one_line_of_json_with_keys_in_order_and_gives_everything_back(
    event: Event, id: str, scenario: str | None, run: str | None
) -> None:
    line = line_of(event, id=id, scenario=scenario, run=run)
    assert line.count(b"\n") == 1
    keys = ["seq", "end", "id", "at", "by", "type", "v", "scenario", "run", "data", "chain"]
    assert list(msgspec.json.decode(line)) == keys
    found = decode_line(line, 3, 99)
    assert (found.seq, found.end, found.id, found.by) == (7, True, id, "me")
    assert (found.scenario, found.run, found.segment, found.offset, found.size) == (scenario, run, 3, 99, len(line))
    assert repr(found.event) == repr(event)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\n")
@example(b'{"seq":1,"data":' + b"[" * 5000 + b',"chain":"' + ZERO + b'"}\n')
@example(b'{"seq":1,"end":true,"data":{},"chain":"' + b"\xff" * 43 + b'"}\n')
def test_any_bytes_are_a_record_or_our_error(data: bytes) -> None:
    with contextlib.suppress(LogCorruptError):
        decode_line(data, 1, 0)


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_line_is_a_record_or_our_error(data: st.DataObject) -> None:
    line = bytearray(line_of(MetaLogged(values={"a": ["é", 1.5, None, {"b": 2}]})))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(line) - 1))
        line[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        line = line or bytearray(b"x")
    with contextlib.suppress(LogCorruptError):
        decode_line(bytes(line), 1, 0)


@given(data=st.binary(max_size=60), kind=st.sampled_from(sorted(OURS)) | st.just(("from_the_future", 1)))
@example(b"[" * 100_000, ("from_the_future", 1))
@example(b'{"reason":"\\ud800"}', ("step_abandoned", 1))
@example(b'{"reason":"\xff"}', ("step_abandoned", 1))
def test_any_payload_is_an_event_or_our_error(data: bytes, kind: tuple[str, int]) -> None:
    with contextlib.suppress(BadRecord):
        decode_event(*kind, data)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (math.nan, "the float nan"),
        (math.inf, "the float inf"),
        (2**64, "an integer beyond 64 bits"),
        (-(2**63) - 1, "an integer beyond 64 bits"),
        ("\ud800", "a string with a lone surrogate"),
        ({"\udfff": 1}, "a string with a lone surrogate"),
        ({1: 2}, "the key 1 of type int"),
        ((1, 2), "a value of type builtins.tuple"),
        (b"x", "a value of type builtins.bytes"),
        ({1, 2}, "a value of type builtins.set"),
        (1j, "a value of type builtins.complex"),
    ],
)
def test_what_json_would_change_is_refused_with_the_path_to_it(value: object, what: str) -> None:
    with pytest.raises(UsageTypeError) as caught:
        encode_data(MetaLogged(values={"a": [0, {"b": value}]}))
    assert f"meta_logged.values['a'][1]['b'] holds {what}" in str(caught.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(UsageTypeError, match="nested more than"):
        encode_data(MetaLogged(values={"a": circle}))


@pytest.mark.parametrize("draft", [{"scenario": "\ud800"}, {"run": "\ud800"}])
def test_a_lone_surrogate_in_the_envelope_is_refused(draft: dict[str, str]) -> None:
    with pytest.raises(UsageTypeError, match="lone surrogate"):
        prepare(Draft(StepAbandoned(reason="x"), **draft), "id")


def test_an_event_at_the_limit_is_taken_and_one_above_it_is_not() -> None:
    frame = len(encode_data(StepAbandoned(reason="x" * 100))) - 100
    assert len(encode_data(StepAbandoned(reason="x" * (EVENT_CAP - frame)))) == EVENT_CAP
    with pytest.raises(LimitError, match=r"step_abandoned has 16,777,217 bytes; the limit is 16,777,216"):
        encode_data(StepAbandoned(reason="x" * (EVENT_CAP - frame + 1)))


def test_an_envelope_above_the_limit_is_refused() -> None:
    with pytest.raises(LimitError, match="envelope"):
        prepare(Draft(StepAbandoned(reason=""), scenario="x" * (1 << 20)), "id")


def test_an_unknown_type_is_carried_along_byte_for_byte() -> None:
    data = b'{"b": 1,  "a":[1.50]}'
    assert decode_event("from_the_future", 3, data) == UnknownEvent("from_the_future", 3, data)
    assert decode_event("step_abandoned", 99, data) == UnknownEvent("step_abandoned", 99, data)


def test_an_unknown_field_is_ignored() -> None:
    assert decode_event("step_abandoned", 1, b'{"reason":"x","new":{"y":1}}') == StepAbandoned(reason="x")


def test_an_old_version_goes_through_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(record.UPCASTERS, ("step_abandoned", -1), lambda old: {"text": old["t"]})
    monkeypatch.setitem(record.UPCASTERS, ("step_abandoned", 0), lambda old: {"reason": old["text"]})
    assert decode_event("step_abandoned", -1, b'{"t":"x"}') == StepAbandoned(reason="x")
    assert decode_event("step_abandoned", 0, b'{"text":"y"}') == StepAbandoned(reason="y")


def test_the_words_data_and_chain_inside_strings_do_not_confuse_a_line() -> None:
    nasty = '","data":{},"chain":"'
    line = line_of(MetaLogged(values={nasty: nasty}), id=nasty, scenario=nasty, run=nasty)
    found = decode_line(line, 1, 0)
    assert (found.id, found.scenario, found.run) == (nasty, nasty, nasty)
    assert found.event == MetaLogged(values={nasty: nasty})


def test_the_chain_is_pinned_for_ever() -> None:
    """A change of these values makes every log there is look damaged."""
    assert genesis("00") == b"d9j5v6WwDgJ2jlUznzaRq3pX8zs72o5U1F7YAptL7SM"
    head, data, chain = split_line(line_of(StepAbandoned(reason="x")))
    assert chain == chain_of(ZERO, head, data)
    assert chain_of(ZERO, head, b'{"reason":"x"}') == b"U9dzyw1kr4N-htpQqzrOseOptJmp5RuTEA22aHJX-dQ"


@given(st.tuples(st.binary(max_size=9), st.binary(max_size=9)), st.tuples(st.binary(max_size=9), st.binary(max_size=9)))
def test_different_heads_or_data_have_different_chains(one: tuple[bytes, bytes], two: tuple[bytes, bytes]) -> None:
    assert (chain_of(ZERO, *one) == chain_of(ZERO, *two)) == (one == two)


def test_a_line_whose_payload_lies_in_a_blob_is_read_through_the_log_only() -> None:
    event = StepAbandoned(reason="x")
    line = line_of(event).replace(encode_data(event), b'{"$blob":"00","size":1}')
    with pytest.raises(LogCorruptError, match="blob"):
        decode_line(line, 1, 0)
