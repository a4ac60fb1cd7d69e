"""Makes HOCON texts by chance, of what all readers of HOCON agree on by its specification.

Objects that are written in a row stand at paths of their own: pyhocon forgets what was set there before, where the
specification has them merged.
"""

import random

KEYS = ("a", "b", "c", "d")
WORDS = ("x", "some text", '"quoted"', '"1"', "1", "2", "1.5", "true", "false", "null", '"""raw"""')


def make(seed: int) -> str:
    """A text with objects, dotted keys, later values over earlier ones, arrays and substitutions."""
    chance = random.Random(seed)
    return (
        "\n".join(_field(chance, 0) for _ in range(chance.randint(1, 7)))
        + "\nbase { x = 1, y { z = two } }\nlist = [1, 2]\n"
    )


def _field(chance: random.Random, depth: int) -> str:
    key = ".".join(chance.choice(KEYS) for _ in range(chance.choice((1, 1, 2, 3))))
    roll = chance.random()
    if roll < 0.3 and depth < 2:
        inner = "\n".join(_field(chance, depth + 1) for _ in range(chance.randint(1, 3)))
        return f"{key} {chance.choice(['', '= ', ': '])}{{\n{inner}\n}}"
    value = _value(chance)
    if "} {" in value or value.startswith("{"):
        key = f"only{chance.randrange(10**9)}"
    return f"{key} {chance.choice('=:')} {value}"


def _value(chance: random.Random) -> str:
    roll = chance.random()
    if roll < 0.55:
        return chance.choice(WORDS)
    if roll < 0.7:
        return "[" + ", ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 3))) + "]"
    return chance.choice((
        "${base.x}", "${base.y.z}", "${base}", "${base.y}", "${?absent}", '"at "${base.x}', "${base.y.z}/more",
        "${list} [3]",
        "${base} {x = 3}", "{x = 3} ${base.y}", "[0] ${list}", "${MADE_VARIABLE}", '${MADE_VARIABLE}"/input"',
    ))  # fmt: skip
