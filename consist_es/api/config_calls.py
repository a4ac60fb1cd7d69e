"""Calls of the tracker for a model's configuration, by the names that LBNL's consist has for them."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consist_es.adapters.lbnl_configs import ConfigPlan, changed, with_folders
from consist_es.adapters.prepare import prepare_adapter
from consist_es.artifacts.digest import digest_path
from consist_es.steps.options import ExecutionOptions
from consist_es.steps.step import StepDefaults

if TYPE_CHECKING:
    from consist_es.api.tracker import Tracker
    from consist_es.runs.run import RunResult

Folders = Sequence[str | os.PathLike[str]] | None


def prepared(defaults: StepDefaults, adapter: Any, config_dirs: Folders) -> ConfigPlan:
    """A configuration as it is now; see `Tracker.prepare_config`."""
    chosen = with_folders(adapter, config_dirs)
    found = prepare_adapter(chosen, defaults.project_root, lambda path: digest_path(path).value, defaults.masker)
    seen = found.snapshot
    return ConfigPlan(
        found.adapter, seen.identity_hash, seen.adapter_name, seen.adapter_version, seen.references, found.meta
    )


def run_changed(
    tracker: Tracker,
    adapter: Any,
    overrides: Any,
    output_dir: str | os.PathLike[str],
    *,
    fn: Callable[..., Any],
    name: str,
    base_config_dirs: Folders = None,
    override_runtime_kwargs: Mapping[str, str] | None = None,
    **run_kwargs: Any,
) -> RunResult:
    """A step with a changed configuration; see `Tracker.run_with_config_overrides`."""
    folder = Path(output_dir) / name
    chosen = changed(with_folders(adapter, base_config_dirs), overrides, folder)
    known = {
        "selected_root_dir": folder,
        "root_dirs": list(getattr(chosen, "configs", [folder])),
        "primary_config": getattr(chosen, "primary", None),
        "adapter": chosen,
    }
    options = run_kwargs.pop("execution_options", None) or ExecutionOptions()
    wanted = override_runtime_kwargs if override_runtime_kwargs is not None else _named_as(fn, known)
    given = {parameter: known[value] for parameter, value in wanted.items()} | dict(options.runtime_kwargs or {})
    options = dataclasses.replace(options, runtime_kwargs=given)
    return tracker.run(fn, name=name, adapter=chosen, execution_options=options, **run_kwargs)


def _named_as(fn: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, str]:
    return {name: name for name in inspect.signature(fn).parameters if name in known}
