"""Turns the argument `adapter=` into its part of a run's identity."""

import inspect
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.adapters.lbnl import canonicalize_relative, is_relative
from consist_es.adapters.protocol import LITERALS, CanonicalizationSnapshot, Reference
from consist_es.adapters.registry import named_adapter
from consist_es.errors import AdapterTypeError
from consist_es.identity.adapters import short_digest
from consist_es.text import readable
from consist_es.values.digests import digest_of
from consist_es.values.encoding import is_same
from consist_es.values.masking import Masker
from consist_es.values.plain import frame, to_plain
from consist_es.values.secret import Masked

DigestFile = Callable[[Path], str]

PACK_OVER = 32 << 10
"""Bytes of values from which on they are kept compressed."""
VALUES_LIMIT = 256 << 10
"""Bytes of values kept with a run to explain changes; above, longer values are kept as digests, and if that is still
too much, only the digests of the files."""
_LONG = 200
_SHORT = 24
_DOMAIN = "consist-es adapter 1"
_WORD = re.compile(r"[\w-]+")


class PreparedAdapter(msgspec.Struct, frozen=True):
    """An adapter that has read its files."""

    adapter: Any
    root: Path
    digest_file: DigestFile
    masker: Masker | None
    info: dict[str, Any]
    """The record in the run's fingerprint: name, version, digest; for people files, values and references."""
    references: tuple[Reference, ...]

    @property
    def snapshot(self) -> CanonicalizationSnapshot:
        """The view of it for the step's function."""
        info = self.info
        return CanonicalizationSnapshot(info["name"], info["version"], info["digest"], self.references)

    @property
    def meta(self) -> dict[str, Any]:
        """Entries for the run's metadata."""
        info = self.info
        tree = {"config_tree_hash": info["tree"]} if "tree" in info else {}
        return {
            "config_adapter": info["name"],
            "config_adapter_version": info["version"],
            "config_bundle_hash": info["digest"],
            **tree,
        }

    def changes(self) -> list[str]:
        """Referenced files whose content changed; layout does not count."""
        before = {reference.path: reference.digest for reference in self.references}
        try:
            now = prepare_adapter(self.adapter, self.root, self.digest_file, self.masker)
        except Exception as error:  # noqa: BLE001  an adapter is the user's code, and the step itself succeeded
            return [f"{type(error).__name__}: {error}"]
        if now.info["digest"] == self.info["digest"]:
            return []
        after = {reference.path: reference.digest for reference in now.references}
        changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
        return changed or [f"what adapter {self.info['name']!r} reads"]


class _Found(msgspec.Struct, frozen=True):
    """Result of an adapter, in one form for both kinds."""

    version: str | None
    digest: str
    data: Mapping[str, Any]
    references: list[Reference]
    hidden: frozenset[str] = frozenset()
    """Keys of the data in which a secret was masked."""
    aside: Mapping[str, Any] = {}


def prepare_adapter(given: Any, root: Path, digest_file: DigestFile, masker: Masker | None = None) -> PreparedAdapter:
    """Let an adapter, or the one of that name, read its files. With a `masker`, nothing recorded, digests included,
    reveals their secrets.

    Raises:
        AdapterError, AdapterTypeError: it breaks the protocol, or there is no adapter of that name.
        ConfigTypeError, ConfigValueError: its data have no canonical form. InputError: a reference cannot be read.
        Whatever the adapter raises itself.
    """
    adapter = named_adapter(given) if isinstance(given, str) else given
    if isinstance(adapter, type):
        raise AdapterTypeError(f"adapter={adapter.__name__} is a class: pass an object, adapter={adapter.__name__}(…).")
    relative = is_relative(adapter)
    name = _text(adapter, "model_name" if relative else "name")
    found = _relative(adapter, name, masker) if relative else _own(adapter, name, root, masker, digest_file)
    references = tuple(_complete(reference, root, digest_file) for reference in found.references)
    keys = {reference.key for reference in references} & set(found.data)
    info = {
        "name": name,
        "version": found.version,
        "digest": found.digest,
        "files": {key: _digest(to_plain(found.data[key], key)) for key in sorted(keys)},
        "values": _fitting(_values(found.data, keys)),
        "references": [msgspec.to_builtins(_hiding(reference, found.hidden, masker)) for reference in references],
    }
    if found.aside:
        info["aside"] = _fitting(_values(found.aside, set(found.aside)))
        info["tree"] = _digest([found.digest, to_plain(dict(found.aside), "aside")])
    return PreparedAdapter(adapter, root, digest_file, masker, info, references)


