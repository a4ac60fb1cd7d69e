"""What a project keeps of its bytes: evictions, pins, and the collection of what nothing needs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from consist_es.artifacts.artifact import Artifact

if TYPE_CHECKING:
    from consist_es.events import BytesPinned, PinRemoved
    from consist_es.execution.engine import Engine
    from consist_es.keeping.garbage import Collection
    from consist_es.keeping.policy import Eviction
    from consist_es.project.project import Project
    from consist_es.projections.keeping import Pin
    from consist_es.runs.run import Run


class Keeping:
    """The part of `Tracker` that makes room; see docs/cleaning-up.md."""

    _engine: Engine
    _project: Project

    if TYPE_CHECKING:  # of the other bases of `Tracker`

        def _check_writable(self, call: str) -> None: ...

    def evict(
        self,
        *what: str,
        keep_last: int = 1,
        free: int | str | None = None,
        archive_root: str | os.PathLike[str] | None = None,
        dry_run: bool = True,
    ) -> Eviction:
        """Delete files of outputs that can be made again, and keep all that is known of them.

        A later step that asks for such an output puts it back from a recovery copy, or runs again. Kept are outputs of
        runs that are pinned, that a run or scenario in progress or another living process uses, that a change was
        accepted as, or that could not be made again; and files whose bytes are not the recorded ones.

        Args:
            what: scenarios, steps or runs to take outputs of; none for all.
            keep_last: how many different results of each step, at its year and iteration, are kept.
            free: bytes to aim for, such as ``"10GB"``: what takes the fewest seconds per byte to make again goes first.
                None for all that may go.
            archive_root: a folder that the bytes are copied to first, as by `archive_run_outputs`.
            dry_run: True only plans: nothing is deleted or recorded.

        Raises:
            MissingKeyError: something is not there. MaterializeError: it cannot be archived; nothing was evicted.
        """
        from consist_es.artifacts.uris import given_folder
        from consist_es.keeping import evict as evicting
        from consist_es.keeping.policy import Policy

        policy = Policy.of(what, keep_last, free)
        folder = None if archive_root is None else given_folder(archive_root, "archive_root")
        if dry_run:
            return evicting.planned(self._project, lambda _root: self._engine.uris, policy)
        self._check_writable("evict()")
        return evicting.evict(self._project, lambda _root: self._engine.uris, policy, archive_root=folder)

    def collect_garbage(self, *, caches: bool = False, dry_run: bool = True) -> Collection:
        """Delete what nothing needs: partial outputs of killed runs, old views that were set aside, unfinished copies.

        Args:
            caches: True deletes the digests of files too, which are then taken again; not while a run is in progress.
            dry_run: True only plans.
        """
        from consist_es.keeping import garbage

        if dry_run:
            return garbage.garbage(self._project, lambda _root: self._engine.uris, caches=caches)
        self._check_writable("collect_garbage()")
        return garbage.collect(self._project, lambda _root: self._engine.uris, caches=caches)

    def pin(self, what: str | Run | Artifact, reason: str) -> BytesPinned:
        """Keep the bytes of a run's or scenario's outputs, or of an artifact, whatever is evicted.

        Args:
            what: a run or artifact, or what `consist-es show` takes: ``baseline``, ``baseline/demand@2030``, a key.
            reason: what they are kept for; it is recorded.

        Raises:
            MissingKeyError: there is no such thing. UsageError: the reason is blank.
        """
        from consist_es.keeping import pins

        self._check_writable("pin()")
        return pins.pin(self._project, _named(what), reason)

    def unpin(self, what: str | Run | Artifact, reason: str | None = None) -> PinRemoved:
        """Take back all pins of a run, scenario or artifact.

        Raises:
            MissingKeyError: there is no such thing. UsageError: it is not pinned.
        """
        from consist_es.keeping import pins

        self._check_writable("unpin()")
        return pins.unpin(self._project, _named(what), reason)

    def pins(self) -> list[Pin]:
        """All pins that hold, oldest first."""
        from consist_es.keeping import pins

        return pins.pins(self._project)


def _named(what: object) -> str:
    """What names it on the command line. Anything else is refused where it is looked for."""
    if isinstance(what, Artifact):
        return str(what.id)
    key = getattr(what, "key", None)
    return key if isinstance(key, str) and not isinstance(what, str) else what  # type: ignore[return-value]
