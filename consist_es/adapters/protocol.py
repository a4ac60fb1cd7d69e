"""The config adapter protocol: paths in, canonical data and references out.

An adapter reads the configuration files of one model. The data that it returns are what the model reads from them: they
are part of a run's identity, and nothing else of the files is. The references list the files that were read, for
people; they never count.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

LITERALS = frozenset({"yaml", "number", "substitution", "concat", "layers", "documents", "bytes"})
"""First element of a tuple (kind, text, …): a value with a meaning that depends on the reading program, so it is kept
as its text. `text` is shown to people."""


class Reference(msgspec.Struct, frozen=True):
    """A file that an adapter read."""

    path: str
    """As the adapter gave it; in a run's record relative to the project, if the file lies inside it."""
    key: str = ""
    """Top-level key of the data from this file; "" if it has none of its own."""
    digest: str | None = None
    """Of the file's bytes. The library fills it in if the adapter omits it."""


class AdapterResult(msgspec.Struct, frozen=True):
    """Result of `canonicalize`."""

    data: Mapping[str, Any]
    """Everything that counts for identity: values of the kinds that a step's config may have."""
    references: Sequence[Reference | str | os.PathLike[str]] = ()
    files: Mapping[str, str | os.PathLike[str]] = {}
    """Name -> a file that counts by its bytes; the library takes the digest, and remembers it as that of an input."""
    aside: Mapping[str, Any] = {}
    """What the model does not read, or what changes how it runs and not what it computes. It is recorded and never
    counts; a hit names what of it differs."""


class Adapter(Protocol):
    """Type of `adapter=`. Any object with these members will do."""

    @property
    def name(self) -> str:
        """Short and stable; part of the identity and of every message."""

    @property
    def version(self) -> str:
        """Change it whenever the same files give other data; part of the identity."""

    def canonicalize(self, root: Path) -> AdapterResult:
        """Read the files and return the data that count. `root` is the project's root.

        Called before a step starts, and once more after it, to check whether the files changed meanwhile. Its
        exceptions reach the caller unchanged, and nothing is recorded.
        """


class CanonicalizationSnapshot(msgspec.Struct, frozen=True):
    """Value of `RunContext.canonicalization` inside a step with an adapter."""

    adapter_name: str
    adapter_version: str | None
    identity_hash: str
    references: tuple[Reference, ...] = ()
