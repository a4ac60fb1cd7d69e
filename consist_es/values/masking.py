"""Keeps secrets out of the log: values that look like credentials are replaced before anything is written or hashed.

The replacement is a keyed hash, ``{"$masked": "<32 hex digits>"}``. Equal values have equal hashes, so a changed secret
is still a change, and counts for identity. The key lies beside the log, readable by its owner alone: without it, a
reader of the log cannot test guesses. Digests are taken after masking.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from consist_es.errors import ConsistWarning, LogError
from consist_es.events import Draft, ErrorInfo, FingerprintInfo
from consist_es.values.plain import frame, is_tagged, to_plain
from consist_es.values.secret import Masked, Secret
from consist_es.values.secret_names import SecretNames, folded

MASKED, SECRET = "$masked", "$secret"

VARIABLE = "environment variable "
"""Prefix of the label of a code part for an environment variable; the variable's name follows."""


COMMAND_LINE = "command line"
"""Label of the code part for the program's arguments."""

_HINTS = (":/", "curl", "mysql", "sig")
_KEY_SIZE = 32
_HASH_SIZE = 16
_SHORTEST = 6
"""Shortest secret, in characters, to look for in error texts; shorter ones match everywhere."""
_MOST = 1000
"""How many secrets to remember for that."""
_WORDS_FOR_NOTHING = frozenset({"", "none", "null", "true", "false", "masked", "..."})
_TEXT_TAGS = frozenset({"$path", "$str"})
"""Tags of `consist_es.values.plain` with a user's text as body."""

# Fields of events with content from users; everything else is made by the library.
_TREES = frozenset({"config", "facet", "meta", "values", "options"})
_TEXTS = frozenset({"description", "descriptions", "reason"})
_PLACES = frozenset({"differs", "value"})
_SOURCES = frozenset({"text"})
_FROM_USERS = _TREES | _TEXTS | _PLACES | _SOURCES


