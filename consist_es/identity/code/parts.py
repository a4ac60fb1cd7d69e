"""Collects the parts of a code identity: those of version 1 of the fingerprint, and those added since."""

import ast
import functools
import itertools
import types
from typing import Any

from consist_es.identity.code.setup import set_ups
from consist_es.identity.code.text_names import names_in_file
from consist_es.identity.code.visitor import Visitor
from consist_es.identity.live import harmless, states
from consist_es.identity.live.builtin_names import put_on_builtins
from consist_es.identity.live.left_behind import LEFT, left_outside
from consist_es.identity.live.modules import file_label, is_ours, portable_or_none
from consist_es.identity.live.named_modules import modules_named
from consist_es.identity.live.objects import names_in
from consist_es.identity.live.scope import resolve
from consist_es.identity.text.fields import with_computed_fields
from consist_es.identity.text.places import places_in_file
from consist_es.identity.text.source import digest_plain, load_source
from consist_es.identity.text.statements import chain
from consist_es.identity.text.usage import NAME, file_usage


class WholeVisitor(Visitor):
    """Counts everything that code reaches, and what is set up for it."""

    def finish(self) -> dict[str, str]:
        """The parts of version 1; `added` holds those since."""
        self._visit_all()
        if self.follow:
            self._effects()
        counted = {**self.parts, **self.modules.parts}
        self._visit_since()
        if self.follow:
            self._beyond()
            if self.modules.computed and not self.declared:
                files = ", ".join(sorted(self.modules.computed))
                self.unstable.append(
                    f"{files} imports a module whose name is computed; name its file in code_identity_extra_deps"
                )
            self._set_ups()
            self._visit_present()
            self._visit_patched()
            self._visit_builtins()
        for name, part in {**self.parts, **self.modules.parts}.items():
            if counted.get(name) != part:
                self.added[f"{name} (since)" if name in counted else name] = part
        self.modules.comparing.finish()
        self.unstable += self.modules.unstable
        self.added |= self.modules.added
        return counted

    def _beyond(self) -> None:
        """Count what the visited code reaches other than by the names it reads."""
        self._lenient = True
        for label, source, module in self.modules.loaded:
            if places := places_in_file(source):
                for named in modules_named(places, alone=False):
                    self._follow_named(named)
            texts = names_in_file(source)
            self._readers.names |= texts.sure
            self._readers.names |= texts.data
            for name in with_computed_fields(source):
                cls = resolve(module, name.split("."))
                if isinstance(cls, type) and self._readers.reads(NAME, name.split(".")[0], (file_usage(source),)):
                    self.reach.add_class(cls, f"{label}:{name}")
        while self.reach.take() or self._waiting:
            self._visit_all()
        self._kept_results()
        self._left_outside()

    def _left_outside(self) -> None:
        """Count what code outside of steps left in the state of followed modules."""
        present = {found.source.filename: found for found in self.modules.present}  # some are found lazily, then surely
        for holder, digests in itertools.chain.from_iterable(map(left_outside, present.values())):
            kind, own, instance = holder.kind, (file_usage(holder.source),), holder.instance
            for name, digest in digests.items():
                if holder.keeps(name) or self._readers.is_filled_and_read(kind, name, own, instance=instance):
                    self._note(f"{LEFT}{holder.where} {name}", digest)

    def _kept_results(self) -> None:
        """Count what functions of followed modules keep from before any step; those of the own file have a state."""
        for label, cached in self.modules.caches:
            name = getattr(cached, "__name__", "")
            if self._readers.mentions(name) and (found := states.kept_results(cached)):
                self._note(f"results kept by {name} in {label}", self.reference(found, f"results of {name}"))
        self._visit_all()

    def _visit_builtins(self) -> None:
        """Count what was put on `builtins`, as far as the visited code names it."""
        put = put_on_builtins()
        while named := [name for name in sorted(put) if self._readers.mentions(name)]:
            self._lenient = True
            for name in named:  # what it leads to may name more
                self._note(f"builtins.{name}", self.reference(put.pop(name), f"builtins.{name}"))
            self._visit_all()

    def _set_ups(self) -> None:
        """Count what the script, the callable's own file and their imports set up."""
        self._setting_up = True
        for number, found in enumerate(set_ups(self.own, self._own_namespace, self.modules.followed)):
            place = file_label(found.scope.source.filename, self.root)
            self.reach.set_up(found, number, self._unique(f"set-up {found.title} in {place}"))
        while self._waiting or self.reach.take():
            self._visit_all()

    def _effects(self) -> None:
        """Count module-level statements that set something up in a used module: ``np.random.seed(3)``."""
        source = load_source(self.own)
        for root, statement in [] if source is None else source.effects:
            module = self._reached.get(root)
            if root in harmless.SILENT or _only_makes_files(statement, module):
                continue
            if isinstance(module, types.ModuleType) and not is_ours(module.__name__) and source is not None:
                label = f"statement {root} at {file_label(self.own, self.root)}"
                values = {n: portable_or_none(self._namespace.get(n), self.root) for n in names_in(statement)}
                self.parts[self._unique(label)] = digest_plain([source.digest_of(statement), values])


def _only_makes_files(statement: ast.stmt, module: Any) -> bool:
    """True for a bare call such as ``os.makedirs("plots")``."""
    names = _one_call(statement)
    return bool(names) and not harmless.sets_something(harmless.package_of_value(module), names)


@functools.lru_cache(maxsize=4096)
def _one_call(statement: ast.stmt) -> tuple[str, ...]:
    """Name and attributes of what a statement calls, if it is a call and has no other in it."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return ()
    root, names, broken = chain(statement.value.func)
    calls = [item for item in ast.walk(statement) if isinstance(item, ast.Call)]
    return () if broken or len(calls) > 1 else (root, *names)
