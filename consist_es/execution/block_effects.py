"""What a block changes on objects that outlive it: a hit can put nothing back, for its body runs then too."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from consist_es.events import Effect
from consist_es.execution.effects import Change, Changes, Comparison, Mask
from consist_es.identity.code.block import entered_blocks
from consist_es.identity.code.block_reach import BlockReach, anchor_of
from consist_es.identity.live.owners import Reach
from consist_es.identity.live.written import NOTHING


class BlockComparison(Comparison):
    """What a block can reach, as it is when the block is entered.

    What the text of the block itself changes is left out, for there everybody sees what becomes of it at a hit:
    variables, and containers that it names. What is left is the doing of functions and methods that it calls.
    """

    def __init__(self, frame: types.FrameType, root: Path, mask: Mask) -> None:
        blocks = entered_blocks(frame, root)
        self._blocks = [BlockReach(block) for block in blocks]
        given: dict[str, Any] = {}
        for block in self._blocks:  # of two variables of one name, that of the block the user wrote goes first
            given = {**{f"{name} (around)": value for name, value in given.items()}, **block.given}
        super().__init__(anchor_of(blocks), given, NOTHING, mask)

    def changes(self) -> Changes:
        """Compare. The block has ended."""
        return msgspec.structs.replace(super().changes(), of_block=True)

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
