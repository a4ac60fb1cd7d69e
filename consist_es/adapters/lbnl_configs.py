"""The config adapters under the names that users of LBNL's consist know."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.adapters.activitysim import ActivitySimAdapter
from consist_es.adapters.beam import BeamAdapter
from consist_es.adapters.folder import Paths
from consist_es.adapters.overrides import changed_activitysim, changed_beam
from consist_es.errors import AdapterError, AdapterTypeError


class ActivitySimConfigAdapter(ActivitySimAdapter):
    """`ActivitySimAdapter` of `root_dirs`, nearest first; they may also be given later, to `prepare_config`."""

    def __init__(
        self,
        root_dirs: Paths = (),
        *,
        model_name: str = "activitysim",
        adapter_version: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(root_dirs or ["configs"], **options)
        self.root_dirs = self.configs if root_dirs else None
        self.name = model_name
        self.version = (
            f"{ActivitySimAdapter.version} {adapter_version}" if adapter_version else ActivitySimAdapter.version
        )

    @property
    def model_name(self) -> str:
        """The adapter's name in records."""
        return self.name

    def of(self, config_dirs: Sequence[str | os.PathLike[str]]) -> "ActivitySimConfigAdapter":
        """The same adapter of other folders."""
        other = ActivitySimConfigAdapter.__new__(ActivitySimConfigAdapter)
        other.__dict__.update(self.__dict__)
        other.configs = other.root_dirs = tuple(Path(path) for path in config_dirs)
        return other


class BeamConfigAdapter(BeamAdapter):
    """`BeamAdapter` of `primary_config`; `env_overrides` are the variables that its substitutions use."""

    def __init__(
        self,
        primary_config: str | os.PathLike[str],
        *,
        root_dirs: Paths = (),
        env_overrides: Mapping[str, str] | None = None,
        model_name: str = "beam",
        **options: Any,
    ) -> None:
        super().__init__(primary_config, environment=env_overrides, **options)
        self.primary_config, self.root_dirs, self.name = self.primary, root_dirs, model_name

    @property
    def model_name(self) -> str:
        """The adapter's name in records."""
        return self.name


class ConfigOverrides(msgspec.Struct, frozen=True, kw_only=True):
    """Values to change: ``(file, key)`` -> value and ``(file, coefficient)`` -> value for ActivitySim, with a segment
    as third part that may be empty; path -> value for BEAM."""

    constants: Mapping[tuple[str, ...], Any] = {}
    coefficients: Mapping[tuple[str, ...], Any] = {}
    values: Mapping[str, Any] = {}


BeamConfigOverrides = ConfigOverrides


class ConfigPlan(msgspec.Struct, frozen=True):
    """A configuration as it was read; may be given as `adapter=`."""

    adapter: Any
    identity_hash: str
    adapter_name: str
    adapter_version: str | None
    references: tuple[Any, ...]
    meta: dict[str, Any]

    @property
    def name(self) -> str:
        """The adapter's name."""
        return self.adapter_name

    @property
    def version(self) -> str:
        """The adapter's version."""
        return self.adapter_version or "1"

    def canonicalize(self, root: Path) -> Any:
        """Read the files again."""
        return self.adapter.canonicalize(root)


def with_folders(adapter: Any, config_dirs: Sequence[str | os.PathLike[str]] | None) -> Any:
    """The adapter, of these folders if they are given."""
    if config_dirs is None or not hasattr(adapter, "of"):
        return adapter
    return adapter.of(config_dirs)


def changed(adapter: Any, overrides: Any, folder: Path) -> Any:
    """The adapter with the overrides written into a folder in front of its own.

    Raises:
        AdapterTypeError: overrides cannot be made for such an adapter. AdapterError: they are not those of the adapter.
        As `consist_es.adapters.overrides`.
    """
    constants, coefficients, values = (
        getattr(overrides, part, None) or {} for part in ("constants", "coefficients", "values")
    )
    if isinstance(adapter, ActivitySimAdapter):
        if values:
            raise AdapterError(adapter.name, "values= are overrides for BEAM", "Give constants= and coefficients=.")
        return changed_activitysim(adapter, folder, settings=_by_file(constants), coefficients=_by_file(coefficients))
    if isinstance(adapter, BeamAdapter):
        if constants or coefficients:
            raise AdapterError(adapter.name, "constants= and coefficients= are for ActivitySim", "Give values=.")
        return changed_beam(adapter, folder, values)
    raise AdapterTypeError(f"Overrides can be made for ActivitySim and BEAM, not for adapter={adapter!r}.")


def _by_file(given: Mapping[tuple[str, ...], Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (file, *path), value in given.items():
        found.setdefault(file, {})[".".join(part for part in path if part)] = value
    return found
