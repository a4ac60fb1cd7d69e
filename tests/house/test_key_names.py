"""The names by which cache keys know the things of ours stay, wherever these lie."""

import json
from pathlib import Path

import pytest

import consist_es
from consist_es.values.plain import type_name

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "key_names.json").read_text("utf-8"))
"""Public name -> its name in keys. It grows and is never changed."""


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_public_name_keeps_its_name_in_keys(name: str) -> None:
    assert type_name(getattr(consist_es, name)) == GOLDEN[name]


def test_every_public_function_and_class_is_on_the_list() -> None:
    public = {name for name in dir(consist_es) if hasattr(getattr(consist_es, name), "__qualname__")}
    assert public == GOLDEN.keys()
