"""Resolves the inputs of a call to artifacts, each with a role and the digest of its present content."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.describe import Digester, artifact_of_event, describe, warn_of_links
from consist_es.artifacts.elsewhere import what_to_do
from consist_es.artifacts.uris import UriMap, require_path
from consist_es.checks import check_key, key_from_path, names
from consist_es.errors import BindingError, ConsistWarning, InputError, UsageError, UsageTypeError
from consist_es.events import ArtifactLogged, InputLink
from consist_es.identity.fingerprint import InputPart
from consist_es.runs.run import RunResultLike, is_like_result, select_output
from consist_es.steps.options import BindingResult, StepArguments
from consist_es.steps.pending import Pending
from consist_es.text import readable
from consist_es.values.digests import method_of


class BoundInput(msgspec.Struct, frozen=True):
    """One input of a step, resolved."""

    role: str
    artifact: Artifact
    path: Path
    digest: str
    via: str
    registration: ArtifactLogged | None = None
    """The event that records the file, if no artifact has its bytes yet."""
    contents: dict[str, str] | None = None
    """Item -> digest, of one that counts by what is in it."""
    counted: str = ""
    """The digest over `contents`."""

    @property
    def named(self) -> bool:
        """True if it can be bound to a parameter."""
        return not self.role.startswith("#") and self.via != "depends_on"

    def link(self) -> InputLink:
        """The link for `StepStarted`."""
        return InputLink(
            role=self.role, artifact=str(self.artifact.id), key=self.artifact.key, digest=self.digest, via=self.via
        )

    def part(self, *, name_counts: bool, said: Any) -> InputPart:
        """The part of the fingerprint. The folder never counts; file name and metadata of the artifact (`said`) count
        if the function can see them."""
        return InputPart(
            role=self.role,
            digest=self.digest if self.contents is None else self.counted,
            driver=self.artifact.driver,
            name=self.path.name if name_counts else None,
            table_path=self.artifact.table_path,
            array_path=self.artifact.array_path,
            via=self.via,
            said=said,
        )


class Sources(msgspec.Struct, frozen=True):
    """Sources that references are looked up in."""

    uris: UriMap
    digester: Digester
    known: Callable[[str, str], Artifact | None]
    """(URI, digest) -> the newest artifact of this project with these bytes there."""
    coupler: Mapping[str, Any] | None = None
    """The scenario's coupler, None outside a scenario."""
    restores: bool = False
    """True if an artifact that was changed since stands for its recorded bytes, where a recovery copy has them."""


def restores(args: StepArguments) -> bool:
    """For `Sources.restores`. Options that are no `CacheOptions` are refused later."""
    return getattr(args.cache_options, "validate_materialized_inputs", None) is True


def resolve_inputs(args: StepArguments, sources: Sources) -> list[BoundInput]:
    """All inputs of a step: `inputs` or `binding`, coupler keys, `depends_on`.

    Raises:
        InputError: a file is missing or cannot be read.
        MissingKeyError: a required coupler key is not set.
        UsageError, UsageTypeError: an unsupported form.
    """
    found: list[BoundInput] = []
    for ref in _references(args, sources.coupler):
        found.append(_resolve(ref, sources, found))
    wanted = getattr(args.cache_options, "input_identity", None)  # another type is refused later
    if not wanted:
        return found
    from consist_es.steps.contents import with_contents  # few steps ask for it

    return with_contents(found, wanted, sources.digester)


class Reference(msgspec.Struct, frozen=True):
    """One input of a step, as the caller gave it."""

    role: str
    value: Any
    via: str

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return f"{self.via}[{self.role!r}]" if self.via != "input_keys" else f"coupler key {self.role!r}"


def awaited(args: StepArguments, coupler: Mapping[str, Any] | None) -> list[Pending]:
    """Inputs of a step that are forecast outputs, not made yet."""
    meant = (_meant(ref, coupler) for ref in _references(args, coupler))
    return [value for value in meant if isinstance(value, Pending) and not value.is_there]


def _references(args: StepArguments, coupler: Mapping[str, Any] | None) -> list[Reference]:
    inputs, required, optional = _declared(args)
    if coupler is None and (required or optional):
        raise UsageError("input_keys and optional_input_keys name coupler keys: use them on a scenario's run or trace.")
    found = [
        Reference(role, value, "inputs") for role, value in _pairs(inputs, coupler, args.execution_options.binding)
    ]
    names_now = {} if coupler is None else coupler  # an empty coupler is false, too
    for key in (*required, *(key for key in optional if key in names_now)):
        if all(ref.role != key for ref in found):
            found.append(Reference(key, names_now[key], "input_keys"))
    unnamed = sum(ref.role.startswith("#") for ref in found)
    others = enumerate(_sequence(args.depends_on, "depends_on"), start=unnamed)
    return [*found, *(Reference(f"#{index}", value, "depends_on") for index, value in others)]


