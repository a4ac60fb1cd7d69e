"""Turns the value that a step's function returns into keys and files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import msgspec

from consist_es.artifacts.artifact import is_like_artifact
from consist_es.artifacts.tables import is_table
from consist_es.artifacts.uris import UriMap, inside, require_path
from consist_es.checks import check_key
from consist_es.errors import ConsistWarning, OutputError, ReturnTypeError, UsageTypeError
from consist_es.steps.options import OutputArtifactSpec, OutputPolicyOptions
from consist_es.text import counted

T = TypeVar("T")


class Policies(msgspec.Struct, frozen=True):
    """Reactions to a mismatch and to a missing output."""

    step: str
    mismatch: str
    missing: str
    nothing: str
    """Reaction to a capture that finds no file."""

    @classmethod
    def of(cls, step: str, options: OutputPolicyOptions) -> Policies:
        """The options with their defaults: warn of a mismatch or an empty capture, error for a missing output."""
        missing = options.output_missing  # an empty capture only warns: no expected file was named
        return cls(step, options.output_mismatch or "warn", missing or "error", missing or "warn")

    def mismatched(self, problem: str) -> None:
        """Apply the mismatch policy."""
        _apply(self.mismatch, f"Step {self.step!r}: {problem}")

    def absent(self, keys: Sequence[str], hint: str = "") -> None:
        """Apply the missing policy to declared outputs that did not appear."""
        if keys:
            noun = "output" if len(keys) == 1 else "outputs"
            listed = ", ".join(map(repr, keys))
            _apply(self.missing, f"Step {self.step!r} did not produce its {noun} {listed}.{hint}")

    def captured_nothing(self, folder: str, pattern: str, files_below: bool) -> None:
        """Apply the missing policy to a capture that found no file."""
        below = ' Files lie in folders below it: capture_pattern="**/*" takes those, too.' if files_below else ""
        _apply(
            self.nothing,
            f"Step {self.step!r} captured nothing: no file in {folder} that matches {pattern!r} is new or was written."
            f"{below} Write the files there, or correct capture_dir and capture_pattern.",
        )


def _apply(policy: str, message: str) -> None:
    if policy == "error":
        raise OutputError(message)
    if policy == "warn":
        warnings.warn(message, ConsistWarning, stacklevel=2)


def ignored(step: str, what: str) -> None:
    """Warn that a returned value is not recorded."""
    warnings.warn(f"Step {step!r}: {what} is not recorded. Declare outputs=[...] to keep it.", ConsistWarning, 2)


def is_file_like(value: object, *, text: bool) -> bool:
    """True for an artifact, an artifact-like, a path, and with `text` a str."""
    return isinstance(value, os.PathLike) or is_like_artifact(value) or (text and isinstance(value, str))


def is_recordable(value: object, *, text: bool) -> bool:
    """True if a value can become an output: a file, or a table to be written as one."""
    return is_file_like(value, text=text) or is_table(value)


def returned_outputs(
    value: Any, declared: Sequence[str], *, fallback: str, infer: bool, policies: Policies
) -> list[tuple[str, Any]]:
    """(key, file or table) for everything that was returned; all is validated before anything is recorded.

    `fallback` is the key of a single undeclared output; with `infer` False undeclared values are not recorded.

    Raises:
        ReturnTypeError: a value that is neither file nor table.
        KeyNameError: a returned key breaks the key rules.
        OutputError: a mismatch, under policy error.
    """
    pairs = _declared(value, declared, policies) if declared else _undeclared(value, fallback, infer, policies.step)
    return [(check_key(key, "output key"), item) for key, item in pairs]


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """True if a value holds outputs by key. An xarray.Dataset is a mapping too, but one output."""
    return isinstance(value, Mapping) and not is_table(value)


def miscounted(value: Any, declared: Sequence[str]) -> str | None:
    """Why the returned value cannot be split into the declared outputs by count, or None if it can."""
    if value is None or _is_mapping(value) or not declared:
        return None
    several = isinstance(value, list | tuple)
    number = len(value) if several else 1
    if number == len(declared) or not (several or is_recordable(value, text=True)):
        return None
    listed = ", ".join(declared)
    return (
        f"returned {counted(number, 'value')} for {counted(len(declared), 'output')} ({listed}). "
        f"Return {'one for each' if several else 'a list with one for each'}, or a dict."
    )


def _declared(value: Any, declared: Sequence[str], policies: Policies) -> list[tuple[str, Any]]:
    if value is None:
        return []
    if problem := miscounted(value, declared):
        policies.mismatched(problem)
        return []
    if _is_mapping(value):
        pairs = [(str(key), item) for key, item in value.items() if item is not None]
    elif isinstance(value, list | tuple):
        pairs = [(key, item) for key, item in zip(declared, value, strict=True) if item is not None]
    else:
        pairs = [(declared[0], value)]
    for key, item in pairs:
        if not is_recordable(item, text=True):
            raise ReturnTypeError(
                f"Step {policies.step!r} returned {type(item).__name__} for output {key!r}. "
                "Return a path, an Artifact, a DataFrame, Series, Arrow table or xarray.Dataset, or a dict or list of "
                "these."
            )
    return pairs


def _undeclared(value: Any, fallback: str, infer: bool, step: str) -> list[tuple[str, Any]]:
    if value is None:
        return []
    if _is_mapping(value):
        pairs = [(key, item) for key, item in value.items() if item is not None]
        kept = [(key, item) for key, item in pairs if isinstance(key, str) and is_recordable(item, text=False)]
        if len(kept) < len(pairs):
            ignored(step, f"part of the returned dict ({len(pairs) - len(kept)} of {len(pairs)} values)")
    elif is_recordable(value, text=False):
        kept = [(fallback, value)]
    else:
        ignored(step, f"the returned {type(value).__name__}")
        return []
    return kept if infer else []


def in_declared_order(items: Mapping[str, T], declared: Iterable[str]) -> dict[str, T]:
    """Declared keys first, in their order, then the rest in theirs: so that hits and misses have the same order."""
    first = [key for key in dict.fromkeys(declared) if key in items]
    return {key: items[key] for key in (*first, *(key for key in items if key not in first))}


def output_paths_of(given: Mapping[str, Any] | None) -> dict[str, OutputArtifactSpec]:
    """The declared output paths of a step, checked."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageTypeError(f"output_paths takes a mapping of key to path, not {type(given).__name__}.")
    return {check_key(key, "output_paths key"): _output_spec(key, value) for key, value in given.items()}


