"""Changed arguments of a partial and attributes of a method's object are told by their values."""

import functools
from dataclasses import dataclass, field
from typing import Any

from consist_es import Secret, Tracker
from consist_es.identity.code.given import given_values
from tests.support.api import NONE, made


@dataclass
class Choice:
    beta: float = -0.05
    table: list[int] = field(default_factory=lambda: list(range(500)))
    password: str = "a b c"

    def run(self) -> Any:
        return made(text=f"{self.beta}\n")


def share(base: int, k: int = 0) -> Any:
    return made(text=f"{base} {k}\n")


def test_arguments_and_attributes_that_are_short_are_found() -> None:
    outer = functools.partial(functools.partial(share, 1), k=2)
    assert given_values(outer) == {"argument": {"0": 1, "k": 2}}
    assert given_values(functools.partial(functools.partial(share, k=1), k=2)) == {"argument": {"k": 2}}
    assert given_values(Choice().run) == {"attribute": {"beta": -0.05, "password": "a b c"}}
    assert given_values(Choice().run, {"beta"}) == {"attribute": {"password": "a b c"}}
    assert given_values(share) == given_values(print) == given_values(Choice) == {}
    assert given_values(functools.partial(share, object())) == {}


def test_a_changed_one_is_told_by_its_value(tracker: Tracker) -> None:
    for beta, k in ((-0.05, 1), (-0.06, 2)):
        choice = tracker.run(Choice(beta).run, name="choice", outputs=["o"])
        part = tracker.run(functools.partial(share, 1, k=k), name="share", outputs=["o"], execution_options=NONE)
    assert choice.run.why().differs == ["attribute beta: -0.05 -> -0.06"]
    assert part.run.why().differs == ["argument k: 1 -> 2"]
    again = tracker.run(functools.partial(share, 1, k=2), name="share", outputs=["o"], execution_options=NONE)
    assert again.cache_hit


def test_a_long_one_is_told_as_code(tracker: Tracker) -> None:
    for table in ([1] * 500, [2] * 500):
        result = tracker.run(Choice(table=table).run, name="choice", outputs=["o"])
    assert result.run.why().differs == ["code of callable: changed"]


def test_secrets_in_them_are_masked(tracker: Tracker) -> None:
    for word in ("open sesame one", "open sesame two"):
        bound = functools.partial(share, 1, k=Secret(word))  # type: ignore[arg-type]
        result = tracker.run(bound, name="share", outputs=["o"], execution_options=NONE)
        tracker.run(Choice(password=word).run, name="choice", outputs=["o"])
    assert result.run.why().differs == ["argument k: masked -> masked (changed)"]
    text = b"".join(path.read_bytes() for path in tracker.project.folder.glob("*.jsonl"))
    assert b"open sesame" not in text
