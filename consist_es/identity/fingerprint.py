"""Computes the fingerprint (cache key) of a run, part by part, and explains how two fingerprints differ."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

import msgspec

from consist_es.events import FingerprintInfo, InputLink
from consist_es.identity.adapters import counted, explain_adapters
from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.config import config_digest, digest_of_plain, said_of
from consist_es.identity.pairing import pair
from consist_es.text import shortened
from consist_es.values.digests import digest_of
from consist_es.values.plain import frame, is_masked, is_tagged, to_plain

FINGERPRINT_VERSION = 2
"""Version 1 counted less of the code, see docs/decisions/0010-what-a-step-read.md."""
_BEFORE = 1


class InputPart(msgspec.Struct, frozen=True):
    """The parts of an input that count."""

    role: str
    """The binding name, or ``#0``, ``#1`` … for unnamed inputs."""
    digest: str
    driver: str
    name: str | None = None
    """File name if the function sees it; None if the input is passed loaded."""
    table_path: str | None = None
    array_path: str | None = None
    via: str = "inputs"
    said: Any = None
    """Plain form of its key, facet and metadata if the function sees them; else None."""

    def row(self) -> list[Any]:
        """Plain form of all fields."""
        row = list(msgspec.structs.astuple(self))
        return row if self.said is not None else row[:-1]


def fingerprint(
    *,
    code: CodeIdentity,
    config: Any,
    inputs: Sequence[InputPart],
    labels: Mapping[str, Any],
    identity_inputs: Mapping[str, str] | None = None,
    adapter: Mapping[str, Any] | None = None,
    config_plain: Any = None,
    packages: Mapping[str, str] | None = None,
) -> FingerprintInfo:
    """Identity of a run. Its `digest` is None if the code has unstable parts: such a run is never reused.

    Every part is typed and framed under its own name, so nothing can move from one part to another. The order of
    `inputs` does not count, their roles do; labels that are None are left out. `config_plain` replaces the config: its
    plain form, without secrets. `packages` are recorded but not hashed. Raises what `to_plain` raises for the config
    and labels.
    """
    label_values = {name: to_plain(value, name) for name, value in labels.items() if value is not None}
    extra = {} if identity_inputs is None else dict(identity_inputs)
    plain_adapter = None if adapter is None else to_plain(dict(adapter), "adapter")
    rows = sorted((part.row() for part in inputs), key=frame)
    parts = {
        "code": code.digest,
        "config": config_digest(config) if config_plain is None else digest_of_plain(config_plain),
        "inputs": _digest("inputs", rows),
        "labels": _digest("labels", label_values),
    }
    whole = {**parts, "identity_inputs": extra, "adapter": counted(plain_adapter)}
    before = {**whole, "code": code.before, "version": _BEFORE}
    return FingerprintInfo(
        version=FINGERPRINT_VERSION,
        digest=None if code.unstable else _digest("fingerprint", {**whole, "version": FINGERPRINT_VERSION}),
        before=None if code.unstable else _digest("fingerprint", before),
        **parts,
        label_values=label_values,
        code_mode=code.mode,
        code_parts=code.parts,
        identity_inputs=extra,
        adapter=plain_adapter,
        unstable=list(code.unstable),
        packages=dict(packages or {}),
    )


def _digest(domain: str, plain: Any) -> str:
    return digest_of(frame([f"consist-es {domain} 1", plain]))


# ---------------------------------------------------------------- explaining a miss

_MAIN = ("config", "inputs", "code")
_SHOWN = 60
_LISTED = 20


class InputFile(Protocol):
    """The file behind an input."""

    @property
    def uri(self) -> str: ...

    @property
    def driver(self) -> str: ...

    @property
    def table_path(self) -> str | None: ...

    @property
    def array_path(self) -> str | None: ...

    @property
    def key(self) -> str: ...

    @property
    def facet(self) -> Any: ...

    @property
    def meta(self) -> Mapping[str, Any]: ...


