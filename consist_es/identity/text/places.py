"""Finds texts that may say where something lies in a module: ``nets.Net`` or ``nets:Net``."""

import re

from consist_es.identity.text.normal import Scope
from consist_es.identity.text.source import Fact, Parsed, Source

_LONGEST = 200
_PLACE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")


def is_place(text: str) -> bool:
    """True for a dotted name."""
    return ("." in text or ":" in text) and len(text) <= _LONGEST and _PLACE.fullmatch(text) is not None


def places_in_file(source: Source) -> frozenset[str]:
    """All such texts in a file."""
    return _PLACES.of(source)


def _found(parsed: Parsed) -> frozenset[str]:
    found, waiting = set[str](), [parsed.survey.outside]
    while waiting:
        scope: Scope = waiting.pop()
        found.update(filter(is_place, scope.texts))
        waiting += [*scope.inside, *([scope.head] if scope.head is not None else [])]
    return frozenset(found)


_PLACES: Fact[frozenset[str]] = Fact("places in texts", frozenset[str], _found)
