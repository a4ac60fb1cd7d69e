"""Recovery copies as they were recorded, and what an artifact asks if its own file fails."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.values.digests import CONTENT


class RecoveryCopy(msgspec.Struct, frozen=True, gc=False):
    """One row of `copies`, its fields in the order of the columns."""

    seq: int
    artifact: str
    """Id of the artifact that it was made of."""
    key: str
    uri: str
    root: str
    recovery_root: str
    digest: str
    content: str | None
    how: str
    run: str | None
    """Key of the run that made the artifact."""
    at: str
    writer: str

    @property
    def says_content(self) -> bool:
        """True if its digest is over content, so that it is good for every artifact with this digest."""
        return self.digest.startswith(CONTENT)


class FoundCopy(msgspec.Struct, frozen=True):
    """The outcome of a look at an artifact's recovery copies."""

    path: Path | None
    """The first one with the recorded bytes, which were digested; None if there is none."""
    uri: str = ""
    root: str = ""
    """The run directory that `uri` was made for."""
    faults: tuple[str, ...] = ()
    """What is wrong with the copies that were looked at before it, in words."""


class Elsewhere(ABC):
    """Knows the recovery copies of artifacts, and which ones were evicted."""

    @abstractmethod
    def look(self, artifact: Any, *, fresh: bool = False) -> FoundCopy:
        """Look for a copy with the artifact's recorded bytes; `fresh` reads them even if nothing seems to have
        changed."""

    def evicted(self, artifact: Any) -> str | None:
        """The day that its bytes were evicted on, if they were; None if they were not, or are back."""
        return None

    @abstractmethod
    def roots(self, artifact: Any) -> Sequence[str]:
        """The folders that copies of the artifact were put below, as paths of this machine."""

    @abstractmethod
    def places(self, artifact: Any) -> Sequence[Path]:
        """The places of the copies, which nobody has looked at."""


def what_to_do(artifact: Any, uris: Any) -> str:
    """What to do about an artifact whose file is gone, in a sentence or two."""
    elsewhere = None if uris is None else uris.elsewhere
    day = None if elsewhere is None else elsewhere.evicted(artifact)
    if day is not None:
        return f"It was evicted on {day} to make room. Running {artifact.run_id} again makes it again."
    maker = artifact.run_id or "none: an external file"
    return f"Run the step that made it ({maker}) again, or restore the file."
