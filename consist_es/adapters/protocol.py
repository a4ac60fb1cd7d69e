"""What a config adapter is: paths in, canonical data and references out.

An adapter knows the configuration files of one model. The data that it returns are what the model reads from
them: they are part of a run's identity, and nothing else of the files is. The references say which files were read,
for people; they never count.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

LITERALS = frozenset({"yaml", "number", "substitution", "concat", "layers", "documents", "bytes"})
"""First element of a tuple (kind, text, …): a value whose meaning depends on the program that reads it, so it is
kept as its text. `text` is what people are shown."""


class Reference(msgspec.Struct, frozen=True):
    """A file that an adapter read."""

    path: str
    """As the adapter gave it; in a run's record relative to the project, where the file lies inside it."""
    key: str = ""
    """Top-level key of the data that came from this file; "" where it has none of its own."""
    digest: str | None = None
    """Of the file's bytes. The library fills it in where the adapter leaves it out."""


class AdapterResult(msgspec.Struct, frozen=True):
    """What `canonicalize` returns."""

    data: Mapping[str, Any]
    """Everything that counts for identity: values of the kinds that a step's config may have."""
    references: Sequence[Reference | str | os.PathLike[str]] = ()


class Adapter(Protocol):
    """What `adapter=` takes. Any object with these members will do."""

    @property
    def name(self) -> str:
        """Short and stable; part of the identity and of every message."""

    @property
    def version(self) -> str:
        """To be raised whenever the same files give other data; part of the identity."""

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the files and say what counts of them. `root` is the project's root.

        Called before a step starts, and once more after it, to see whether the files changed meanwhile. What it
        raises goes to the caller unchanged, and nothing is recorded.
        """


class CanonicalizationSnapshot(msgspec.Struct, frozen=True):
    """What `RunContext.canonicalization` gives inside a step that has an adapter."""

    adapter_name: str
    adapter_version: str | None
    identity_hash: str
    references: tuple[Reference, ...] = ()