def explain(
    new: FingerprintInfo,
    old: FingerprintInfo,
    new_config: Any,
    old_config: Any,
    new_inputs: Sequence[InputLink],
    old_inputs: Sequence[InputLink],
    *,
    files: Mapping[str, InputFile] | None = None,
    mask: Callable[[Any], Any] = lambda plain: plain,
) -> tuple[str, list[str]]:
    """Explain why `new` is not `old`: a one-word reason, and lines with the differences, most likely cause first.

    The configs are plain forms as stored. `files`: artifact id of an input -> its file, to name inputs by their files
    as well. `mask` hides secrets in plain forms. Reasons: ``config_changed``, ``inputs_changed``, ``code_changed``,
    ``config_and_inputs_changed`` and so on for two of these, ``all_components_changed``, ``labels_changed``,
    ``identity_inputs_changed``, ``adapter_changed``, ``unstable``, ``version_changed``.
    """
    differences = {
        "config": _configs(new, old, new_config, old_config),
        "inputs": _inputs(new, old, new_inputs, old_inputs, files or {}, mask),
        "labels": _mapping(new.label_values, old.label_values, "{}") if new.labels != old.labels else [],
        "identity_inputs": _extra(new.identity_inputs, old.identity_inputs),
        "adapter": explain_adapters(new.adapter, old.adapter),
        "code": _code(new, old),
    }
    if differences["code"] and differences["inputs"] == [_SAME_INPUTS]:  # the new code takes them in another form
        differences["inputs"] = differences.pop("inputs")
    lines = [line for part in differences.values() for line in part]
    if new.version != old.version:
        lines.append(f"fingerprint version: {old.version} -> {new.version}")
    lines += [f"never reused: {problem}" for problem in new.unstable]
    return _reason(new, old, [part for part, found in differences.items() if found]), _cut(lines)


def _reason(new: FingerprintInfo, old: FingerprintInfo, changed: list[str]) -> str:
    main = [part for part in _MAIN if part in changed]
    if len(main) == len(_MAIN):
        return "all_components_changed"
    if main:
        return f"{'_and_'.join(main)}_changed"
    if changed:
        return f"{changed[0]}_changed"
    if new.version != old.version:
        return "version_changed"
    return "unstable" if new.unstable or old.unstable else "exact_match_lookup_inconclusive"


