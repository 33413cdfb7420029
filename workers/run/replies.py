"""What a pack of questions was replied, whichever way: options that were scored, or texts that were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proctor.nouns.exams import Exchange, Pack
from proctor.nouns.runs import Cost
from workers.engines.scoring import Prepared


@dataclass(frozen=True)
class PackReplies:
    """A pack's result. `exchanges[i]`: what the pack's member i was asked, one after the other, and what it replied."""

    exchanges: tuple[tuple[Exchange, ...], ...]
    tokens_computed: int  # positions that went through the model, padding not counted
    tokens_saved: int  # positions that full prompts would have needed on top of that
    cost: Cost
    tokens_written: int = 0  # of those computed, what was generated


class Answerer(Protocol):
    """What answers packs of a prepared paper."""

    def answer(self, prepared: Prepared, pack: Pack) -> PackReplies:
        """The replies to a pack's questions. Raises `OutOfMemory` where the pack is too large for the device."""


def joined(parts: Sequence[PackReplies]) -> PackReplies:
    """What the parts of one pack amount to."""
    return PackReplies(
        tuple(row for part in parts for row in part.exchanges),
        sum(part.tokens_computed for part in parts),
        sum(part.tokens_saved for part in parts),
        sum((part.cost for part in parts), Cost()),
        sum(part.tokens_written for part in parts),
    )
