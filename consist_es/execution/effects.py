"""Finds what a step changes on objects that outlive it, so that a hit can replay it.

A snapshot is taken before the call: attributes of all project objects that the function can reach, variables of their
modules, and the items of containers in them. It is compared after the call. A change is recorded with
the run if its value has a whole form (`consist_es.values.whole`); a run with any other change is never reused.
"""

from __future__ import annotations

import ast
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import msgspec

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.events import Effect
from consist_es.execution.current import company
from consist_es.identity.config import digest_of_plain
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.environment import environment_form
from consist_es.identity.live.left_out_values import NONE, LeftOut
from consist_es.identity.live.modules import file_of, is_ours
from consist_es.identity.live.owners import CONTAINERS, Owner, Reach, elements, is_own
from consist_es.identity.live.written import Written
from consist_es.identity.text import caches, writes
from consist_es.identity.text.mentions import mentions
from consist_es.identity.text.source import load_source
from consist_es.values.plain import to_plain
from consist_es.values.whole import is_immutable, whole

ABSENT = "absent"
"""`Effect.before` of a name that was not bound."""
LARGEST = 20_000_000
"""Most elements of a table or array that is compared by content."""
_REMEDY = "return it as an output instead, or make it in the step that needs it"
_REMEDY_OF_BLOCK = "log it as an output instead, or keep it out of the block"
_NOTHING: Any = object()
_ATOMS = (type(None), bool, int, float, str, bytes, complex)

Mask = Callable[[Any], Any]
"""Removes the secrets from a plain form."""


class Changes(msgspec.Struct, frozen=True):
    """The changes that a run made."""

    effects: list[Effect] = []
    lost: list[str] = []
    """Changes that a hit cannot replay: path and type."""
    unclear: str = ""
    """Why the run's changes are not known for sure."""
    over: bool = False
    """True if there were more or larger objects than are compared."""
    of_block: bool = False
    """True if a block made them. Its body runs on a hit too, and may or may not make them again."""

    @property
    def problem(self) -> str | None:
        """Why the run must not be reused, or None."""
        if self.lost and self.of_block:
            return f"it changed {', '.join(self.lost)}, which nothing does on a hit: {_REMEDY_OF_BLOCK}"
        if self.lost:
            return f"it changed {', '.join(self.lost)}, which a hit could not put back: {_REMEDY}"
        return self.unclear or None

    def warning(self, step: str) -> str:
        """Text of the warning to the user."""
        if not self.lost:
            return (
                f"Step {step!r} can reach more objects, or larger tables, than are compared before and after it: if it "
                "changes one of them for a later step, a hit will not do so. Return or log what it makes as an output."
            )
        remedy = _REMEDY_OF_BLOCK if self.of_block else _REMEDY
        return (
            f"Step {step!r} will be computed every time, because it keeps {', '.join(self.lost)} for later: {remedy}."
        )


def digest(value: Any, mask: Mask) -> str | None:
    """Digest of a value; None if it has no canonical form, is a large container, or the process's environment."""
    if environment_form(value) is not None:
        return None  # we set a variable ourselves
    if isinstance(value, CONTAINERS):
        form = whole(value)
        return None if form is None else digest_of_plain(mask(form))
    try:
        return digest_of_plain(mask(to_plain(value, ordered=True)))
    except (ConfigTypeError, ConfigValueError):
        return None


class _Held:
    """A value before the call: the object, and its digest if it can change in place."""

    __slots__ = ("_found", "_weak", "digest", "over")

    def __init__(self, value: Any, mask: Mask, digests: Mapping[int, str | None] = MappingProxyType({})) -> None:
        """`digests`: of containers, by id."""
        self._found, self._weak, self.digest, self.over = value, False, None, False
        if type(value) in _ATOMS:
            return
        own = is_own(type(value))
        if not isinstance(value, CONTAINERS):
            with suppress(TypeError):  # weak: a large table that the step replaces must not stay in memory
                self._found, self._weak = weakref.ref(value), True
            size = getattr(value, "size", 0) if not own else 0
            self.over = isinstance(size, int) and size > LARGEST
        if not own and not self.over:
            self.digest = digests[id(value)] if id(value) in digests else digest(value, mask)

    def is_still(self, value: Any) -> bool:
        """True if `value` is the same object."""
        return (self._found() if self._weak else self._found) is value

    def then(self, mask: Mask) -> str | None:
        """Digest before the call, or None."""
        atom = not self._weak and type(self._found) in _ATOMS
        return digest(self._found, mask) if atom else self.digest


