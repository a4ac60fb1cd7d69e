"""Makes config trees by chance, of everything that ActivitySim's reader knows and of mistakes."""

import random
from pathlib import Path
from typing import Any

NAMES = ("settings", "cdap", "trip_mode_choice", "constants", "persons", "network_los")
KEYS = ("a", "b", "c", "SPEC", "persons", "households_sample_size", "1", "on", "~")
VALUES = (
    "1", "1.0", "010", "1e3", "1_000", "yes", "No", "null", "~", "''", '"persons"', "persons", "2026-01-02", ".inf",
    "0x1F",
    "[1, persons, {a: persons}]", "{persons: persons, b: {c: persons}}", "[]", "{}", "|\n  text\n  more", "'it''s'",
    "1:30", "!!str 5", "&x [1, 2]", "{1: one, true: two, 1.5: three}", "tours", "2026-01-02 03:04:05", "!!set {a, b}",
    "!!binary aGVsbG8=", "{<<: {a: 1}, b: 2}", "+12", "0o17", "1__0", "-.5", "Off",
)  # fmt: skip
DIRECTIVES = (
    "inherit_settings: true", "inherit_settings: True", "inherit_settings: yes", "inherit_settings: 1",
    "inherit_settings: false", "inherit_settings: 'True'", "inherit_settings: [1]", "inherit_settings:",
)  # fmt: skip
WHOLE = (
    "", "# nothing\n", "- a\n- b\n", "text\n", "a: {{ template }}\n", "a: [1\n", "{}\n", "0\n", "a: 1\na: 2\n",
    "\ta: 1\n",
)  # fmt: skip


def make(folder: Path, seed: int) -> list[Path]:
    """A tree of config folders, in their order."""
    chance = random.Random(seed)
    folders = [folder / name for name in ("near", "middle", "far", "base")[: chance.randint(1, 4)]]
    names = chance.sample(NAMES, chance.randint(1, 4))
    for place in folders:
        place.mkdir(parents=True)
        for name in names:
            if chance.random() < 0.75:
                _file(place / f"{name}{chance.choice(['.yaml'] * 8 + ['.YAML', '.yml'])}", names, chance)
        for name in chance.sample(("x.csv", "y.csv", "sub/z.csv"), chance.randint(0, 3)):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text(f"a,b\n1,{chance.randint(0, 9)}\n")
        if chance.random() < 0.2:
            (place / "sub").mkdir(exist_ok=True)
            _file(place / "sub" / f"{chance.choice(names)}.yaml", names, chance)
    return folders


def _file(path: Path, names: list[str], chance: random.Random) -> None:
    end = chance.choice(["\n"] * 9 + ["\r\n"])
    path.write_bytes(_content(names, chance).replace("\n", end).encode())


def _content(names: list[str], chance: random.Random) -> str:
    roll = chance.random()
    if roll < 0.1:
        return chance.choice(WHOLE)
    if roll < 0.22:
        more = "a: 1\n" if chance.random() < 0.2 else ""
        return f"include_settings: {_target(names, chance)}\n{more}"
    lines = [f"{chance.choice(KEYS)}: {chance.choice(VALUES)}" for _ in range(chance.randint(0, 5))]
    if chance.random() < 0.6:
        lines.insert(chance.randint(0, len(lines)), chance.choice(DIRECTIVES))
    elif chance.random() < 0.4:
        lines.append(f"inherit_settings: {_target(names, chance)}")
    return "\n".join(lines) + "\n"


def _target(names: list[str], chance: random.Random) -> str:
    name = chance.choice([*names, *names, "missing", f"sub/{names[0]}"]) + chance.choice(["", ".yaml"])
    extra: Any = chance.choice(
        [
            "", "", "", "", "", "", " --SUFFIX proto_ --ROOTS persons tours", " -s x_ -r persons", " -s x_",
            " --ROOTS persons", " --SUF p_ --ROO persons", " and more", " --unknown",
        ]
    )  # fmt: skip
    return f"{name}{extra}"
