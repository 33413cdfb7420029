"""Scoring: a pack of questions whose options, or pages, are scored."""

from __future__ import annotations

from proctor.nouns.exams import Exchange, Pack, Scored
from workers.engines.base import Engine
from workers.engines.scoring import Prepared
from workers.run.replies import PackReplies


class OptionScorer:
    """The `Answerer` of papers that ask to choose or to roll: the engine's scores, an exchange a question."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def answer(self, prepared: Prepared, pack: Pack) -> PackReplies:
        """Errors as of `Engine.answer`."""
        found = self._engine.answer(prepared, pack)
        greedy = found.greedy or ((),) * len(pack.members)
        exchanges = (
            (Exchange(prepared.prompts[member].ask, Scored(row, likeliest)),)
            for member, row, likeliest in zip(pack.members, found.options_logprob, greedy, strict=True)
        )
        return PackReplies(
            tuple(exchanges), found.tokens_computed, found.tokens_saved, found.cost, found.tokens_written
        )