class _Content:
    """The items of a container before the call: atoms as such, others as `_Held`."""

    def __init__(self, owner: Owner, mask: Mask) -> None:
        self.owner, self.digest = owner, digest(owner.value, mask)
        self.parts = [item if type(item) in _ATOMS else _Held(item, mask) for item in _parts(owner.value)]

    def is_same(self) -> bool:
        """True if it holds the same objects."""
        now = _parts(self.owner.value)
        return len(now) == len(self.parts) and all(map(_is_still, self.parts, now))

    def changed_within(self, mask: Mask) -> list[Any]:
        """Tables and arrays in it that were changed in place."""
        return [
            item
            for was, item in zip(self.parts, _parts(self.owner.value), strict=True)
            if type(was) is _Held
            and not isinstance(item, CONTAINERS)
            and was.digest is not None
            and was.digest != digest(item, mask)
        ]

    def changed_items(self) -> list[tuple[Any, Any]]:
        """(key, value) of the items of a dict that are new or hold another object."""
        half = len(self.parts) // 2
        was = dict(zip(self.parts[:half], self.parts[half:], strict=True))
        now = dict.items(self.owner.value)
        return [(key, item) for key, item in now if key not in was or not _is_still(was[key], item)]


def _is_still(was: Any, now: Any) -> bool:
    return was.is_still(now) if type(was) is _Held else was is now


class Change(msgspec.Struct, frozen=True):
    """One change; whether a hit can replay it is decided later."""

    owner: Owner
    name: str
    value: Any
    in_place: bool = False
    before: str | None = None
    item: bool = False
    """True for an item of a dict: `name` is the key's repr, `value` is (key, value)."""
    sure: bool = False
    """The value follows from the step's identity, whatever was there before."""
    required: bool = False
    """Possibly no change: a hit then requires the value to be there already."""

    @property
    def path(self) -> str:
        return self.effect(None).path

    def effect(self, form: Any) -> Effect:
        """The effect to record; `form` is the whole form of its value."""
        kind = "attribute" if self.owner.kind in ("object", "class") else "variable"
        kind = "item" if self.item else "content" if self.in_place else kind
        return Effect(
            kind=kind, owner=self.owner.path, name=self.name, value=form, before=self.before, required=self.required
        )


