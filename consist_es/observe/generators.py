"""Observes the global random generators: `random`, and numpy's legacy one if numpy is loaded.

A step that draws from a seeded generator depends on the seed. An unseeded generator got its state from the system: it
differs in each process and cannot be required.
"""

from __future__ import annotations

import base64
import binascii
import functools
import random
import re
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from consist_es.errors import UsageError
from consist_es.observe import hook
from consist_es.observe.reads import RandomMove
from consist_es.values.digests import digest_of

PYTHON, NUMPY = "random", "numpy"
NAMES = (PYTHON, NUMPY)
_WORDS = 624
_PYTHON_SEEDS = re.compile(
    r"(?<!np\.)(?<!numpy\.)\brandom\s*\.\s*(?:seed|setstate)\b|\bfrom\s+random\s+import\b[^\n]*(?:\bseed\b|\bsetstate\b|\*)"
    r"|\bimport\s+random\s+as\b|\b(?:seed_everything|seed_all|fix_seeds?|set_(?:all_|random_|global_)?seeds?)\s*\("
)
_NUMPY_SEEDS = re.compile(r"\bset_state\b")
_seeded: set[str] = set()
"""Generators seeded within some run, or restored by us."""


class State(msgspec.Struct, frozen=True):
    """The state of one generator, of the default kind of both (Mersenne Twister)."""

    words: tuple[int, ...] | bytes
    place: int
    gauss: float | None

    def packed(self) -> bytes:
        """The words as little-endian bytes."""
        return self.words if isinstance(self.words, bytes) else struct.pack(f"<{_WORDS}I", *self.words)

    def text(self) -> str:
        """The state as one text of some 3,150 characters."""
        gauss = "" if self.gauss is None else self.gauss.hex()
        return f"{base64.b85encode(self.packed()).decode()} {self.place} {gauss}"

    def digest(self) -> str:
        """Digest of the state."""
        return digest_of(self.text().encode(), 16)

    @classmethod
    def from_text(cls, text: str) -> State:
        """Raises UsageError if the text is not a state."""
        try:
            words, place, gauss = text.split(" ")
            packed = base64.b85decode(words)
            if len(packed) != 4 * _WORDS or not 0 <= int(place) <= _WORDS:
                raise ValueError("length")
            return cls(packed, int(place), float.fromhex(gauss) if gauss else None)
        except (ValueError, binascii.Error) as problem:
            raise UsageError("A recorded state of a random generator is damaged. Run the step again.") from problem


def state_of(name: str) -> State | None:
    """The generator's state; None if it is not loaded, or of another kind."""
    if name == PYTHON:
        _, numbers, gauss = random.getstate()
        return State(numbers[:-1], numbers[-1], gauss)
    module = sys.modules.get("numpy.random")
    if module is None or not hasattr(module, "get_state"):
        return None
    found = module.get_state(legacy=True)
    if not isinstance(found, tuple) or found[0] != "MT19937":
        return None
    _, words, place, has_gauss, gauss = found
    words = words if sys.byteorder == "little" else words.byteswap()
    return State(words.tobytes(), int(place), float(gauss) if has_gauss else None)


def restore_random(states: dict[str, str]) -> None:
    """Restore generators to the states that a run left, name -> `RandomMove.after`; skips those not loaded."""
    for name, text in states.items():
        state = State.from_text(text)
        if name == PYTHON:
            numbers = struct.unpack(f"<{_WORDS}I", state.packed())
            random.setstate((3, (*numbers, state.place), state.gauss))
        elif (module := sys.modules.get("numpy.random")) is not None:
            import numpy as np

            words = np.frombuffer(state.packed(), dtype="<u4").astype(np.uint32)
            gauss = state.gauss
            module.set_state(("MT19937", words, state.place, int(gauss is not None), gauss or 0.0))
        _seeded.add(name)


def is_seeded(name: str, sources: Callable[[], Sequence[str]]) -> bool:
    """True if the generator may have been seeded in this process.

    Numpy itself shows it. For `random` it is known within runs; before, it depends on whether the project's sources
    seed anything.
    """
    if name in _seeded:
        return True
    pattern = _PYTHON_SEEDS
    if name == NUMPY:
        legacy = getattr(getattr(sys.modules.get("numpy.random"), "mtrand", None), "_rand", None)
        if getattr(getattr(legacy, "_bit_generator", None), "_seed_seq", None) is None:
            return True
        pattern = _NUMPY_SEEDS
    return any(pattern.search(text) for text in sources())


class Began:
    """The generators' states when a run began."""

    def __init__(self) -> None:
        self.states = {name: state_of(name) for name in NAMES}
        self.was_seeded = set(_seeded)
        self.pure: dict[str, bool] = {}
        """Generator seeded within -> True if nothing was drawn from it before."""

    def about_to_seed(self, name: str) -> None:
        """Note that the generator is about to be seeded within the run."""
        if name not in self.pure:
            self.pure[name] = state_of(name) == self.states[name]

    def moved(self, sources: Callable[[], Sequence[str]]) -> dict[str, RandomMove]:
        """Name -> change, for each generator that the run moved."""
        found = {}
        for name in NAMES:
            before, after = self.states[name], state_of(name)
            if after is None or before == after:
                continue
            pure = self.pure.get(name, False)
            if before is None:  # loaded within the run: in a state from the system, unless the step seeded it
                if is_seeded(name, tuple):
                    found[name] = RandomMove("", after.text(), seeded_within=True)
                continue
            seeded = name in self.was_seeded or (not pure and is_seeded(name, sources))
            found[name] = RandomMove(before.digest(), after.text(), seeded, pure)
        return found


_listening: list[Began] = []


def _standing_in(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def seed(*args: Any, **options: Any) -> Any:
        if hook.is_open():
            for began in _listening:
                began.about_to_seed(name)
            _seeded.add(name)
        return plain(*args, **options)

    return seed


_SEEDING = ((PYTHON, "random", ("seed", "setstate")), (NUMPY, "numpy.random", ("seed", "set_state")))
_put: list[tuple[Any, str, Any, Any]] = []
"""Module, attribute, original and stand-in."""


def listen(began: Began) -> None:
    """Notify a run when a generator is seeded."""
    _listening.append(began)


def forget(began: Began) -> None:
    """Stop notifying a run."""
    _listening[:] = [each for each in _listening if each is not began]


def put_in() -> None:
    """Put stand-ins for the seeding functions in place."""
    if _put:
        return
    for name, module_name, attributes in _SEEDING:
        module = sys.modules.get(module_name)
        for attribute in attributes:
            plain = getattr(module, attribute, None)
            if plain is not None:
                stand_in = _standing_in(name, plain)
                _put.append((module, attribute, plain, stand_in))
                setattr(module, attribute, stand_in)


def take_out() -> None:
    """Put the originals back, unless other code has replaced them meanwhile."""
    for module, attribute, plain, stand_in in _put:
        if getattr(module, attribute) is stand_in:
            setattr(module, attribute, plain)
    _put.clear()
