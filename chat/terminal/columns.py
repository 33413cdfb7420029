"""Two replies beside each other: `proctor chat compare` (a message, two models) and `replay` (a conversation again)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from chat.client.client import Reply, TurnFailed
from chat.protocol.turns import Ending, Piece
from chat.terminal.screen import plain
from proctor.errors import BadInput, ProctorError
from proctor.nouns.conversations import Finish


@dataclass(frozen=True)
class Side:
    """One reply: the text of each token, in order, and how it ended. "" is a token that ends within a character."""

    name: str
    pieces: tuple[str, ...]
    ending: Ending | None = None  # None: of an earlier conversation

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def hear(name: str, reply: Reply) -> Side:
    """A reply to its end. Raises `TurnFailed` where it failed."""
    pieces = [text for entry in reply.entries() if isinstance(entry, Piece) for text in _each_token(entry)]
    if reply.ending is None:
        raise ProctorError("The reply has no ending.")
    if reply.ending.finish is Finish.FAILED:
        raise TurnFailed(reply.ending)
    return Side(name, tuple(pieces), reply.ending)


def first_difference(left: Side, right: Side) -> int | None:
    """The token, from 1, at which two replies part; None where they say the same."""
    for number, (one, other) in enumerate(zip(left.pieces, right.pieces, strict=False), 1):
        if one != other:
            return number
    same = len(left.pieces) == len(right.pieces)
    return None if same else min(len(left.pieces), len(right.pieces)) + 1


def lines(left: Side, right: Side, width: int) -> list[str]:
    """Both in columns, each with its speed beneath, and where they part."""
    column = max(20, (width - 3) // 2)
    rows = [_row(left.name, right.name, column), "-" * column + "-+-" + "-" * column]
    one, other = _wrapped(left.text, column), _wrapped(right.text, column)
    rows += [_row(here, there, column) for here, there in zip_longest(one, other, fillvalue="")]
    rows.append(_row(_speed(left.ending), _speed(right.ending), column))
    return rows


def parting(left: Side, right: Side) -> str:
    """Where two replies part, in words."""
    at = first_difference(left, right)
    if at is None:
        return f"They say the same, in {len(left.pieces)} tokens."
    one, other = (side.pieces[at - 1] if at <= len(side.pieces) else "(its end)" for side in (left, right))
    return f"They differ from token {at}: {plain(one)!r} and {plain(other)!r}."


def _each_token(piece: Piece) -> list[str]:
    """The text of a piece under its first token; those that came with it have none of their own."""
    return [piece.text, *[""] * (len(piece.tokens) - 1)]


def _speed(ending: Ending | None) -> str:
    if ending is None:
        return ""
    counts = ending.counts
    return f"{counts.tokens_out} tokens, {counts.tokens_per_s:.1f} tokens/s, first {counts.first_token_s:.2f} s"


def _wrapped(text: str, column: int) -> list[str]:
    """Lines of at most `column` cells of a terminal, in which wide characters take two."""
    console = Console(width=column)
    return [
        part.plain.rstrip()
        for line in plain(text).expandtabs(4).splitlines()
        for part in Text(line).wrap(console, column) or [Text()]
    ]


def _row(left: str, right: str, column: int) -> str:
    return f"{set_cell_size(left, column)} | {set_cell_size(right, column)}".rstrip()


def names(models: Sequence[str], quants: Sequence[str]) -> tuple[tuple[str, str], tuple[str, str]]:
    """The two that are compared: two models, or one at two quantizations. Raises `BadInput` for anything else."""
    pairs = [(model, quant) for model in models for quant in quants]
    if len(models) == 2 and len(quants) == 2:
        pairs = list(zip(models, quants, strict=True))
    if len(pairs) != 2:
        raise BadInput(
            f"{len(pairs)} to compare; it takes two.", "Give -m twice, or -q twice: -m smollm2 -q none -q 4bit."
        )
    return pairs[0], pairs[1]