def _meant(ref: Reference, coupler: Mapping[str, Any] | None) -> Any:
    """The value of a reference: a coupler key (str in a scenario) gives its value, a result its only output."""
    value = ref.value
    if isinstance(value, str) and coupler is not None and value in coupler:
        value = coupler[value]
    return _only_output(value, ref.shown) if is_like_result(value) else value


def _declared(args: StepArguments) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    if args.binding is None:
        required, optional = args.input_keys, args.optional_input_keys
        return args.inputs, names(required, "input_keys"), names(optional, "optional_input_keys")
    if not isinstance(args.binding, BindingResult):
        raise UsageTypeError(f"binding takes a BindingResult, not {type(args.binding).__name__}.")
    if any(given is not None for given in (args.inputs, args.input_keys, args.optional_input_keys)):
        raise UsageError("binding and inputs/input_keys/optional_input_keys exclude each other: put all into binding.")
    binding = args.binding
    required, optional = binding.input_keys, binding.optional_input_keys
    return binding.inputs, names(required, "input_keys"), names(optional, "optional_input_keys")


def _pairs(inputs: Any, coupler: Mapping[str, Any] | None, binding: str | None) -> list[tuple[str, Any]]:
    """(role, reference) of the `inputs` argument; unnamed ones get roles ``#0``, ``#1`` …"""
    if inputs is None:
        return []
    if isinstance(inputs, Mapping):
        for role in inputs:
            if not isinstance(role, str):
                raise UsageTypeError(f"inputs: names must be str, not {type(role).__name__}: {role!r}.")
            if not role or role.startswith("#"):
                raise UsageError(f"inputs: {role!r} cannot be a name: use the parameter's name.")
        return list(inputs.items())
    items = _sequence(inputs, "inputs")
    wanted = binding in ("paths", "loaded", "artifacts")
    if items and wanted and coupler is not None and all(isinstance(item, str) and item in coupler for item in items):
        return [(item, item) for item in items]
    if items and wanted:
        raise BindingError(f"input_binding={binding!r} needs named inputs: pass inputs={{'parameter': …}}.")
    return [(f"#{index}", item) for index, item in enumerate(items)]


def _sequence(value: Any, what: str) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, str | os.PathLike | RunResultLike):
        return (value,)
    if not isinstance(value, Iterable):
        raise UsageTypeError(f"{what} takes a mapping or a list of references, not {type(value).__name__}.")
    return tuple(value)


def _resolve(ref: Reference, sources: Sources, before: Sequence[BoundInput]) -> BoundInput:
    """Resolve one reference: coupler key (str in a scenario), result, artifact or path."""
    role, via, shown, value = ref.role, ref.via, ref.shown, _meant(ref, sources.coupler)
    if isinstance(value, Pending):
        value = value.made(shown)
    if isinstance(value, Artifact):
        return _from_artifact(role, value, via, shown, sources, before)
    if is_like_artifact(value):
        value = value.path
    if not isinstance(value, str | os.PathLike):
        raise UsageTypeError(
            f"{shown} takes an Artifact, a step's result, a path or a coupler key, not {type(value).__name__}. "
            "Values that are not files belong in config= or runtime_kwargs."
        )
    return _from_path(role, os.fspath(value), via, shown, sources, before)


def _only_output(result: RunResultLike, shown: str) -> Any:
    try:
        return select_output(result)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from error


def _from_artifact(
    role: str, artifact: Artifact, via: str, shown: str, sources: Sources, before: Sequence[BoundInput]
) -> BoundInput:
    path = artifact.path
    if not os.path.lexists(path):
        raise InputError(f"{shown}: artifact {artifact.key!r} is not at {path}. {what_to_do(artifact, artifact.uris)}")
    if artifact.uris is not sources.uris:  # another tracker's: its record may be in another log
        return _from_path(role, str(path), via, shown, sources, before)
    digest = sources.digester.digest(path, method=_method(artifact)).value
    # for a set the whole folder counts, as the step can see it
    if artifact.hash in (digest, sources.digester.digest_as(artifact, path).value):
        return BoundInput(role, artifact, path, digest, via)
    if sources.restores and artifact.hash is not None and (copy := _copy_of(artifact)) is not None:
        return BoundInput(role, artifact, copy, sources.digester.digest(copy, method=_method(artifact)).value, via)
    if artifact.producer is not None:
        warnings.warn(
            f"{shown}: {path} was changed after run {artifact.run_id!r} made it as {artifact.key!r}. "
            "It counts as a new external file from now on.",
            ConsistWarning,
            stacklevel=2,
        )
    event = describe(path, key=artifact.key, direction="input", uris=sources.uris, digester=sources.digester, role=role)
    changed = msgspec.structs.replace(event, meta={"edited_from": str(artifact.id), "recorded_digest": artifact.hash})
    return BoundInput(role, artifact_of_event(changed, sources.uris, run_id=None), path, digest, via, changed)


