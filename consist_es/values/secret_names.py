"""Tells from the name of a key whether its value is a credential; see `docs/secrets-and-redaction.md` for the rules."""

import re
from collections.abc import Iterable
from functools import cached_property

_WORDS = (
    "apikey", "apikeys", "authorization", "bearer", "cookie", "cookies", "credential", "credentials", "passcode",
    "creds", "jwt", "passphrase", "passwd", "password", "passwords", "pwd", "secret", "secrets", "token",
)  # fmt: skip
_ENDS = ("credential", "credentials", "passphrase", "passwd", "password", "passwords", "secret", "secrets", "token")
"""Words that also count at the end of a longer word: PGPASSWORD, clientsecret."""
_PAIRS = (
    "access key", "access keys", "access tokens", "account key", "admin pass", "api key", "api keys", "api tokens",
    "auth key", "auth pass", "auth tokens", "db pass", "ftp pass", "login pass", "mail pass", "mysql pass", "pg pass",
    "proxy pass", "root pass", "secret key", "smtp pass", "ssh pass", "user pass",
    "client key", "encryption key", "master key", "pass phrase", "pass word", "private key", "private keys",
    "shared key", "signing key", "ssh key", "subscription key",
)  # fmt: skip
_WHOLE = frozenset({"auth", "pass", "pw", "tokens"})
"""Words that mean a credential only if they are the whole key."""

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")
_BUILT_IN = tuple((word,) for word in _WORDS) + tuple(tuple(pair.split()) for pair in _PAIRS)
_FOLDED = str.maketrans("\u017f\u0131\u0130\u212a", "siik")
"""Letters that equal an ASCII letter where case does not count: the long s, two Turkish ones, the Kelvin sign."""
_TYPES = r"(?:str|bytes|int|Any|SecretStr|Secret\[\w+\]|Optional\[\w+\])(?:\s*\|\s*None)?"
_SEPARATOR = (
    rf"(?:[\"'\])}}]{{0,3}}+\s*+(?::\s*{_TYPES}\s*=(?!=)|=>|[:=!]?=|:)\s*+|[\"']\s*,\s*(?=[bBrRuU]?[\"']))"
    r"(?:(?:bearer|basic|token|digest|negotiate)\s+)?(?:[bBrRfFuU]{1,2}(?=[\"']))?"
)


class SecretNames:
    """The built-in names, and further ones; these match whole words, too."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._wanted = (*_BUILT_IN, *(words for name in names if (words := _words(name))))
        stems = dict.fromkeys((*self._wanted, *((word,) for word in _WHOLE)))
        self._stems = "|".join(sorted(map(r"[\W_]?".join, stems), key=len, reverse=True))
        joined = dict.fromkeys(map("".join, stems))
        # A stem may hold a shorter one: no need to look for ``passwords`` besides ``password``.
        self._plain = tuple(stem for stem in joined if not any(other in stem and other != stem for other in joined))

    def hides(self, name: str) -> bool:
        """True if the value of a key of this name is a credential."""
        if not self._may_hide(name) or not self.stem.search(name):
            return False
        words = _words(name)
        if len(words) == 1 and words[0] in _WHOLE:
            return True
        if any(word.endswith(_ENDS) for word in words):
            return True
        return any(_holds(words, wanted) for wanted in self._wanted)

    def _may_hide(self, name: str) -> bool:
        """False only if `stem` finds nothing in a name; without compiling that, for nearly all names."""
        if not (name.isascii() and self._stems.isascii()):  # a letter may equal a foreign one: the Kelvin sign is a K
            return True
        letters = "".join(filter(str.isalnum, name.lower()))
        return any(stem in letters for stem in self._plain)

    def may_be_in(self, small: str) -> bool:
        """False only if `stem` finds nothing in a text that `folded` made small; much quicker than that."""
        return not self._stems.isascii() or any(word in small for word in self._needed)

    @cached_property
    def _needed(self) -> tuple[str, ...]:
        """Words of which every stem has one."""
        words = {max(stem, key=len) for stem in (*self._wanted, *((word,) for word in _WHOLE))}
        return tuple(word for word in words if not any(other in word and other != word for other in words))

    # Compiled on first use: each takes milliseconds, and most processes meet no text that looks like a secret.

    @cached_property
    def stem(self) -> re.Pattern[str]:
        """Finds what every such name contains, and other words do, too."""
        return re.compile(self._stems, re.IGNORECASE)

    @cached_property
    def pair(self) -> re.Pattern[str]:
        """Finds a name before its value in a text: ``token = …``."""
        return re.compile(self._name + _SEPARATOR, re.IGNORECASE)

    @cached_property
    def flag(self) -> re.Pattern[str]:
        """Finds an option before its value in a command: ``--token …``."""
        return re.compile(r"(?=--?\w)" + self._name + r"\s++", re.IGNORECASE)

    @property
    def _name(self) -> str:
        return rf"(?<![\w.\-])(?=[\w.\-]*?(?:{self._stems}))(?P<name>[\w.\-]++)"


def folded(text: str) -> str:
    """A text in which an ASCII word is found by ``in`` if a pattern finds it that does not mind case."""
    return (text if text.isascii() else text.translate(_FOLDED)).lower()


def _words(name: str) -> tuple[str, ...]:
    return tuple(part.lower() for part in _PART.findall(name))


def _holds(words: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    joined = "".join(wanted)
    if len(wanted) > 1 and joined in words:  # apikey
        return True
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words) - len(wanted) + 1))