# ---------------------------------------------------------------- asking the adapter


def _text(adapter: Any, member: str) -> str:
    value = getattr(adapter, member, None)
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value
    what = f"{type(adapter).__name__}.{member}"
    if value is None:
        raise AdapterTypeError(
            f"adapter={adapter!r} is not a config adapter: it has no {member}. An adapter has name, version and "
            "canonicalize(root), or is a str such as 'folder:configs'."
        )
    raise AdapterTypeError(f"adapter={adapter!r}: {what} is {value!r}; it must be a printable str.")


def _own(adapter: Any, name: str, root: Path, masker: Masker | None, digest_file: DigestFile) -> _Found:
    version = _text(adapter, "version")
    if not callable(getattr(adapter, "canonicalize", None)):
        raise AdapterTypeError(f"adapter={adapter!r} is not a config adapter: it has no method canonicalize(root).")
    result = adapter.canonicalize(root)
    if inspect.iscoroutine(result):
        result.close()
    data, references = getattr(result, "data", None), getattr(result, "references", None)
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise AdapterTypeError(
            f"Config adapter {name!r}: canonicalize() returned {type(result).__name__}; it must return "
            "AdapterResult(data, references) with data a mapping with str keys."
        )
    if references is None or isinstance(references, str | bytes | Mapping):
        raise AdapterTypeError(f"Config adapter {name!r}: references must be a list of Reference or paths.")
    listed = [_reference(item, name) for item in references]
    contents = [_content(file, path, data, name, digest_file) for file, path in _mapping(result, "files", name).items()]
    data = {**data, **{content.key: ("bytes", content.digest) for content in contents}}
    where = f"data of adapter {name!r}"
    plain, hidden = to_plain(dict(data), where), frozenset[str]()
    if masker is not None and not is_same(masked := to_plain(masker.data(data), where), plain):
        data, hidden = _without_secrets(data, masker)
        plain = masked
    aside, beside = _without_secrets(_mapping(result, "aside", name), masker)
    if beside:  # any file may be the one with the secret
        hidden |= {"", *(reference.key for reference in listed)}
    return _Found(version, _digest([name, version, plain]), data, [*listed, *contents], hidden, aside)


def _mapping(result: Any, member: str, name: str) -> Mapping[str, Any]:
    """An optional member of an adapter's result."""
    found = getattr(result, member, {})
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise AdapterTypeError(f"Config adapter {name!r}: {member} must be a mapping with str keys, not {found!r}.")
    return found


def _content(file: str, path: Any, data: Mapping[str, Any], name: str, digest_file: DigestFile) -> Reference:
    """A file that counts by its bytes, as a reference with its digest."""
    if file in data:
        raise AdapterTypeError(f"Config adapter {name!r}: {file!r} is in data and in files; it must be in one of them.")
    if not isinstance(path, str | os.PathLike):
        raise AdapterTypeError(f"Config adapter {name!r}: files[{file!r}] must be a path, not {path!r}.")
    return Reference(str(os.fspath(path)), file, digest_file(Path(os.path.abspath(path))))


