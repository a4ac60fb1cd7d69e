"""Explains how two fingerprints differ: for people in lines, for programs as data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from consist_es.events import Difference, FingerprintInfo, InputLink
from consist_es.identity.adapters import explain_adapters
from consist_es.identity.config import digest_of_plain, said_of
from consist_es.identity.pairing import pair
from consist_es.text import shortened
from consist_es.values.digests import TIMES
from consist_es.values.plain import frame, is_masked, is_tagged
from consist_es.values.written import by_text, object_of, written

_MAIN = ("config", "inputs", "code")
_SHOWN = 60
_KEPT = 200
_LISTED = 20
_KINDS = {"inputs": "input", "labels": "label", "identity_inputs": "identity_input"}
"""Part of a fingerprint -> kind of its differences, if that is not its name."""


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


class _Found(NamedTuple):
    """One difference in a part."""

    text: str
    key: str = ""
    before: Any = None
    after: Any = None


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
) -> tuple[str, list[Difference]]:
    """Explain why `new` is not `old`: a one-word reason, and the differences, most likely cause first.

    The configs are plain forms as stored. `files`: artifact id of an input -> its file, to name inputs by their files
    as well. `mask` hides secrets in plain forms. Reasons: ``config_changed``, ``inputs_changed``, ``code_changed``,
    ``config_and_inputs_changed`` and so on for two of these, ``all_components_changed``, ``labels_changed``,
    ``identity_inputs_changed``, ``adapter_changed``, ``unstable``, ``version_changed``.
    """
    parts = {
        "config": _configs(new, old, new_config, old_config),
        "inputs": _inputs(new, old, new_inputs, old_inputs, files or {}, mask),
        "labels": _mapping(new.label_values, old.label_values) if new.labels != old.labels else [],
        "identity_inputs": _extra(new.identity_inputs, old.identity_inputs),
        "adapter": [_Found(line, line.partition(": ")[0]) for line in explain_adapters(new.adapter, old.adapter)],
        "code": _code(new, old),
    }
    if parts["code"] and [found.text for found in parts["inputs"]] == [_SAME_INPUTS]:
        parts["inputs"] = parts.pop("inputs")  # behind: the new code takes them in another form
    reason = _reason(new, old, [part for part, found in parts.items() if found])
    if new.version != old.version:
        text = f"fingerprint version: {old.version} -> {new.version}"
        parts["version"] = [_Found(text, "", old.version, new.version)]
    parts["unstable"] = [_Found(f"never reused: {problem}", problem) for problem in new.unstable]
    return reason, _cut([_difference(part, found) for part, items in parts.items() for found in items])


def _difference(part: str, found: _Found) -> Difference:
    kind = _KINDS.get(part, part)
    return Difference(kind=kind, key=found.key, before=found.before, after=found.after, text=found.text)


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


def _cut(found: list[Difference]) -> list[Difference]:
    if len(found) <= _LISTED:
        return found
    return [*found[:_LISTED], Difference(kind="more", key="", text=f"… and {len(found) - _LISTED} more")]


def _configs(new: FingerprintInfo, old: FingerprintInfo, new_config: Any, old_config: Any) -> list[_Found]:
    if new.config == old.config:
        return []
    if old_config is None and old.config != digest_of_plain(None):
        return [_Found("config differs; what it was is no longer recorded")]
    return _tree(new_config, old_config, "config", "") or [_Found("config differs")]


def _tree(new: Any, old: Any, path: str, key: str) -> list[_Found]:
    """Differences of two plain trees, leaf by leaf. `path` names the leaf in words, `key` in data."""
    new, old = by_text(new), by_text(old)
    if isinstance(new, dict) and isinstance(old, dict) and not (is_tagged(new) or is_tagged(old)):
        found: list[_Found] = []
        for name in [*old, *(name for name in new if name not in old)]:
            inner = f"{key}.{name}" if key else str(name)
            if name not in new or name not in old:
                found.append(_one_sided(new, old, name, f"{path}.{name}", inner))
            else:
                found += _tree(new[name], old[name], f"{path}.{name}", inner)
        return found
    one, other = object_of(new), object_of(old)
    if one is not None and other is not None and one[0] == other[0]:
        (_, fields, unset), (_, before, missing) = one, other
        given = f"{path}, not given: {missing or 'none'} -> {unset or 'none'}"
        return _tree(fields, before, path, key) + ([] if unset == missing else [_Found(given, key, missing, unset)])
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        pairs = enumerate(zip(new, old, strict=True))
        return [found for i, pair in pairs for found in _tree(*pair, f"{path}[{i}]", f"{key}[{i}]")]
    if frame(new) == frame(old):
        return []
    return [_Found(f"{path}: {_both_shown(old, new)}", key, kept(old), kept(new))]


def _one_sided(new: Mapping[str, Any], old: Mapping[str, Any], name: str, path: str, key: str) -> _Found:
    if name in old:
        return _Found(f"{path}: {_show(old[name])} -> (missing)", key, kept(old[name]))
    return _Found(f"{path}: (missing) -> {_show(new[name])}", key, None, kept(new[name]))


def _both_shown(old: Any, new: Any) -> str:
    """Two values; if people write them alike, in the form that tells them apart."""
    if is_masked(new) and is_masked(old):
        return "masked -> masked (changed)"
    before, after = _show(old), _show(new)
    if before == after:
        before, after = (shortened(repr(plain), _SHOWN) for plain in (old, new))
    return f"{before} -> {after}"


def _show(plain: Any) -> str:
    return repr(plain) if plain is None else written(plain, _SHOWN)


def kept(plain: Any) -> Any:
    """A value as it stands in a difference; of a long one its beginning, as text."""
    return plain if is_masked(plain) or len(text := repr(plain)) <= _KEPT else shortened(text, _KEPT)


def _mapping(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[_Found]:
    names = [*old, *(name for name in new if name not in old)]
    changed = [name for name in names if frame(new.get(name)) != frame(old.get(name))]
    return [
        _Found(f"{name}: {_show(old.get(name))} -> {_show(new.get(name))}", name, old.get(name), new.get(name))
        for name in changed
    ]


_SAME_CONTENT = "inputs: same content, but a file name, driver, or table differs"
_SAME_INPUTS = "inputs: same files and content, but the function receives them in another form or under another name"


def _inputs(
    new: FingerprintInfo,
    old: FingerprintInfo,
    new_links: Iterable[InputLink],
    old_links: Iterable[InputLink],
    files: Mapping[str, InputFile],
    mask: Callable[[Any], Any],
) -> list[_Found]:
    if new.inputs == old.inputs:
        return []
    now, then = _by_role(new_links), _by_role(old_links)
    found: list[_Found] = []
    for via, role in [*then, *(place for place in now if place not in then)]:
        before, after = then.get((via, role)), now.get((via, role))
        ids = (before and before.artifact, after and after.artifact)
        if before is None or after is None:
            said = f"{'added' if before is None else 'removed'}{_named(before or after, files)}"
        elif role in new.contents and role in old.contents:
            found += _items(role, new.contents[role], old.contents[role], ids)
            continue
        elif before.digest != after.digest:
            what = (
                "size or time"
                if (after.digest or "").startswith(TIMES) and (before.digest or "").startswith(TIMES)
                else "content"
            )
            said = f"{what} differs{_content(after, before, role, then, files)}"
        elif change := _other_file(files.get(after.artifact), files.get(before.artifact)):
            said = f"same content, but {change}"
        else:
            continue
        found.append(_Found(f"input {role!r}: {said}", role, *ids))
    return found or _otherwise_described(now, then, files, mask) or [_Found(_SAME_INPUTS if files else _SAME_CONTENT)]


def _items(role: str, new: Mapping[str, str], old: Mapping[str, str], ids: tuple[Any, Any]) -> list[_Found]:
    """Differences of an input that counts by what is in it, item by item."""
    changed = [name for name in sorted({*new, *old}) if new.get(name) != old.get(name)]
    said = {name: "added" if name not in old else "removed" if name not in new else "differs" for name in changed}
    return [_Found(f"input {role!r}: {name} {what}", f"{role}: {name}", *ids) for name, what in said.items()]


def _otherwise_described(
    now: Mapping[tuple[str, str], InputLink],
    then: Mapping[tuple[str, str], InputLink],
    files: Mapping[str, InputFile],
    mask: Callable[[Any], Any],
) -> list[_Found]:
    """Inputs with the same content but another key, facet or metadata."""
    found: list[_Found] = []
    for place, link in now.items():
        new, old = files.get(link.artifact), files.get(then[place].artifact)
        if new is None or old is None:
            continue
        changes = _tree(mask(said_of(new)), mask(said_of(old)), f"input {link.role!r}", link.role)
        found += [change._replace(text=f"{change.text}, with the same content") for change in changes]
    return found


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


def _extra(new: Mapping[str, str], old: Mapping[str, str]) -> list[_Found]:
    """Differences of the files that count for identity alone; their names count as well."""
    paired = pair(new, old)
    found = []
    for before, after in paired.changed:
        was = "" if before == after else f", {before!r} before"
        found.append(_Found(f"identity input {after!r}: content differs{was}", after))
    for before, after in paired.renamed:
        found.append(_Found(f"identity input {after!r}: the same content, {before!r} before", after, before, after))
    found += [_Found(f"identity input {name!r}: removed", name) for name in paired.removed]
    return found + [_Found(f"identity input {name!r}: added", name) for name in paired.added]


def _code(new: FingerprintInfo, old: FingerprintInfo) -> list[_Found]:
    if new.code == old.code:
        return []
    if new.code_mode != old.code_mode:
        return [_Found(f"code identity mode: {old.code_mode} -> {new.code_mode}", "", old.code_mode, new.code_mode)]
    paired = pair(new.code_parts, old.code_parts)
    told = (*(after for _, after in paired.changed), *paired.added)
    inner = {name.rpartition(".")[0] for name in told}  # a class, if one of its methods says more
    said = {_CALLABLE: "changed, maybe only in where its files lie"} if paired.renamed else {}
    found = [
        _Found(f"code of {_both(before, after)}: {said.get(after, 'changed')}", after)
        for before, after in paired.changed
        if after not in inner
    ]
    if new.version != old.version:  # parts unknown to the other version are no difference of the code
        return found
    found += [_Found(f"code of {name}: removed", name) for name in paired.removed if name not in inner]
    found += [_Found(f"code of {name}: added", name) for name in paired.added if name not in inner]
    if values := _tree(new.code_values, old.code_values, "", ""):
        found = [*map(_as_given, values), *(item for item in found if item.key != _CALLABLE)]
    if all(item.key == _CALLABLE for item in found):
        moved = [_Found(f"code of {_both(*names)}: the same, elsewhere", names[1]) for names in paired.renamed]
        found = [*moved, *found]
    return found or [_Found("code differs")]


def _as_given(item: _Found) -> _Found:
    """A changed argument or attribute: ``argument k: 1 -> 2``."""
    return _Found(item.text.lstrip(".").replace(".", " ", 1), item.key.replace(".", " ", 1), item.before, item.after)


_CALLABLE = "callable"
"""Label of the part for the function itself; its digest covers names of files too."""


def _both(before: str, after: str) -> str:
    return after if before == after else f"{after} ({before} before)"


# ---------------------------------------------------------------- for programs

PARTS = {"config": "config_hash", "inputs": "input_hash", "code": "git_hash"}
"""Main parts of an identity -> attributes of a run that tell them apart."""
_PARTS = {
    "config": "config_hash",
    "input": "input_hash",
    "code": "git_hash",
    "label": "labels",
    "identity_input": "identity_inputs",
    "adapter": "adapter",
    "version": "fingerprint_version",
}
"""Kind of a difference -> the part of the identity."""
_DETAILS = {
    "label": "run_fields_changed",
    "identity_input": "identity_inputs_changed",
    "adapter": "adapter_identity_changed",
    "code": "code_identity_changed",
    "more": "more_differences",
}
"""Kind of a difference -> the entry that lists its keys."""


def components(
    reason: str, found: Sequence[tuple[Difference, str]], digests: Mapping[str, str | None]
) -> dict[str, Any]:
    """Which parts of an identity are those of the nearest run and which are not, and what was added, removed, changed.

    `found`: differences with their texts. `digests`: role of an input -> digest. Keys are those of LBNL's consist:
    matched_components, mismatched_components, confidence, fallbacks_used, and details.
    """
    words = reason.removesuffix("_changed").split("_and_")
    main = list(PARTS) if reason == "all_components_changed" else [part for part in PARTS if part in words]
    kinds = {each.kind for each, _ in found}
    differing = {PARTS[part] for part in main} | {part for kind, part in _PARTS.items() if kind in kinds}
    details: dict[str, list[Any]] = {}
    for each, text in found:
        name, told = _detail(each, text, digests)
        if name and told not in details.setdefault(name, []):
            details[name].append(told)
    # keys of a config come from what was recorded of it, which LBNL's consist calls a fallback
    fallbacks = ["json_snapshot"] if any(name.startswith("config_keys_") for name in details) else []
    sure = "high" if len(differing) < 2 else "low" if differing >= {*PARTS.values()} else "medium"
    return {
        "matched_components": [part for part in PARTS.values() if part not in differing],
        "mismatched_components": [part for part in _PARTS.values() if part in differing],
        "confidence": "low" if reason == "exact_match_lookup_inconclusive" else sure,
        "fallbacks_used": fallbacks,
        "details": details | ({"fallbacks_used": fallbacks} if fallbacks else {}),
    }


def _detail(found: Difference, text: str, digests: Mapping[str, str | None]) -> tuple[str, Any]:
    """The entry of the details that a difference belongs to, and what stands there; no entry if it names nothing."""
    if found.kind == "config" and found.key:
        return f"config_keys_{_how(found, text)}", found.key
    if found.kind == "input" and found.key:
        return _input_detail(found, text, digests)
    if found.kind == "code" and text.startswith("code identity mode: "):
        return "code_identity_mode_changed", {"candidate": found.before, "current": found.after}
    return _DETAILS.get(found.kind, ""), found.key or text


def _how(found: Difference, text: str) -> str:
    """What became of a key of the config. None may be a value, too, so the words decide with it."""
    if found.before is None and text.startswith(f"config.{found.key}: (missing) -> "):
        return "added"
    return "removed" if found.after is None and text.endswith(" -> (missing)") else "changed"


def _input_detail(found: Difference, text: str, digests: Mapping[str, str | None]) -> tuple[str, Any]:
    described = text.endswith(", with the same content")
    if not described and (found.before is None or found.after is None):
        return f"input_keys_{'added' if found.before is None else 'removed'}", found.key
    if described or text.startswith(f"input {found.key!r}: same content, "):
        return "input_artifact_changes", {"key": found.key, "changes": ["artifact_description_changed"]}
    ids = {"candidate_artifact_id": found.before, "current_artifact_id": found.after}
    now = {"changes": ["artifact_hash_changed"], "current_hash": digests.get(found.key)}
    return "input_artifact_changes", {"key": found.key, **now, **ids}
