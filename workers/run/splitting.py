"""An answerer that fits its packs into the memory there is: what is too large goes through the model in parts.

The pack stays the unit of record; what changes is in whose company its questions are computed, which changes numbers
(see `workers.run.noise`). So the size of the parts belongs to what a Run records: it is kept with the Run before
anything that was answered in parts is, and every later pack and attempt of that Run goes by it, also where there is
more memory. A Run that was resumed is then what it would have been undisturbed:
`test_a_run_cut_for_memory_and_resumed_elsewhere_is_cut_the_same_way`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from proctor.errors import OutOfMemory
from proctor.exams.packs import compose
from proctor.nouns.exams import Pack
from proctor.nouns.runs import Provenance
from workers.engines.scoring import Prepared
from workers.run.replies import Answerer, PackReplies, joined

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Short:
    """A part that memory was too short for, and the error that said so, without the frames that hold its tensors."""

    part: Pack
    error: OutOfMemory


class SplittingAnswerer:
    """The `Answerer` that cuts packs for another one: they go through whole, or in parts of at most `cut_tokens`.

    Where a part runs out of memory, `make_room` lets go of what others hold and says whether there was any: the pack is
    then tried once more as it is. Else `cut_tokens` becomes half of the part's size and `remember` is told, before the
    pack is tried again. `OutOfMemory` is raised where one question alone is too much.
    """

    def __init__(
        self,
        answerer: Answerer,
        cut_tokens: int | None,
        remember: Callable[[int], None],
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self._answerer, self.cut_tokens, self._remember, self._make_room = answerer, cut_tokens, remember, make_room

    def answer(self, prepared: Prepared, pack: Pack) -> PackReplies:
        while True:
            answered = self._answer_parts(prepared, parts_of(prepared, pack, self.cut_tokens))
            if not isinstance(answered, _Short):
                return joined(answered)
            if self._make_room():
                continue
            if len(answered.part.members) < 2:
                raise answered.error
            self._cut(size_of(prepared, answered.part) // 2)

    def _answer_parts(self, prepared: Prepared, parts: Sequence[Pack]) -> list[PackReplies] | _Short:
        answered: list[PackReplies] = []
        for part in parts:
            try:
                answered.append(self._answerer.answer(prepared, part))
            except OutOfMemory as error:
                # Memory is given back by the caller: until this block is over the frames of the pass are alive.
                return _Short(part, error.with_traceback(None))
        return answered

    def _cut(self, tokens: int) -> None:
        log.warning("out of memory: packs go through in parts of %d tokens from now on", tokens)
        self._remember(tokens)
        self.cut_tokens = tokens


def parts_of(prepared: Prepared, pack: Pack, cut_tokens: int | None) -> Sequence[Pack]:
    """The pack, cut: a pure function of its members' lengths and of `cut_tokens`, in the order of its members."""
    if cut_tokens is None:
        return (pack,)
    lengths = [prepared.lengths[member] for member in pack.members]
    parts = compose(lengths, cut_tokens, padded=prepared.padded)
    return [Pack(pack.index, tuple(pack.members[place] for place in part.members)) for part in parts]


def size_of(prepared: Prepared, part: Pack) -> int:
    """Tokens that go through the model for a part, padding included."""
    lengths = [prepared.lengths[member] for member in part.members]
    return max(lengths) * len(lengths) if prepared.padded else sum(lengths)


def with_cut(provenance: Provenance, tokens: int | None) -> Provenance:
    """What produced a Run's numbers, once its packs go through in parts of at most so many tokens."""
    if tokens is None:
        return provenance
    note = f"memory ran out: from then on packs went through the model in parts of at most {tokens:,} tokens"
    return replace(provenance, cut_tokens=tokens, notes=(*provenance.notes, note))