class Comparison:
    """Snapshot of what a function can reach, taken before the call."""

    def __init__(
        self, fn: Any, given: Mapping[str, Any], unread: Written, mask: Mask, left_out: LeftOut = NONE
    ) -> None:
        self._fn, self._given, self._unread, self._mask, self._left_out = fn, given, unread, mask, left_out
        self._company = company()
        reach = Reach(fn, given, left_out=left_out)
        self._over, self._functions = reach.over, reach.functions
        self._slots: list[tuple[Owner, dict[str, _Held]]] = []
        owners = [] if reach.over else list(reach.owners.values())
        self._contents = [_Content(owner, mask) for owner in owners if owner.kind == "container"]
        digests = {id(content.owner.value): content.digest for content in self._contents}
        for owner in owners:
            if owner.kind != "container":
                held = {name: _Held(value, mask, digests) for name, value in owner.slots().items()}
                self._slots.append((owner, held))

    def changes(self) -> Changes:
        """Compare with the snapshot, after the function has returned."""
        running, begun = self._company
        found = [*self._changed_slots(), *self._changed_contents()]
        over = self._over or any(held.over for _, slots in self._slots for held in slots.values())
        if self._over and self._unread.names:
            return Changes(lost=[f"self.{name}" for name in sorted(self._unread.names)], over=True)
        if not found:
            return Changes(over=over)
        after = Reach(self._fn, self._given, left_out=self._left_out)
        effects: list[Effect] = []
        lost: list[str] = []
        for change in found:
            if change.owner.kind in ("object", "container") and after.path_of(change.owner.value) is None:
                continue  # no longer reachable
            effect = self._effect(change, after)
            if effect is not None:
                effects.append(effect)
            elif not _is_left_out(change, self._mask) and not _is_cache(change):
                lost.append(f"{change.path} ({type(change.value).__name__})")
        together = running > 0 or company()[1] > begun + 1
        if together and (effects or lost):
            paths = ", ".join([*(effect.path for effect in effects), *lost])
            return Changes(unclear=f"{paths} changed while other steps ran, one of which may have done it", over=over)
        return Changes(effects, lost, over=over)

    # ------------------------------------------------------------ finding changes

    def _changed_slots(self) -> Iterator[Change]:
        for owner, slots in self._slots:
            now = owner.slots()
            for name in sorted({*slots, *now}):
                found = self._compared(owner, name, slots.get(name), now.get(name, _NOTHING))
                if found is not None and not _is_log(owner, name):
                    yield found

    def _compared(self, owner: Owner, name: str, held: _Held | None, value: Any) -> Change | None:
        if held is None or value is _NOTHING:
            sure = self._only_writes(owner, name)
            before = None if sure else ABSENT if held is None else held.then(self._mask)
            return Change(owner, name, value, before=before, sure=sure)
        same = held.is_still(value)
        if self._only_writes(owner, name):
            always = not same or name in self._unread.always
            then = None if always else digest(value, self._mask)
            return Change(owner, name, value, before=then, sure=True, required=not always)
        if same and (isinstance(value, CONTAINERS) or held.digest is None):
            return None
        before = held.then(self._mask)
        if before is not None and before == digest(value, self._mask):
            return None
        return Change(owner, name, value, in_place=same, before=before)

    def _only_writes(self, owner: Owner, name: str) -> bool:
        """True if the step only writes it: its earlier value is then no part of the step's identity."""
        if owner.kind == "object":
            own = owner.value is self._unread.owner and name in self._unread.names
            return own or _is_only_set(owner, name)
        if owner.kind != "module":
            return False
        said = [mentions(fn.__code__) for fn in owner.code[name]]
        return all(name in item.stores | item.sets and name not in item.loads | item.gets for item in said)

    def _changed_contents(self) -> Iterator[Change]:
        for content in self._contents:
            owner, before = content.owner, content.digest
            if content.is_same():
                for item in content.changed_within(self._mask):
                    yield Change(owner, "", item, in_place=True)  # no path leads to it alone
            elif before is not None and before == digest(owner.value, self._mask):
                continue
            elif _every_use(owner, lambda name, _kind, node: _sets_items(name, node)) and _has_plain_keys(owner.value):
                for key, item in content.changed_items():
                    yield Change(owner, repr(key), (key, item), item=True, sure=True)
            elif not _is_log(owner, ""):
                yield Change(owner, "", owner.value, in_place=True, before=before)

    # ------------------------------------------------------------ recording them

    def _effect(self, change: Change, after: Reach) -> Effect | None:
        """The effect with which a hit replays the change; None if it cannot."""
        owner, value = change.owner, change.value
        if "{" in owner.path or (change.in_place and not (value is owner.value or (change.name and _is_array(value)))):
            return None
        if value is _NOTHING:
            return change.effect(None)
        form = whole(value)
        said = {change.name if owner.root is None else owner.root[1]: form}
        if form is None or self._mask(said) != said or _is_shared(value, after, change):
            return None  # a secret is not recorded
        return change.effect(form)