def _copy_of(artifact: Artifact) -> Path | None:
    elsewhere = None if artifact.uris is None else artifact.uris.elsewhere
    return None if elsewhere is None else elsewhere.look(artifact).path


def _method(artifact: Artifact) -> str | None:
    return None if artifact.hash is None else method_of(artifact.hash)


def _from_path(
    role: str, text: str, via: str, shown: str, sources: Sources, before: Sequence[BoundInput]
) -> BoundInput:
    path = sources.uris.resolve_given(text)
    if not os.path.lexists(path):
        also = ""
        if sources.coupler is not None:
            also = f" It is not a coupler key either. Available: {', '.join(map(repr, sources.coupler)) or 'none'}."
        raise InputError(
            f"{shown}: {text!r} does not exist (looked at {path}).{also} {_begins(text, sources.uris)}: "
            "make the file, or correct the path."
        )
    digest = sources.digester.digest(path)
    warn_of_links(shown, digest)
    if known := sources.known(sources.uris.uri(path), digest.value):
        return BoundInput(role, known, path, digest.value, via)
    if role.startswith("#"):
        key = key_from_path(path, (item.artifact.key for item in before))
    else:
        key = check_key(role, "input name")
    event = describe(path, key=key, direction="input", uris=sources.uris, digester=sources.digester, role=role)
    return BoundInput(role, artifact_of_event(event, sources.uris, run_id=None), path, digest.value, via, event)


def _begins(text: str, uris: UriMap) -> str:
    """Text on what a user's path is relative to."""
    scheme, colon, _ = text.partition("://")
    if not colon or scheme not in uris.mounts:
        return "Relative paths begin at the working directory"
    root = Path(uris.mounts[scheme])
    return f"mounts={{{scheme!r}: …}} is {root}{'' if root.is_dir() else ', which is not a folder'}"


def changed_since(bound: Iterable[BoundInput], digester: Digester) -> list[str]:
    """Roles of inputs that changed since they were bound."""
    changed = []
    for item in bound:
        try:
            now = digester.digest(item.path, method=_method(item.artifact)).value
        except InputError:
            now = None
        if now != item.digest:
            changed.append(item.role)
    return changed


# ---------------------------------------------------------------- files that count for identity alone


def identity_digests(given: Any, root: Path, digester: Digester) -> dict[str, str]:
    """Label -> digest of files that count for identity alone: a list of paths or (label, path).

    Raises:
        UsageError, UsageTypeError: another form, or a label twice. InputError: missing or unreadable.
    """
    if given is None:
        return {}
    if isinstance(given, str | Path):
        raise UsageError(f"identity_inputs takes a list of paths or (label, path), not the single {given!r}.")
    if isinstance(given, Mapping) or not isinstance(given, Sequence):
        raise UsageTypeError(f"identity_inputs takes a list of paths or (label, path), not {type(given).__name__}.")
    found: dict[str, str] = {}
    for item in given:
        label, path = _labelled(item, root)
        label = readable(label)
        if label in found:
            raise UsageError(f"identity_inputs: label {label!r} is given twice. Give each path a label of its own.")
        try:
            found[label] = digester.digest(path).value
        except InputError as error:
            raise InputError(f"identity_inputs[{label!r}]: {error}") from error
    return found


def _labelled(item: Any, root: Path) -> tuple[str, Path]:
    if isinstance(item, tuple):
        if len(item) != 2 or not isinstance(item[0], str):
            raise UsageTypeError(f"identity_inputs: {item!r} is not (label, path).")
        label, path = item
        return label, _path(path)
    path = _path(item)
    try:
        return path.relative_to(root).as_posix(), path
    except ValueError:
        return str(item), path


def _path(value: Any) -> Path:
    if isinstance(value, str | Path | Artifact):
        return Path(require_path(os.fspath(value), "identity_inputs")).absolute()
    raise UsageTypeError(f"identity_inputs takes paths, not {type(value).__name__}: {value!r}.")


def identity_changed(recorded: Mapping[str, str], given: Any, root: Path, digester: Digester) -> list[str]:
    """Labels of identity inputs that changed since they were recorded."""
    try:
        now = identity_digests(given, root, digester)
    except InputError:
        now = {}
    return [label for label, digest in recorded.items() if now.get(label) != digest]