class Masker:
    """Masks by fixed rules and further names of keys; see `docs/secrets-and-redaction.md` for the rules.

    Args:
        key: The key for the hashes: its file, made when it is first needed, or what gives it.
        names: Names of further keys with values to mask; they match whole words, like the built-in ones.
    """

    def __init__(self, key: Path | Callable[[], bytes], names: Iterable[str] = ()) -> None:
        self._source = key
        self._names = SecretNames(names)
        self._key: bytes | None = None
        self._known: dict[str, str] = {}
        """Masked secrets -> their replacement in texts."""
        self.hides: Callable[[str], bool] = lru_cache(maxsize=10_000)(self._names.hides)
        """Takes the name of a key; True if the key's value is masked."""

    # ------------------------------------------------------------ values

    def keyed(self, data: bytes) -> str:
        """Keyed BLAKE3, 32 hex digits. Useless without the key."""
        return blake3(data, key=self._the_key()).hexdigest(_HASH_SIZE)

    def plain(self, plain: Any) -> Any:
        """A plain form (see `consist_es.values.plain`) without its secrets. Already masked values stay unchanged."""
        if isinstance(plain, str):
            return self.text(plain)
        if isinstance(plain, list):
            return self._items(plain)
        if isinstance(plain, dict):
            return self._mapping(plain)
        return plain

    def _mapping(self, plain: dict[str, Any]) -> Any:
        if is_tagged(plain):
            ((tag, body),) = plain.items()
            return self._tagged(tag, body)
        return {self.text(key): self._entry(key, value) for key, value in plain.items()}

    def _tagged(self, tag: str, body: Any) -> Any:
        if tag == MASKED:
            return {tag: body}
        if tag == SECRET:
            return self._hidden(body)
        if tag == "$map":
            return {tag: [self._items(pair) for pair in body]}
        if tag == "$tuple":
            return {tag: self._items(body)}
        if isinstance(body, list):
            return {tag: [self.plain(item) for item in body]}  # the first item may be a type, and is not a key
        if isinstance(body, dict):
            return {tag: self.plain(body)}  # a path that is not encodable text
        return {tag: self.text(body) if tag in _TEXT_TAGS else body}

    def _entry(self, key: str, value: Any) -> Any:
        return self._hidden(value) if self.hides(key) else self.plain(value)

    def _items(self, items: list[Any]) -> list[Any]:
        """A list. The first item of a pair may be a key, and in a list of arguments each option is one."""
        if len(items) == 2 and isinstance(items[0], str) and not items[0].startswith("-"):
            return [self.plain(items[0]), self._entry(items[0], items[1])]
        found, option = [], ""
        for item in items:
            follows = option and not (isinstance(item, str) and item.startswith("-"))
            found.append(self._entry(option, item) if follows else self.plain(item))
            option = item if isinstance(item, str) and item.startswith("-") and "=" not in item else ""
        return found

    def _hidden(self, plain: Any) -> Any:
        """The replacement of a secret; empty values stay as they are."""
        plain = _open(plain)
        if plain is None or isinstance(plain, bool) or plain in ("", [], {}):
            return plain
        if isinstance(plain, dict) and plain.keys() == {MASKED}:
            return plain
        self.remember(plain)
        return {MASKED: self.keyed(frame(plain))}

    def data(self, value: Any) -> Any:
        """The same for values that are not in plain form: mappings, lists and texts, as config adapters return them."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._data_entry(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.data(item) for item in value]
        if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            return tuple(map(self.text, value))
        if value is None or isinstance(value, bool | int | float):
            return value
        plain = to_plain(value, "adapter data")
        return value if self.plain(plain) == plain else Masked(self.keyed(frame(_open(plain))))

    def _data_entry(self, key: Any, value: Any) -> Any:
        if not (isinstance(key, str) and self.hides(key)) or isinstance(value, Secret):
            return self.data(value)
        hidden = self._hidden(to_plain(value, "adapter data"))
        return Masked(hidden[MASKED]) if isinstance(hidden, dict) and MASKED in hidden else value

    # ------------------------------------------------------------ texts

    def text(self, text: str) -> str:
        """The text without anything like a credential: user and password in a URL, ``token=…`` and so on."""
        if not _SIGNS.search(text):
            return text
        small, names = folded(text), self._names
        if not any(hint in small for hint in _HINTS) and not (names.may_be_in(small) and names.stem.search(text)):
            return text
        text = self.places(text)
        text = _PEM.sub(lambda match: f"{match['begin']}{self._mark(match['value'])}{match['end']}", text)
        for pattern in _FURTHER:
            text = pattern.sub(lambda match: f"{match['before']}{self._mark(match['value'])}", text)
        text = _ELEMENT.sub(self._element, text)
        return self._pairs(self._names.flag, self._pairs(self._names.pair, text))

    def _element(self, match: re.Match[str]) -> str:
        if not self.hides(match["name"]):
            return match[0]
        return f"<{match['name']}>{self._mark(match['value'])}</{match['name']}>"

    def places(self, text: str) -> str:
        """A text without users and passwords in its URLs."""
        if "@" not in text or ":/" not in text:
            return text
        for pattern in (_USER, _USER_WITH_SLASH):
            text = pattern.sub(lambda match: f"{match['before']}{self._mark(match['value'])}@", text)
        return text

    def error(self, text: str) -> str:
        """An error's text, also without all secrets masked so far."""
        if self._known:
            for secret in sorted(self._known, key=len, reverse=True):
                text = text.replace(secret, self._known[secret])
        return self.text(text)

    def _pairs(self, pattern: re.Pattern[str], text: str) -> str:
        """A text without the values that follow names of credentials."""
        parts, done = [], 0
        while match := pattern.search(text, done):
            value = _IN_QUERY if text[max(match.start() - 1, 0)] in "?&" else _VALUE
            found = value.match(text, match.end()) if self.hides(match["name"].strip("-.")) else None
            stop = match.end("name") if found is None else match.end()  # the next name may be the one that counts
            parts.append(text[done:stop])
            done = stop
            if found is not None:
                parts.append(self._masked_value(found[0]))
                done = found.end()
        return "".join((*parts, text[done:]))

    def _masked_value(self, value: str) -> str:
        bare = value.strip("\"'")
        if bare.lower() in _WORDS_FOR_NOTHING or _MARK.fullmatch(bare):
            return value
        start = len(value) - len(value.lstrip("\"'"))
        return f"{value[:start]}{self._mark(bare)}{value[start + len(bare) :]}"

    def _mark(self, secret: str) -> str:
        if _MARK.fullmatch(secret):
            return secret
        return f"{MASKED}:{self.keyed(secret.encode('utf-8', 'backslashreplace'))}"

    def remember(self, plain: Any) -> None:
        """Look for this secret in error texts from now on; for a plain form, for every text in it."""
        if isinstance(plain, str) and len(plain) >= _SHORTEST and len(self._known) < _MOST:
            self._known[plain] = self._mark(plain)
        for item in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
            self.remember(item)

    def variables(self, values: Mapping[str, str | None]) -> dict[str, str | None]:
        """Name -> text, such as environment variables, without secrets."""
        return {
            name: value and (self._mark(value) if self.hides(name) else self.text(value))
            for name, value in values.items()
        }

    # ------------------------------------------------------------ events

    def drafts(self, drafts: Iterable[Draft]) -> list[Draft]:
        """Events to be logged, without the secrets in users' content."""
        return [self.draft(draft) for draft in drafts]

    def draft(self, draft: Draft) -> Draft:
        """An event to be logged, without the secrets in users' content."""
        event = draft.event
        changes = {}
        for name in event.__struct_fields__:
            value = getattr(event, name)
            if value and (name in _FROM_USERS or isinstance(value, FingerprintInfo | ErrorInfo)):
                changes[name] = self._field(name, value)
        return msgspec.structs.replace(draft, event=msgspec.structs.replace(event, **changes)) if changes else draft

    def _field(self, name: str, value: Any) -> Any:
        """The value of a field without secrets."""
        if name in _TREES:
            return self.plain(value)
        if name in _TEXTS:
            return self.text(value) if isinstance(value, str) else {key: self.text(item) for key, item in value.items()}
        if name in _SOURCES:
            return self.error(value)
        if name in _PLACES:
            return self.places(value) if isinstance(value, str) else [self.places(item) for item in value]
        if isinstance(value, FingerprintInfo):
            return self.fingerprint(value)
        trace = value.traceback and self.error(value.traceback)
        return ErrorInfo(type=value.type, message=self.error(value.message), traceback=trace)

    def fingerprint(self, info: FingerprintInfo) -> FingerprintInfo:
        """An identity without the secrets in the values that explain it."""
        if info.code_values:
            info = msgspec.structs.replace(info, code_values=self.plain(info.code_values))
        adapter = info.adapter
        if not adapter:
            return info
        from consist_es.values.packed import unpacked  # seldom

        shown = {part: adapter[part] for part in ("values", "aside") if isinstance(adapter.get(part), dict)}
        masked = {part: self.plain(dict(unpacked(values))) for part, values in shown.items()}
        return msgspec.structs.replace(info, adapter={**adapter, **masked}) if masked else info

    def code_parts(self, parts: Mapping[str, str]) -> dict[str, str]:
        """The code parts that may hold a secret, as keyed hashes: environment variables named like credentials, and the
        command line."""
        return {
            label: f"masked:{self.keyed(digest.encode())}"
            for label, digest in parts.items()
            if label == COMMAND_LINE or (label.startswith(VARIABLE) and self.hides(label.removeprefix(VARIABLE)))
        }

    def revealed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as a function gets them, with `Secret` wrappers removed."""
        for value in values.values():  # not always recorded, but error texts may contain them
            if isinstance(value, Secret):
                self.remember(value.value)
        return {name: value.value if isinstance(value, Secret) else value for name, value in values.items()}

    # ------------------------------------------------------------ the key

    def _the_key(self) -> bytes:
        if self._key is None:
            try:
                self._key = kept_key(self._source) if isinstance(self._source, Path) else self._source()
            except (OSError, LogError) as error:
                self._key = os.urandom(_KEY_SIZE)
                where = f", {self._source}," if isinstance(self._source, Path) else ""
                warnings.warn(
                    f"The key for masking secrets{where} cannot be used ({error}). Steps with secrets in "
                    "their config are recorded, but not reused. Ask its owner to let you read it, or remove it.",
                    ConsistWarning,
                    stacklevel=2,
                )
        return self._key


# ---------------------------------------------------------------- rules

_VALUE = re.compile(r"\"(?:[^\"\\]|\\.)++\"|'(?:[^'\\]|\\.)++'|\S*[^\s,;)\]}'\"]")
"""A quoted text, or everything up to the next blank except closing brackets: masks too much rather than too little."""
_USER = re.compile(r"(?P<before>://)(?P<value>[^\s/?#'\"<>]{1,512})@")
_USER_WITH_SLASH = re.compile(r"(?P<before>:/{1,3})(?P<value>[^\s/?#@:'\"<>]{0,128}:[^\s'\"<>@]{1,256})@")
_IN_QUERY = re.compile(r"[^\s&#'\"]+")
_FURTHER = (
    re.compile(r"(?P<before>[?&](?:sig|signature|X-Amz-Signature)=)(?P<value>[^\s&#'\"]+)", re.IGNORECASE),
    re.compile(r"(?P<before>\bcurl\b[^\n|;]{0,2000}?\s(?:-u\s*|--user[ =]))(?P<value>[^\s'\"]+)"),
    re.compile(r"(?P<before>\bmysql\w{0,20}\b[^\n|;]{0,2000}?\s-p)(?P<value>[^\s'\"]+)"),
)
"""Secrets recognised by their position."""
_ELEMENT = re.compile(r"<(?P<name>[\w.\-]{1,200})>(?P<value>[^<]{1,4000})</(?P=name)>")
_SIGNS = re.compile(r"[=:,\-<]")
"""Every text with something to mask contains one of these."""
_MARK = re.compile(r"\$masked:[0-9a-f]{32}")
_PEM = re.compile(
    r"(?P<begin>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?P<value>[^-]+)(?P<end>-----END [A-Z ]*PRIVATE KEY-----)"
)


def _open(plain: Any) -> Any:
    """The plain form with `Secret` markers removed (values left in)."""
    if isinstance(plain, list):
        return [_open(item) for item in plain]
    if isinstance(plain, dict):
        if plain.keys() == {SECRET}:
            return _open(plain[SECRET])
        return {key: _open(value) for key, value in plain.items()}
    return plain


# ---------------------------------------------------------------- the key's file


def key_file(log: Path) -> Path:
    """Path of a log's key: beside its folder, so that a copy of the folder is without it."""
    return log.with_suffix(".key")


def kept_key(path: Path) -> bytes:
    """The key in this file, which is made if it is not there.

    Raises:
        OSError: it cannot be read or made.
    """
    return _read_key(path) or _make_key(path)


def keep_key(path: Path, key: bytes) -> None:
    """Keep this key in the file, unless another is there.

    Raises:
        OSError: it cannot be written.
    """
    if _read_key(path) is None:
        _make_key(path, key)


def _read_key(path: Path) -> bytes | None:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(key) != _KEY_SIZE:
        raise OSError(f"it has {len(key)} bytes, not {_KEY_SIZE}")
    return key


def _make_key(path: Path, key: bytes | None = None) -> bytes:
    """A new key, or the one that another process made at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(key or os.urandom(_KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # unlike a rename, a link never replaces another's key
        except FileExistsError:
            pass
        except OSError:  # no links on this file system
            if not path.exists():
                part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    found = _read_key(path)
    if found is None:
        raise OSError("it was removed as soon as it was made")
    return found