def _output_spec(key: str, value: Any) -> OutputArtifactSpec:
    """The specification of one output path; refuses before the run what would fail after it."""
    spec = value if isinstance(value, OutputArtifactSpec) else OutputArtifactSpec(value)
    target = spec.path
    if is_like_artifact(target):
        return spec
    if not isinstance(target, str | os.PathLike):
        raise UsageTypeError(f"output_paths[{key!r}] takes a path, Artifact or OutputArtifactSpec, not {target!r}.")
    text = require_path(os.fspath(target), f"output_paths[{key!r}]")
    if "://" not in text and not Path(text).is_absolute():
        inside("the run's own folder", os.path.normpath(text), text)
    return spec


def declared_path(
    key: str, spec: OutputArtifactSpec, directory: Path, uris: UriMap, coupler: Mapping[str, Any] | None
) -> Path:
    """Path of a declared output; relative ones lie in the run's own folder, `directory`."""
    target = spec.path
    if isinstance(target, str) and coupler is not None and target in coupler:
        target = coupler[target]
    if is_like_artifact(target):
        return target.path
    if not isinstance(target, str | os.PathLike):
        raise UsageTypeError(f"output_paths[{key!r}] takes a path, Artifact or OutputArtifactSpec, not {target!r}.")
    text = os.fspath(target)
    if "://" in text:
        return uris.resolve(text)
    path = Path(text)
    return path if path.is_absolute() else inside(directory, os.path.normpath(text), text)
