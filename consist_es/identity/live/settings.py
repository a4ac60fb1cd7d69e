"""Judges values in followed modules: settings and registries that the code reads count, state does not."""

import logging
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.loaded import Batch, Held, plain_or_none
from consist_es.identity.live.modules import file_of
from consist_es.identity.live.objects import class_sources, keeps_results
from consist_es.identity.text.readers import Readers, writes_to
from consist_es.identity.text.source import Source, digest_plain
from consist_es.identity.text.usage import ATTRIBUTE, NAME, file_usage
from consist_es.system.tee import original
from consist_es.values.encoding import is_same
from consist_es.values.plain import type_name

_NOTHING = ["NoneType", None]
_NEVER_PLAIN = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, types.MemberDescriptorType)


class HeldValues:
    """Values not yet judged: code that is found later may read them."""

    def __init__(self, root: Path, readers: Readers, refer: Callable[[Held], Any], seen: Callable[[Any], None]) -> None:
        self._root, self._readers, self._refer, self._seen = root, readers, refer, seen
        self._waiting: dict[str, Held] = {}
        self._new: dict[str, Held] = {}
        """Those of them that came after all were judged by the code `_asked`."""
        self._asked: object = None
        self._judged: set[str] = set()
        self._sources: dict[type, tuple[Source, ...]] = {}
        self._written: dict[tuple[type, str], bool] = {}
        """(class, attribute) -> True if methods of the class write to it."""
        self._plain: dict[str, Any] = {}
        self._batches: dict[Batch, None] = {}
        self._new_batches: list[Batch] = []

    def add(self, items: Iterable[Held | Batch]) -> None:
        """Queue values to be judged, once each."""
        for item in items:
            if isinstance(item, Batch):
                self._batches[item] = None
                self._new_batches.append(item)
            elif item.label not in self._judged:
                self._waiting[item.label] = self._new[item.label] = item

    def count(self, parts: dict[str, str]) -> bool:
        """Add a part for each value that counts, given the code reached so far; returns whether any was judged."""
        found, now = False, self._readers.now()
        known = now is self._asked
        waiting, batches = (self._new, self._new_batches) if known else (self._waiting, [*self._batches])
        self._new, self._new_batches, self._asked = {}, [], now
        for held in list(waiting.values()):
            if self._is_settled(held) or self._counts(held):
                del self._waiting[held.label]
                self._judged.add(held.label)
                found = True
                if (plain := self._digested(held)) is not None:
                    parts[held.label] = digest_plain(plain)
        for batch in batches:
            parts |= self._readers.once(batch, self._judged_batch)
        return found

    def _judged_batch(self, batch: Batch) -> dict[str, str]:
        """The parts of a batch, given the code reached so far."""
        judged = ((held, self._digested(held)) for held in batch.held if self._is_settled(held) or self._counts(held))
        return {held.label: digest_plain(plain) for held, plain in judged if plain is not None}

    def split(self, kind: type, state: dict[str, Any], where: str) -> tuple[dict[str, Any], list[Held]]:
        """Split an object's attributes: some count as they are, others are judged, because methods write to them.

        Leaves out results of cached properties, which follow from the rest.
        """
        if kind not in self._sources:
            self._sources[kind] = class_sources(kind)
        sources = self._sources[kind]
        whole: dict[str, Any] = {}
        apart: list[Held] = []
        for name, value in sorted(state.items()):
            if (kind, name) not in self._written:
                own = tuple(file_usage(source) for source in sources)
                self._written[kind, name] = writes_to(ATTRIBUTE, name, own, instance=True)
            inner = f"{where}.{name}"
            if self._written[kind, name]:
                apart.append(Held(f"value {inner}", inner, name, value, None, False, sources, True, instance=True))
            elif not keeps_results(kind, name):
                whole[name] = value
        return whole, apart

    def _is_settled(self, held: Held) -> bool:
        """True if a value equals the literal in its source."""
        if held.label not in self._plain:
            never = held.never or isinstance(held.value, _NEVER_PLAIN) or type(held.value) is logging.Logger
            self._plain[held.label] = None if never else plain_or_none(held.value, self._root, held.where)
        plain = self._plain[held.label]
        return plain is not None and (is_same(plain, held.literal) or (held.instance and plain == _NOTHING))

    def _counts(self, held: Held) -> bool:
        if held.surely:
            return True
        kind = ATTRIBUTE if held.attribute else NAME
        own = tuple(file_usage(source) for source in held.sources)
        if self._readers.is_state(kind, held.name, own, instance=held.instance):
            return False
        if self._plain[held.label] is not None and (not held.added or self._readers.computes):
            return True
        return self._readers.reads(kind, held.name, own)

    def _digested(self, held: Held) -> Any:
        """Plain form to hash for a value; None if it adds nothing."""
        plain = self._plain[held.label]
        if plain is not None:
            if self._is_settled(held):
                return None
            self._seen(held.value)
            return plain
        if isinstance(held.value, types.ModuleType) and not is_first_party(file_of(held.value) or ""):
            return None
        found = self._refer(held)
        if isinstance(held.value, types.ModuleType) and held.value.__name__.rpartition(".")[2] == held.name:
            return None  # a module of the package, which counts by its source
        if found is None or (isinstance(found, dict) and "$ignored" in found):
            replaced = held.literal is not None and held.literal != _NOTHING
            return {"$unknown": type_name(type(held.value))} if replaced else None
        return [type_name(type(original(held.value))), found]
