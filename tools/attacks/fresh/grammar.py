"""The words of the grammar: a source is a value behind a step, a carrier is a way to it.

Texts hold four marks: ``$n`` is the number of the source's place, so that no two names are equal, ``$v`` is its value,
an expression; ``$e`` is the expression that a carrier carries, and ``$M`` is what the script writes before a name of
the module that the source lies in.
"""

import random
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Content = str | Callable[[str, str], bytes]
"""Text of a file, or what makes its bytes from the value and the number."""

KINDS = {
    "C": "class bodies",
    "D": "classes of config values",
    "E": "names in text",
    "F": "installed wrappers",
    "G": "links in folders",
    "H": "modules imported inside a step",
    "I": "set-up and imports for effect",
    "J": "replaced at run time",
    "K": "values that are equal",
    "L": "environment variables",
    "N": "where code lies",
    "O": "plain forms",
    "R": "undeclared reads",
    "S": "state between steps",
    "Z": "plain code, config and inputs",
}
"""Letters as in the classes of fault; R, S and Z are the fuzzer's own."""

NUMBERS = tuple(map(str, range(2, 60)))


@dataclass(frozen=True)
class Source:
    """A value that a step reads, and how."""

    kind: str
    name: str
    expr: str
    """The value in the step's body."""
    defs: str = ""
    """Statements of the module that the source lies in."""
    imports: str = ""
    main: str = ""
    """Statements of the script before its workflow."""
    brings: str = ""
    """Imports of the script."""
    files: Mapping[str, Content] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    live: str = ""
    """Statements of the script that set another value within the process."""
    env: str = ""
    """Name of an environment variable that has the value."""
    config: str = ""
    """Value of a config parameter, which is called ``c$n``."""
    inputs: str = ""
    """Path of a declared input, which is called ``i$n``."""
    values: tuple[str, ...] = NUMBERS
    spreads: bool = False
    """It sets up the whole process: a step that does not name it may run again."""
    needs: str = ""
    """A package that is slow to load, so that few programs use it."""
    shared: bool = False
    """Of interest only if two steps use it."""

    @property
    def label(self) -> str:
        """Class and name, as the report shows them."""
        return f"{self.kind} {self.name}"

    @property
    def local(self) -> bool:
        """It is a parameter of the step, so that no function of a module can reach it by itself."""
        return bool(self.config or self.inputs)


@dataclass(frozen=True)
class Carrier:
    """A way from an expression to another expression."""

    name: str
    expr: str
    defs: str = ""
    imports: str = ""
    passes: bool = False
    """It takes the value where the step is, and so can carry a parameter of the step."""


SOURCES: list[Source] = []
CARRIERS: list[Carrier] = []


def tidy(text: str) -> str:
    """Text without the indentation that it has in the grammar's own source."""
    return textwrap.dedent(text).strip("\n")


def source(
    kind: str,
    name: str,
    expr: str,
    defs: str = "",
    imports: str = "",
    *,
    main: str = "",
    files: Mapping[str, Content] | None = None,
    live: str = "",
    values: Iterable[str] = NUMBERS,
    **rest: object,
) -> None:
    """Add a source to the grammar; texts may be indented."""
    written = {path: tidy(text) + "\n" if isinstance(text, str) else text for path, text in (files or {}).items()}
    SOURCES.append(
        Source(
            kind,
            name,
            expr,
            tidy(defs),
            tidy(imports),
            tidy(main),
            files=written,
            live=tidy(live),
            values=tuple(values),
            **rest,  # type: ignore[arg-type]
        )
    )


def carrier(name: str, expr: str, defs: str = "", imports: str = "", *, passes: bool = False) -> None:
    """Add a carrier to the grammar."""
    CARRIERS.append(Carrier(name, expr, tidy(defs), tidy(imports), passes))


def plain(v: str, n: str) -> bytes:
    """The value alone, without a line end."""
    return v.encode()


def filled(text: str, n: str, v: str = "", m: str = "") -> str:
    """A text with its marks replaced."""
    return text.replace("$M", m).replace("$v", v).replace("$n", n)


def some(chance: random.Random, wanted: Iterable[Source], allowed: Callable[[Source], bool]) -> Source:
    """One of these sources: first a class, then one of it, so that small classes come as often."""
    by_kind: dict[str, list[Source]] = {}
    for one in wanted:
        if allowed(one):
            by_kind.setdefault(one.kind, []).append(one)
    return chance.choice(by_kind[chance.choice(sorted(by_kind))])