def _cut(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _LISTED else [*lines[:_LISTED], f"… and {len(lines) - _LISTED} more"]


def _configs(new: FingerprintInfo, old: FingerprintInfo, new_config: Any, old_config: Any) -> list[str]:
    if new.config == old.config:
        return []
    if old_config is None and old.config != digest_of_plain(None):
        return ["config differs; what it was is no longer recorded"]
    return _tree(new_config, old_config, "config") or ["config differs"]


def _tree(new: Any, old: Any, path: str) -> list[str]:
    """Differences of two plain trees, leaf by leaf."""
    if isinstance(new, dict) and isinstance(old, dict) and not (is_tagged(new) or is_tagged(old)):
        lines: list[str] = []
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in new or key not in old:
                lines.append(_change(new, old, key, f"{path}.{key}"))
            else:
                lines += _tree(new[key], old[key], f"{path}.{key}")
        return lines
    one, other = _object(new), _object(old)
    if one is not None and other is not None and one[0] == other[0]:
        (_, fields, unset), (_, before, missing) = one, other
        given = [] if unset == missing else [f"{path}, not given: {missing or 'none'} -> {unset or 'none'}"]
        return _tree(fields, before, path) + given
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [line for i, pair in enumerate(zip(new, old, strict=True)) for line in _tree(*pair, f"{path}[{i}]")]
    if frame(new) == frame(old):
        return []
    changed = " (changed)" if is_masked(new) and is_masked(old) else ""
    return [f"{path}: {_show(old)} -> {_show(new)}{changed}"]


def _object(plain: Any) -> tuple[Any, Any, str] | None:
    """Class, fields and unset field names of an object; None for other values."""
    match plain:
        case {"$object": [cls, fields]}:
            return cls, fields, ""
        case {"$object": [cls, fields, {"$unset": [*names]}]}:
            return cls, fields, ", ".join(map(str, names))
    return None


def _change(new: Mapping[str, Any], old: Mapping[str, Any], key: str, path: str) -> str:
    return f"{path}: {_show(old[key])} -> (missing)" if key in old else f"{path}: (missing) -> {_show(new[key])}"


def _show(plain: Any) -> str:
    if is_masked(plain):
        return "masked"
    return shortened(repr(plain), _SHOWN)


def _mapping(new: Mapping[str, Any], old: Mapping[str, Any], form: str) -> list[str]:
    names = [*old, *(name for name in new if name not in old)]
    changed = [name for name in names if frame(new.get(name)) != frame(old.get(name))]
    return [f"{form.format(name)}: {_show(old.get(name))} -> {_show(new.get(name))}" for name in changed]


_SAME_CONTENT = "inputs: same content, but a file name, driver, or table differs"
_SAME_INPUTS = "inputs: same files and content, but the function receives them in another form or under another name"


def _inputs(
    new: FingerprintInfo,
    old: FingerprintInfo,
    new_links: Iterable[InputLink],
    old_links: Iterable[InputLink],
    files: Mapping[str, InputFile],
    mask: Callable[[Any], Any],
) -> list[str]:
    if new.inputs == old.inputs:
        return []
    now, then = _by_role(new_links), _by_role(old_links)
    lines = []
    for via, role in [*then, *(place for place in now if place not in then)]:
        before, after = then.get((via, role)), now.get((via, role))
        if before is None or after is None:
            there = before or after
            lines.append(f"input {role!r}: {'added' if before is None else 'removed'}{_named(there, files)}")
        elif before.digest != after.digest:
            lines.append(f"input {role!r}: content differs{_content(after, before, role, then, files)}")
        elif change := _other_file(files.get(after.artifact), files.get(before.artifact)):
            lines.append(f"input {role!r}: same content, but {change}")
    return lines or _otherwise_described(now, then, files, mask) or [_SAME_INPUTS if files else _SAME_CONTENT]


def _otherwise_described(
    now: Mapping[tuple[str, str], InputLink],
    then: Mapping[tuple[str, str], InputLink],
    files: Mapping[str, InputFile],
    mask: Callable[[Any], Any],
) -> list[str]:
    """Inputs with the same content but another key, facet or metadata."""
    lines = []
    for place, link in now.items():
        new, old = files.get(link.artifact), files.get(then[place].artifact)
        if new is None or old is None:
            continue
        changes = _tree(mask(said_of(new)), mask(said_of(old)), f"input {link.role!r}")
        lines += [f"{change}, with the same content" for change in changes]
    return lines


def _content(
    after: InputLink,
    before: InputLink,
    role: str,
    then: Mapping[tuple[str, str], InputLink],
    files: Mapping[str, InputFile],
) -> str:
    """Source of the differing content: the file, both files if they differ, or the role it came from."""
    if _elsewhere(after, role, then):
        return " (the content that another role had)"
    new, old = files.get(after.artifact), files.get(before.artifact)
    if new is None:
        return f" ({after.key})"
    return f" ({new.uri})" if old is None or old.uri == new.uri else f" ({old.uri} -> {new.uri})"


def _named(link: InputLink | None, files: Mapping[str, InputFile]) -> str:
    found = None if link is None else files.get(link.artifact)
    return "" if found is None else f" ({found.uri})"


def _other_file(new: InputFile | None, old: InputFile | None) -> str:
    """Differences of a file besides its content."""
    if new is None or old is None:
        return ""
    names = (PurePosixPath(old.uri).name, PurePosixPath(new.uri).name)
    pairs = {"file": names} | {
        name: (getattr(old, name), getattr(new, name)) for name in ("driver", "table_path", "array_path")
    }
    return ", ".join(f"{name} {before} -> {after}" for name, (before, after) in pairs.items() if before != after)


def _by_role(links: Iterable[InputLink]) -> dict[tuple[str, str], InputLink]:
    return {(link.via, link.role): link for link in links}


def _elsewhere(link: InputLink, role: str, then: Mapping[tuple[str, str], InputLink]) -> bool:
    return any(other.digest == link.digest and place[1] != role for place, other in then.items())


def _extra(new: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    """Differences of the files that count for identity alone; their names count as well."""
    found = pair(new, old)
    lines = []
    for before, after in found.changed:
        lines.append(f"identity input {after!r}: content differs{'' if before == after else f', {before!r} before'}")
    lines += [f"identity input {after!r}: the same content, {before!r} before" for before, after in found.renamed]
    lines += [f"identity input {name!r}: removed" for name in found.removed]
    return lines + [f"identity input {name!r}: added" for name in found.added]


def _code(new: FingerprintInfo, old: FingerprintInfo) -> list[str]:
    if new.code == old.code:
        return []
    if new.code_mode != old.code_mode:
        return [f"code identity mode: {old.code_mode} -> {new.code_mode}"]
    found = pair(new.code_parts, old.code_parts)
    told = (*(after for _, after in found.changed), *found.added)
    inner = {name.rpartition(".")[0] for name in told}  # a class, if one of its methods says more
    said = {_CALLABLE: "changed, maybe only in where its files lie"} if found.renamed else {}
    lines = [
        f"code of {_both(*names)}: {said.get(names[1], 'changed')}" for names in found.changed if names[1] not in inner
    ]
    if new.version == old.version:  # else parts unknown to the other version are no difference of the code
        lines += [f"code of {name}: removed" for name in found.removed if name not in inner]
        lines += [f"code of {name}: added" for name in found.added if name not in inner]
        if all(line.startswith(f"code of {_CALLABLE}: ") for line in lines):
            lines = [*(f"code of {_both(*names)}: the same, elsewhere" for names in found.renamed), *lines]
        return lines or ["code differs"]
    return lines


_CALLABLE = "callable"
"""Label of the part for the function itself; its digest covers names of files too."""


def _both(before: str, after: str) -> str:
    return after if before == after else f"{after} ({before} before)"