def _parts(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return [*dict.keys(container), *dict.values(container)]
    return elements(container)


def _is_array(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def _is_shared(value: Any, after: Reach, change: Change) -> bool:
    """True if another object holds the value or a part of it: after a replay each would have its own copy."""
    if change.in_place:
        return False
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if is_immutable(item):
            continue
        fixed = isinstance(item, tuple | frozenset)
        if (id(item) in after.shared and not fixed) or after.path_of(getattr(item, "base", None)) is not None:
            return True
        if isinstance(item, CONTAINERS):
            waiting += _parts(item)
    return False


# ---------------------------------------------------------------- changes that no other code depends on


Use = Callable[[str, Any, ast.AST], bool]
"""Test of a function that mentions a variable: (name, type of its value, syntax tree of the function)."""


def _is_log(owner: Owner, name: str) -> bool:
    """True for a variable that the step's functions only append to or count in, and that no function reads."""
    if owner.kind == "container":
        holder, name = owner.root or (owner, "")
        written = _every_use(owner, writes.only_written)
    else:
        holder, kind = owner, type(owner.slots().get(name))
        written = owner.kind in ("module", "cell") and _holds_for(writes.only_written, owner, name, kind)
    return written and (
        holder.kind == "cell" or not caches.is_read_by_functions(caches.Thing(name, True), _trees(name))
    )


def _is_only_set(owner: Owner, name: str) -> bool:
    """True for an attribute of an object in a variable of which all functions only set attributes."""
    way = [name]
    while owner.kind == "object" and owner.root is not None:
        owner, step = owner.root
        way.insert(0, step)
    variable, *attributes = way
    found: set[tuple[str, ...]] = set()
    for fn in owner.code.get(variable, ()):
        node = writes.node_of_function(fn)
        chains = frozenset[tuple[str, ...]]() if node is None else writes.set_chains(variable, node)
        if not chains:
            return False
        found |= chains
    return tuple(attributes) in found


def _every_use(container: Owner, use: Use) -> bool:
    """True if `use` holds for every function that mentions the container's variable."""
    holder, name = container.root or (container, "")
    direct = holder.kind in ("module", "cell") and container.path == f"{holder.path}.{name}"
    return direct and _holds_for(use, holder, name, type(container.value))


def _holds_for(use: Use, owner: Owner, name: str, kind: Any) -> bool:
    for fn in owner.code.get(name, ()):
        node = writes.node_of_function(fn)
        if node is None or not use(name, kind, node):
            return False
    return name in owner.code


def _sets_items(name: str, node: ast.AST) -> bool:
    """True if code only sets items of a dict, ``name[key] = value``: its earlier content does not matter."""
    stored = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Assign):
            stored |= {id(target.value) for target in item.targets if isinstance(target, ast.Subscript)}
        elif isinstance(item, ast.Expr) and isinstance(item.value, ast.Call):
            function = item.value.func
            if isinstance(function, ast.Attribute) and function.attr == "update":
                stored.add(id(function.value))
    used = [item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name]
    return all(id(item) in stored for item in used)


def _has_plain_keys(value: Any) -> bool:
    return isinstance(value, dict) and all(type(key) in _ATOMS for key in dict.keys(value))


def _is_left_out(change: Change, mask: Mask) -> bool:
    """True if code identity leaves it out: a value in another module without a canonical form, such as a lock."""
    value = change.value
    known = value is _NOTHING or isinstance(value, CONTAINERS) or is_own(type(value))
    return change.owner.foreign and not known and digest(value, mask) is None


def _is_cache(change: Change) -> bool:
    """True for a cache that every reader fills first: after a hit it is not missed."""
    name = change.name if change.owner.root is None else change.owner.root[1]
    if getattr(sys.modules.get("__main__"), "__file__", None) is None:
        return False  # other cells of a notebook may read it, and their code is unknown
    items = change.item or change.in_place
    return caches.is_cache(caches.Thing(name, items), _trees(name))


def _trees(word: str) -> list[ast.Module]:
    """Syntax trees of the project's loaded modules that contain `word`."""
    found = []
    for module in list(sys.modules.values()):
        filename = file_of(module) or ""
        if is_first_party(filename) and not is_ours(module.__name__):
            source = load_source(filename)
            if source is not None and word in source.text:
                found.append(source.tree)
    return found