def _without_secrets(data: Mapping[str, Any], masker: Masker | None) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The data with secrets masked, and the keys in which there were any."""
    if masker is None:
        return data, frozenset()
    masked = masker.data(data)
    return masked, frozenset(key for key in data if frame(to_plain(masked[key])) != frame(to_plain(data[key])))


def _hiding(reference: Reference, hidden: frozenset[str], masker: Masker | None) -> Reference:
    """The reference; its digest is keyed if it could help to guess a secret in the file."""
    if masker is None or reference.digest is None or not hidden or reference.key not in {*hidden, ""}:
        return reference
    return msgspec.structs.replace(reference, digest=f"masked:{masker.keyed(reference.digest.encode())}")


def _reference(given: Any, name: str) -> Reference:
    if isinstance(given, Reference):
        return given
    if isinstance(given, str | os.PathLike):
        return Reference(str(os.fspath(given)))
    raise AdapterTypeError(f"Config adapter {name!r}: a reference must be a Reference or a path, not {given!r}.")


def _relative(adapter: Any, name: str, masker: Masker | None) -> _Found:
    result = canonicalize_relative(adapter, name)
    to_plain(result.shown, f"values of adapter {name!r}")
    shown, hidden = _without_secrets(result.shown, masker)
    told = result.identity_hash
    if masker is not None and hidden:
        told = masker.keyed(told.encode())  # the adapter's hash covers the secrets too
    digest = _digest([name, result.version, told])
    return _Found(result.version, digest, shown, result.references, hidden)


def _digest(plain: Any) -> str:
    return digest_of(frame([_DOMAIN, plain]))


def _complete(reference: Reference, root: Path, digest_file: DigestFile) -> Reference:
    """The reference with its digest, and its path relative to the project if it lies inside."""
    path = Path(os.path.abspath(reference.path))
    digest = reference.digest if reference.digest is not None else digest_file(path)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return Reference(readable(shown.as_posix()), reference.key, digest)


# ---------------------------------------------------------------- what people are shown


def _values(data: Mapping[str, Any], files: set[str]) -> dict[str, Any]:
    """``file: key`` (or ``key`` for data without a file) -> value, for every value."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        for path, leaf in _leaves(value, "" if key in files else _segment(key)):
            name = f"{key}: {path.removeprefix('.') or '(all)'}" if key in files else path
            if (shown := _shown_value(leaf)) is not None or leaf is None:
                found[_cut(name)] = shown
    return found


def _leaves(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        pairs = [(f"{path}.{_segment(key)}", item) for key, item in value.items()]
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        pairs = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return [(path, value)]
    return [leaf for inner, item in pairs for leaf in _leaves(item, inner)]


def _segment(key: Any) -> str:
    text = readable(str(key))
    return text if _WORD.fullmatch(text) else repr(text)


def _shown_value(value: Any) -> Any:
    """A value in a form for records and people; None if only the file's digest describes it."""
    if isinstance(value, Masked):
        return value
    if isinstance(value, tuple) and len(value) > 1 and value[0] in LITERALS:
        return None if value[0] in ("bytes", "documents") else _cut(str(value[1]))
    if isinstance(value, list):
        return [_shown_value(item) for item in value]
    plain = to_plain(value)
    return _cut(plain if isinstance(plain, str) else repr(value)) if isinstance(plain, str | dict | list) else plain


def _cut(text: str) -> str:
    text = readable(text)
    if len(text) <= _LONG:
        return text
    return f"{text[: _LONG - 60]}… ({len(text)} characters, {short_digest(text)})"


def _fitting(values: dict[str, Any]) -> dict[str, Any]:
    """The values, or as much of them as a record should carry."""
    if _size(values) <= PACK_OVER:
        return values
    from consist_es.values.packed import packed  # seldom

    small = packed(values, lambda data: msgspec.json.encode(data, enc_hook=to_plain))
    if _size(small) <= VALUES_LIMIT:
        return small
    shorter = {key: short_digest(to_plain(value)) if _size(value) > _SHORT else value for key, value in values.items()}
    return shorter if _size(shorter) <= VALUES_LIMIT else {}


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value, enc_hook=to_plain))
