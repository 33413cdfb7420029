"""Packing without padding: a pack in one row, without the shared prefix, each option of several tokens as a branch.

    [question 0 after the prefix][its branches …][question 1 after the prefix][its branches …] …

Positions restart at the prefix's end for every question, and at the question's end for each of its branches. Pure:
token ids in, token ids out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workers.engines.generation import common_beginning
from workers.engines.hf.scoring.layout import Segment
from workers.engines.scoring import EncodedPrompt


@dataclass(frozen=True)
class WantedLogits:
    """One token whose probability is wanted: `token` after the row's token `reads[read]`."""

    member: int
    option: int
    read: int
    token: int


@dataclass(frozen=True)
class PackedRow:
    """A pack as the model reads it."""

    tokens: tuple[int, ...]
    positions: tuple[int, ...]  # of each token in its own full prompt
    segments: tuple[Segment, ...]  # one a member, in order; their lengths add up to the row's
    reads: tuple[int, ...]  # indexes into the row, rising, whose logits are needed
    wanted: tuple[WantedLogits, ...]


def common_length(prompts: Sequence[EncodedPrompt]) -> int:
    """How many tokens all these prompts begin with, short of the last token of the shortest: 0 or more.

    It is found on the ids of full prompts. The text of a common beginning, tokenized alone, may end in other tokens.
    """
    stems = [stem(prompt) for prompt in prompts]
    shortest = min(len(one) for one in stems)
    return min(common_beginning(min(stems), max(stems)), shortest - 1)


def stem(prompt: EncodedPrompt) -> tuple[int, ...]:
    """The tokens that all lines of a prompt read before what is scored; at least 1.

    They are all of the prompt, unless each option has a prompt of its own.
    """
    unscored = [option.line[: len(option.line) - option.scored] for option in prompt.options]
    first, last = min(unscored), max(unscored)
    return first[: common_beginning(first, last)]


def length_of(prompt: EncodedPrompt, shared: int) -> int:
    """Tokens that a prompt adds to a row whose prefix has `shared` tokens."""
    own = len(stem(prompt))
    return own - shared + sum(len(option.line) - own - 1 for option in prompt.options)


def row_of(members: Sequence[EncodedPrompt], shared: int) -> PackedRow:
    """The row that scores these prompts behind a prefix of `shared` tokens."""
    tokens: list[int] = []
    positions: list[int] = []
    segments: list[Segment] = []
    reads: list[int] = []
    wanted: list[WantedLogits] = []
    for m, member in enumerate(members):
        own = stem(member)
        tokens += own[shared:]
        positions += range(shared, len(own))
        end = len(reads)
        reads.append(len(tokens) - 1)
        for o, option in enumerate(member.options):
            branch = option.line[len(own) :]
            scored = range(len(branch) - option.scored, len(branch))
            if 0 in scored:
                wanted.append(WantedLogits(m, o, end, branch[0]))
            rest = scored[1:] if 0 in scored else scored
            wanted += (WantedLogits(m, o, len(reads) + n, branch[place]) for n, place in enumerate(rest))
            reads += (len(tokens) + place - 1 for place in rest)
            tokens += branch[:-1]
            positions += range(len(own), len(option.line) - 1)
        branches = tuple(
            length for option in member.options if (length := len(option.line) - len(own) - 1) > 0
        )  # fmt: skip
        segments.append(Segment(len(own) - shared, branches))
    return PackedRow(tuple(tokens), tuple(positions), tuple(segments), tuple(reads), tuple(wanted))
