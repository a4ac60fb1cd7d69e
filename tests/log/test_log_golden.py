"""One line of every (type, v) ever released is decoded for ever.

Run this file as a script to make the missing ones; never change those that are there.
"""

from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from consist_es.events import REGISTRY, Draft, Event
from consist_es.log.record import UPCASTERS, chain_of, decode_line, encode_line, prepare, split_line

GOLDEN = Path(__file__).parents[1] / "golden"
START = b"A" * 43
"""Chain value before every golden line."""


def expected() -> list[tuple[str, int]]:
    ours = [key for key, kind in REGISTRY.items() if kind.__module__ == "consist_es.events"]
    return sorted({*ours, *UPCASTERS})


def path_of(type: str, v: int) -> Path:
    return GOLDEN / f"{type}.v{v}.jsonl"


def filled(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """A struct with something in every field, also in those that have a default."""
    hints = get_type_hints(kind)
    return kind(**{name: _value(name, hints[name]) for name in kind.__struct_fields__})


def _value(name: str, kind: Any) -> Any:
    simple = {str: f"{name} é", int: 42, float: 1.5, bool: True, Any: {name: [None, 2, -0.5, "ü"]}}
    if kind in simple:
        return simple[kind]
    args = get_args(kind)
    if get_origin(kind) is list:
        return [_value(name, args[0])]
    if get_origin(kind) is dict:
        return {f"{name} key": _value(name, args[1])}
    if args:  # X | None
        return _value(name, args[0])
    return filled(kind)


@pytest.mark.parametrize(("type", "v"), expected())
def test_every_type_and_version_has_a_golden_line(type: str, v: int) -> None:
    assert path_of(type, v).exists(), f"run {Path(__file__).name} as a script and commit the new file"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_golden_line_decodes_with_every_value_in_its_place(path: Path) -> None:
    line = path.read_bytes()
    found = decode_line(line, 1, 0)
    assert f"{found.type}.v{found.v}.jsonl" == path.name
    assert isinstance(found.event, Event)
    assert found.type == found.event.TYPE
    plain = msgspec.json.decode(line)
    if found.v == found.event.V:
        assert _without_new_fields(msgspec.to_builtins(found.event), plain["data"]) == plain["data"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.jsonl")), ids=lambda path: path.stem)
def test_a_golden_line_has_the_chain_value_that_it_always_had(path: Path) -> None:
    head, data, chain = split_line(path.read_bytes())
    assert chain == chain_of(START, head, data)


def _without_new_fields(value: Any, golden: Any) -> Any:
    if isinstance(value, dict) and isinstance(golden, dict):
        return {key: _without_new_fields(item, golden.get(key)) for key, item in value.items() if key in golden}
    if isinstance(value, list) and isinstance(golden, list):
        return [_without_new_fields(item, old) for item, old in zip(value, golden, strict=True)]
    return value


def _make_missing() -> None:
    for key in expected():
        path = path_of(*key)
        if not path.exists():
            event = filled(REGISTRY[key])
            assert isinstance(event, Event)
            item = prepare(Draft(event, "scenario é", "run ü"), "01a202eb-29af-7a0b-9bf5-b0d4fb334342")
            line, _ = encode_line(item, 42, True, "2026-11-22T08:13:00.123456Z", "host.1.abcdef01", START)
            path.write_bytes(line)


if __name__ == "__main__":
    _make_missing()
