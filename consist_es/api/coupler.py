"""The coupler: a scenario's mapping from names to the latest artifacts set under them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from consist_es.artifacts.artifact import Artifact, ArtifactLike, is_like_artifact
from consist_es.checks import check_key
from consist_es.errors import DryRunStop, MissingKeyError, UsageTypeError, warn
from consist_es.events import CouplerSet, Event, OutputsDeclared
from consist_es.execution.journal import Journal
from consist_es.execution.observed import observations, own_observations
from consist_es.steps.pending import Promised

Stored = str | os.PathLike[str] | ArtifactLike
"""Values that a name can have."""
V = TypeVar("V", bound=Stored)


class DeclaredOutput(msgspec.Struct, frozen=True):
    """A coupler key that a scenario is expected to set."""

    required: bool = False
    description: str | None = None


Required = bool | Mapping[str, bool]
"""For all outputs, or per output."""


class Declares(ABC):
    """Base of everything that outputs can be declared on: a coupler, a view of it, a scenario."""

    @abstractmethod
    def _declare(
        self, names: Sequence[str], required: Required, warn_undefined: bool, description: Mapping[str, str] | None
    ) -> None: ...

    def declare_outputs(
        self,
        *names: str,
        required: Required = False,
        warn_undefined: bool = False,
        description: Mapping[str, str] | None = None,
    ) -> None:
        """Declare names that should be in the coupler when the scenario ends, with descriptions.

        A scenario that ends without a required one raises `RequiredOutputsError`. The names of a view are those below
        its namespace.

        Args:
            names: the keys.
            required: for all names, or per name by a mapping; once required, a name stays required.
            warn_undefined: warn once for each name that is set but was never declared.
            description: name -> what it is.
        """
        self._declare(names, required, warn_undefined, description)

    def require_outputs(
        self,
        *names: str,
        required: Required = True,
        warn_undefined: bool = False,
        description: Mapping[str, str] | None = None,
    ) -> None:
        """`declare_outputs` with `required` True: without these the scenario fails."""
        self._declare(names, required, warn_undefined, description)


class Coupler(Declares, Mapping[str, Any]):
    """Names of a scenario -> latest artifact (or path, if tracking is off).

    A mapping in the order in which the keys were first set. Setting is recorded while the scenario is open; reading is
    recorded with the run that reads while it executes (`consist_es.execution.observed`). Values are artifacts,
    artifact-likes (`path`, `container_uri`), paths or path strings.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._declared: dict[str, DeclaredOutput] = {}
        self._warn_undefined = False
        self._warned: set[str] = set()
        self._journal: Journal | None = None
        self._beyond: Callable[[], DryRunStop | None] | None = None
        """In a dry run: the error for reading what is not set, if a step that is not run may set any key."""

    # ------------------------------------------------------------ reading

    def __getitem__(self, key: str) -> Any:
        return self.require(key)

    def __iter__(self) -> Iterator[str]:
        self._read(None)
        return iter(self._values)

    def __len__(self) -> int:
        self._read(None)
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        self._read(key)
        return key in self._values

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default`. A key that breaks the key rules is an error."""
        self._read(key)
        return self._values.get(check_key(key), default)

    def require(self, key: str) -> Any:
        """The value of `key`.

        Raises:
            MissingKeyError: it is not set; lists the keys that are.
        """
        self._read(key)
        if key not in self._values:
            raise MissingKeyError("coupler key", key, self._values, "Set it, or run the step that produces it first.")
        return self._values[key]

    def path(self, key: str, *, required: bool = True) -> Path | None:
        """Path of the value of `key`; None if it is not set and not required."""
        if not required and key not in self:
            return None
        value = self.require(key)
        return value.path if is_like_artifact(value) else Path(os.path.abspath(value))

    def view(self, namespace: str) -> CouplerView:
        """This coupler with every key below ``namespace/``."""
        return CouplerView(self, namespace)

    # ------------------------------------------------------------ setting

    def set(self, key: str, artifact: V) -> V:
        """Set `key` to `artifact`, and return it.

        Raises:
            KeyNameError: `key` breaks the key rules.
            UsageTypeError: the value is not an artifact, artifact-like, path or path string.
        """
        self._store({key: artifact})
        return artifact

    def set_from_artifact(self, key: str, value: V) -> V:
        """Same as `set`, which takes artifacts, artifact-likes, paths and strings."""
        return self.set(key, value)

    def __setitem__(self, key: str, value: Stored) -> None:
        self.set(key, value)

    def update(self, artifacts: Mapping[str, Stored] | None = None, /, **kwargs: Stored) -> None:
        """Set several keys at once, all or none."""
        self._store({**(artifacts or {}), **kwargs})

    def collect_by_keys(self, artifacts: Mapping[str, V], *keys: str, prefix: str = "") -> dict[str, V]:
        """Set ``prefix + key`` to ``artifacts[key]`` for each of `keys`; returns the keys and values set.

        Raises:
            MissingKeyError: a key is not in `artifacts`.
        """
        if not isinstance(artifacts, Mapping):
            raise UsageTypeError(f"collect_by_keys() takes a mapping of artifacts, not {type(artifacts).__name__}.")
        collected = {}
        for key in keys:
            if not isinstance(key, str):
                raise UsageTypeError(f"collect_by_keys(): keys must be str, not {type(key).__name__}.")
            if key not in artifacts:
                raise MissingKeyError("artifact", key, artifacts)
            collected[prefix + key] = artifacts[key]
        self._store(collected)
        return collected

    def _read(self, key: Any) -> None:
        """Note the read: a step that reads a key while it runs depends on its value."""
        if self._beyond is not None and key not in self._values and (stop := self._beyond()) is not None:
            raise stop
        for run in observations():
            run.coupler(self, key)

    def _store(self, values: Mapping[str, Any]) -> None:
        events: list[Event] = []
        for key, value in values.items():
            if not self._is_promised(check_key(key, "coupler key"), value):
                events.append(_event(key, value, self._journal))
        if self._journal is not None:
            self._journal.record(*events)
        for run in own_observations():
            for key in values:
                run.wrote(key)
        self.absorb(values)

    def _is_promised(self, key: str, value: Any) -> bool:
        """True for an output of a dry run, which stands here until that ends; a real scenario refuses it.

        Raises:
            UsageError: a real scenario.
        """
        if isinstance(value, Promised) and self._journal is not None:
            value.made(f"Coupler key {key!r}")
        return isinstance(value, Promised)

    def absorb(self, values: Mapping[str, Any]) -> None:
        """Set values that are recorded in the log already."""
        for key, value in values.items():
            self._values[key] = value
            if self._warn_undefined and key not in self._declared and key not in self._warned:
                self._warned.add(key)
                warn(f"Coupler key {key!r} was set but never declared. Declare it first, or correct the name.")

    def attach(self, journal: Journal | None) -> None:
        """Record into `journal` from now on, beginning with the present content; None stops recording."""
        self._journal = journal
        if journal is not None:
            journal.record(*self._state_events())

    def _rehearse(self, beyond: Callable[[], DryRunStop | None] | None) -> None:
        """Take part in a dry run, see `_beyond`; None: it is over."""
        self._beyond = beyond

    def _state_events(self) -> list[Event]:
        stored = {key: value for key, value in self._values.items() if not self._is_promised(key, value)}
        events: list[Event] = [_event(key, value, self._journal) for key, value in stored.items()]
        if self._declared:
            events.append(_declaration(self._declared, self._warn_undefined))
        return events

    # ------------------------------------------------------------ declared outputs

    def _declare(
        self, names: Sequence[str], required: Required, warn_undefined: bool, description: Mapping[str, str] | None
    ) -> None:
        keys = [check_key(name.strip() if isinstance(name, str) else name, "declared output") for name in names]
        if required is True and not keys:
            raise UsageTypeError("required=True needs the names of the outputs that are required.")
        texts = dict(description or {})
        fresh = {}
        for key in keys:
            old = self._declared.get(key, DeclaredOutput())
            asked = required.get(key, False) if isinstance(required, Mapping) else required
            fresh[key] = DeclaredOutput(old.required or bool(asked), texts.get(key, old.description))
        if (fresh or warn_undefined) and self._journal is not None:
            self._journal.record(_declaration(fresh, warn_undefined))
        self._declared.update(fresh)
        self._warn_undefined = self._warn_undefined or warn_undefined

    def missing_declared_outputs(self) -> list[str]:
        """Required keys that are not set, sorted."""
        return sorted(key for key, spec in self._declared.items() if spec.required and key not in self._values)

    def describe_outputs(self) -> dict[str, str]:
        """Declared key -> description, for those that have one."""
        return {key: spec.description for key, spec in self._declared.items() if spec.description is not None}

    @property
    def declared_outputs(self) -> dict[str, DeclaredOutput]:
        """A copy of all declarations."""
        return dict(self._declared)


def values_of(coupler: Coupler) -> Mapping[str, Any]:
    """Current items, without noting the read."""
    return MappingProxyType(coupler._values)


def _event(key: str, value: Any, journal: Journal | None) -> CouplerSet:
    if isinstance(value, Artifact):
        return CouplerSet(key=key, artifact=str(value.id))
    if is_like_artifact(value):
        return CouplerSet(key=key, value=str(value.container_uri))
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        return CouplerSet(key=key, value=journal.uris.uri(text) if journal else str(text))
    raise UsageTypeError(
        f"Coupler key {key!r} takes an Artifact, a path, or something with .path and .container_uri, "
        f"not {type(value).__name__}."
    )


def _declaration(declared: Mapping[str, DeclaredOutput], warn_undefined: bool) -> OutputsDeclared:
    return OutputsDeclared(
        required={key: spec.required for key, spec in declared.items()},
        warn_undefined=warn_undefined,
        descriptions={key: spec.description for key, spec in declared.items() if spec.description is not None},
    )


class CouplerView(Declares, Mapping[str, Any]):
    """A coupler seen through a namespace: ``view["x"]`` is ``coupler["namespace/x"]``."""

    def __init__(self, coupler: Coupler, namespace: str) -> None:
        if not isinstance(namespace, str):
            raise UsageTypeError(f"namespace must be a str, not {type(namespace).__name__}.")
        self._coupler = coupler
        self.namespace = check_key(namespace.strip().strip("/"), "namespace")

    def qualify(self, key: str) -> str:
        """The full name of `key` in the coupler."""
        return f"{self.namespace}/{check_key(key, 'coupler key')}"

    def view(self, namespace: str) -> CouplerView:
        """A namespace inside this one."""
        return CouplerView(self._coupler, f"{self.namespace}/{CouplerView(self._coupler, namespace).namespace}")

    def __getitem__(self, key: str) -> Any:
        return self.require(key)

    def __iter__(self) -> Iterator[str]:
        prefix = f"{self.namespace}/"
        return (key[len(prefix) :] for key in self._coupler if key.startswith(prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and f"{self.namespace}/{key}" in self._coupler

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `key`, or `default`."""
        return self._coupler.get(self.qualify(key), default)

    def require(self, key: str) -> Any:
        """The value of `key`; `MissingKeyError` names the qualified key."""
        return self._coupler.require(self.qualify(key))

    def path(self, key: str, *, required: bool = True) -> Path | None:
        """Path of the value of `key`; None if it is not set and not required."""
        return self._coupler.path(self.qualify(key), required=required)

    def set(self, key: str, artifact: V) -> V:
        """Set `key` to `artifact`, and return it."""
        return self._coupler.set(self.qualify(key), artifact)

    def set_from_artifact(self, key: str, value: V) -> V:
        """Same as `set`."""
        return self.set(key, value)

    def __setitem__(self, key: str, value: Stored) -> None:
        self.set(key, value)

    def update(self, artifacts: Mapping[str, Stored] | None = None, /, **kwargs: Stored) -> None:
        """Set several keys at once, all or none."""
        self._coupler.update({self.qualify(key): value for key, value in {**(artifacts or {}), **kwargs}.items()})

    def collect_by_keys(self, artifacts: Mapping[str, V], *keys: str, prefix: str = "") -> dict[str, V]:
        """As `Coupler.collect_by_keys`, below this namespace."""
        found = self._coupler.collect_by_keys(artifacts, *keys, prefix=f"{self.namespace}/{prefix}")
        return {key[len(self.namespace) + 1 :]: value for key, value in found.items()}

    def _declare(
        self, names: Sequence[str], required: Required, warn_undefined: bool, description: Mapping[str, str] | None
    ) -> None:
        self._coupler._declare(
            [self.qualify(name.strip()) for name in names],
            self._qualified(required) if isinstance(required, Mapping) else required,
            warn_undefined,
            self._qualified(description or {}),
        )

    def missing_declared_outputs(self) -> list[str]:
        """Required keys below this namespace that are not set, by their short names."""
        return self._short(self._coupler.missing_declared_outputs())

    def describe_outputs(self) -> dict[str, str]:
        """Descriptions of this namespace's keys, by their short names."""
        texts = self._coupler.describe_outputs()
        return {key: texts[f"{self.namespace}/{key}"] for key in self._short(texts)}

    def _short(self, keys: Iterable[str]) -> list[str]:
        prefix = f"{self.namespace}/"
        return [key[len(prefix) :] for key in keys if key.startswith(prefix)]

    def _qualified(self, mapping: Mapping[str, Any]) -> dict[str, Any]:
        return {self.qualify(key): value for key, value in mapping.items()}
