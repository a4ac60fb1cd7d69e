"""Composes a program from a seed and a number: modules, steps, and chains from a value to the steps that use it."""

import random
from dataclasses import dataclass, field
from functools import cached_property

from attacks.fresh import carriers, sources_code, sources_values, sources_world
from attacks.fresh.grammar import CARRIERS, SOURCES, Carrier, Source, some

HOMES = ("model.parts.deep", "lib", "model.core", "steps", "main")
"""Modules of a program; each may import those before it."""
MAIN = len(HOMES) - 1
FORMS = ("function", "function", "function", "decorated", "method", "closure", "trace")
IMPORTS = ("from", "module", "alias", "star", "late", "text")
COLD_EVERY = 20
"""One program of so many runs in interpreters that were started for it."""
GRAMMAR = (carriers, sources_code, sources_values, sources_world)
"""Modules that fill the lists of sources and carriers when they are imported."""


@dataclass(frozen=True)
class Link:
    """A carrier in a chain."""

    carrier: Carrier
    n: str
    home: int
    by: str
    """How the module imports the one before, if it is another: one of `IMPORTS`."""


@dataclass
class Chain:
    """A source, and the way from it to the steps that use it."""

    source: Source
    n: str
    home: int
    values: tuple[str, ...]
    """The values that its edits go through, the first one first."""
    links: list[Link] = field(default_factory=list)
    users: list[int] = field(default_factory=list)
    """Numbers of the steps that use it."""


@dataclass
class Step:
    """A step of the workflow."""

    number: int
    home: int
    form: str
    by: str
    before: int | None = None
    """Number of a step whose output it takes."""
    recalls: bool = False
    """It reads what the step before it kept on ``self``."""

    @property
    def name(self) -> str:
        """Of the step and its function."""
        return f"step_{self.number}"


@dataclass
class Program:
    """A program; `rendering.rendered` makes its files."""

    seed: int
    number: int
    about: str
    chains: list[Chain]
    steps: list[Step]
    model: bool
    """The steps are methods of one object."""
    function: bool
    """The workflow lies in ``main()``."""
    scenario: bool
    within: bool
    """The change is made by the script, between two rounds of one process."""
    cold: bool

    @cached_property
    def label(self) -> str:
        """How to have it made again."""
        return f"--seed {self.seed} --only {self.number}" + (f" --about {self.about!r}" if self.about else "")

    def uses(self, step: Step) -> list[Chain]:
        """The chains that a step uses."""
        return [chain for chain in self.chains if step.number in chain.users]

    def after(self, numbers: set[int]) -> set[int]:
        """These steps and those that get something from them."""
        found = set(numbers)
        for step in self.steps:
            if step.before in found or (step.recalls and step.number - 1 in found):
                found.add(step.number)
        return found


def lead(seed: int, number: int, about: str = "") -> Source:
    """The source that the first edit of a program changes: all of them take turns, in an order of the seed's.

    With `about`, those with a label that holds one of its words, which commas divide.
    """
    order = [one for one in SOURCES if any(word in one.label for word in about.split(","))]
    random.Random(f"order {seed} {number // len(order)}").shuffle(order)
    return order[number % len(order)]


def program(seed: int, number: int, about: str = "") -> Program:
    """The program of a seed and a number, see `lead`."""
    chance = random.Random(f"program {seed} {number}")
    first = lead(seed, number, about)
    count = chance.choice((1, 2, 2, 3, 4)) if not first.shared else chance.choice((2, 2, 3))
    within = bool(first.live) and chance.random() < 0.3
    model = count > 1 and not within and chance.random() < 0.12
    home = chance.choice((MAIN, MAIN - 1, 2))
    steps = [
        Step(
            number=k + 1,
            home=home if model else chance.choice((MAIN, MAIN, MAIN - 1, 2)),
            form="method of the model" if model else chance.choice(FORMS),
            by=chance.choice(IMPORTS[:4]),
            before=chance.randint(1, k) if k and chance.random() < 0.4 else None,
            recalls=bool(model and k and chance.random() < 0.6),
        )
        for k in range(count)
    ]
    for step in steps:
        step.home = MAIN if step.form == "trace" else step.home
    wanted = [first, *(some(chance, SOURCES, lambda s: usable(s, count, within)) for _ in range(chance.randint(0, 2)))]
    wanted += [some(chance, SOURCES, lambda s: usable(s, count, within)) for _ in steps[1:]]
    chains = [chain(chance, source, str(place + 1), place, steps) for place, source in enumerate(wanted)]
    return Program(
        seed=seed,
        number=number,
        about=about,
        chains=chains,
        steps=steps,
        model=model,
        function=not within and chance.random() < 0.35,
        scenario=chance.random() < 0.8,
        within=within,
        cold=number % COLD_EVERY == COLD_EVERY - 1,
    )


def usable(source: Source, steps: int, within: bool) -> bool:
    """Whether a source may stand beside the first one. State between steps is another within one process."""
    return not source.needs and not (source.shared and (steps < 2 or within))


def chain(chance: random.Random, source: Source, n: str, place: int, steps: list[Step]) -> Chain:
    """A chain from this source to some of the steps."""
    users = [place % len(steps) + 1]
    if not source.local and (source.shared or chance.random() < 0.2):
        others = [step.number for step in steps if step.number not in users]
        users += [number for number in others if source.shared or chance.random() < 0.5]
    highest = min(steps[user - 1].home for user in users)
    home = highest if source.local or chance.random() < 0.35 else chance.randint(0, highest)
    values = tuple(chance.sample(source.values, min(3, len(source.values))))
    made = Chain(source, n, home, values, users=sorted(users))
    for place in range(chance.choice((0, 0, 0, 1, 1, 1, 2, 3))):
        kind = chance.choice([one for one in CARRIERS if one.passes or not source.local])
        if not source.local and chance.random() < 0.4:
            home = chance.randint(home, highest)
        made.links.append(Link(kind, f"{n}_{place + 1}", home, chance.choice(IMPORTS)))
    return made
