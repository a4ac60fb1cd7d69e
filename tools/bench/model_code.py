"""A package of any length, written like the model of an agency: what the code identity of a step has to go through.

Every module has imports of others, a logger, settings from the environment, tables of constants, functions, a dataclass
and a class with methods, comments and docstrings, and a command line of its own.
"""

from __future__ import annotations

from pathlib import Path

LINES = 540
"""Of a module, about."""
_HEAD = '''"""Part {n} of the model: demand, supply and what follows from both."""

import argparse
import functools
import logging
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

{imports}
logger = logging.getLogger(__name__)
HERE = Path(__file__).parent
SCRATCH = os.environ.get("MODEL_SCRATCH_{n}", "/nowhere")
THREADS = int(os.getenv("MODEL_THREADS", "4"))
GROWTH = 1.0{n}
MODES = ("walk", "bike", "transit", "drive", "shared")
RATES = {{{rates}}}
LIMITS = {{
{limits}
}}


@dataclass
class Settings{n}:
    """Settings of part {n}."""

    name: str = "part {n}"
    share: float = 0.{n}
    weights: dict[str, float] = field(default_factory=dict)
    modes: tuple[str, ...] = MODES

    def total(self) -> float:
        """Sum of the weights."""
        return sum(self.weights.values()) * GROWTH


class Part{n}(object):
    """Keeps results of part {n} for those who ask twice."""

    count = 0
    names = ["a", "b", "c"]

    def __init__(self, settings):
        self.settings = settings
        self.cache = {{}}

    @property
    def title(self):
        return self.settings.name.title()

    def run(self, zones):
        for zone in zones:
            if zone not in self.cache:
                self.cache[zone] = self.settings.total() * len(zones)
        return self.cache


@functools.lru_cache(maxsize=None)
def factor_{n}(zone):
    """Looked up again and again."""
    return RATES.get(zone, 1.0) * LIMITS["limit 0"]["high"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", type=int, default=12, help="how many zones")
    parser.add_argument("--out", default=str(HERE / "out.csv"))
    asked = parser.parse_args()
    logger.info("part %s with %d zones", "{n}", asked.zones)
    Path(asked.out).write_text(str(part_{n}_0(asked.zones, MODES)))


'''
_FUNCTION = '''def part_{n}_{i}(zones, modes, scale=1.{i}, *, keep=None):
    """Trips between zones by mode.

    Scaled by {i}, see the manual.
    """
    # the manual says trips per day, the survey trips per week
    total, found = 0.0, {{}}
    for zone in range(zones):
        share = math.exp(-scale * zone) / (1.0 + RATES.get(str(zone), 0.0))
        for mode in modes:
            if keep is not None and mode not in keep:
                continue
            value = share * factor_{n}(mode) + zone ** 2 / ({i} + 1)
            found[(zone, mode)] = found.get((zone, mode), 0.0) + value
            total += value
    rows = [(zone, mode, value) for (zone, mode), value in sorted(found.items()) if value > 0]
    logger.debug("part %s: %d rows, total %.2f", "{i}", len(rows), total)
    return {{"total": total, "rows": rows, "largest": max(found.values(), default=0.0){other}}}


'''
_STEP = '''"""The step, in a file of its own."""

from {package} import {first}


def step():
    return len({first}.part_0_0(2, {first}.MODES)["rows"])
'''


def write(folder: Path, package: str, lines: int) -> int:
    """A package of about so many lines, and a module ``<package>_step`` with a step that reaches all of it. Gives the
    exact number of lines."""
    modules = max(1, round(lines / LINES))
    place = folder / package
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("")
    made = 0
    for number in range(modules):
        text = _module(package, number, modules)
        (place / f"part_{number}.py").write_text(text)
        made += text.count("\n")
    (folder / f"{package}_step.py").write_text(_STEP.format(package=package, first="part_0"))
    return made


def _module(package: str, number: int, modules: int) -> str:
    """Each imports the two that follow it in a binary tree, and one more by name, so that imports go across."""
    others = [other for other in (2 * number + 1, 2 * number + 2) if other < modules]
    imports = [f"from {package} import part_{other}" for other in others]
    imports += [f"from {package}.part_{other} import part_{other}_0 as base_{other}" for other in others]
    rates = ", ".join(f'"{zone}": {zone / 8}' for zone in range(12))
    limits = "\n".join(f'    "limit {item}": {{"low": {item}, "high": {item * 2.5}}},' for item in range(12))
    text = [_HEAD.format(n=number, imports="\n".join(imports), rates=rates, limits=limits)]
    count = 0
    while sum(part.count("\n") for part in text) < LINES - 8:
        other = f', "next": base_{others[0]}' if others and count % 3 == 0 else ""
        text.append(_FUNCTION.format(n=number, i=count, other=other))
        count += 1
    text.append('if __name__ == "__main__":\n    main()\n')
    return "".join(text)
