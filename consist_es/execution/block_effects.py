"""Changes that a block makes to objects that outlive it. A hit replays none: the block's body runs then too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from consist_es.events import Effect
from consist_es.execution.effects import Change, Changes, Comparison, Mask
from consist_es.identity.code.block import Entry, blocks_at
from consist_es.identity.code.block_reach import BlockReach, anchor_of
from consist_es.identity.code.block_settings import settings_of
from consist_es.identity.live.left_out_values import NONE, LeftOut, is_object
from consist_es.identity.live.owners import Reach
from consist_es.identity.live.written import NOTHING


class BlockComparison(Comparison):
    """Snapshot of what a block can reach, taken on entry.

    Leaves out changes by the block's own text (variables, and containers it names): there the effect of a hit is
    visible. The remaining changes are made by functions and methods that the block calls.
    """

    def __init__(self, frame: Entry, root: Path, mask: Mask, left_out: LeftOut = NONE) -> None:
        blocks = blocks_at(frame, root)
        self._blocks = [BlockReach(block) for block in blocks]
        self._settings = [said for block in blocks for said in settings_of(block)]
        given: dict[str, Any] = {}
        for block in self._blocks:  # of two variables of one name, that of the block the user wrote goes first
            given = {**{f"{name} (around)": value for name, value in given.items()}, **block.given}
        if left_out.objects:
            given = {name: value for name, value in given.items() if not is_object(value)}
        super().__init__(anchor_of(blocks), given, NOTHING, mask, left_out)

    def changes(self) -> Changes:
        """Compare with the snapshot, after the block has ended."""
        found = super().changes()
        return msgspec.structs.replace(found, lost=[*found.lost, *self._settings], of_block=True)

    def _changed_slots(self) -> Iterator[Change]:
        for change in super()._changed_slots():
            if not any(block.binds(change.owner, change.name, self._functions) for block in self._blocks):
                yield change

    def _changed_contents(self) -> Iterator[Change]:
        for change in super()._changed_contents():
            if not any(block.fills(change.owner) for block in self._blocks):
                yield change

    def _effect(self, change: Change, after: Reach) -> Effect | None:
        return None
