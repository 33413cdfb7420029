"""The detokenizer: tokens to text as they come, whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

_BROKEN = "\N{REPLACEMENT CHARACTER}"  # how tokenizers write bytes that are no whole character (yet)
_LONGEST_TAIL = 16  # tokens that are waited for in vain: a model that writes what is no UTF-8
_BEHIND = 8  # tokens of the prompt that a reply is decoded behind; more where those begin inside a character


class Decode(Protocol):
    """A tokenizer's way back to text: see `workers.engines.base.Tokenizer.decode`."""

    def __call__(self, tokens: Sequence[int], *, specials: bool = True) -> str: ...


class Detokenizer:
    """The text of one reply. `text` is what may be shown: it only grows, and never takes anything back.

    Held back are the bytes of a character that isn't whole, and what may turn out to be the beginning of a stop
    string. When a stop string has come up, `stopped` is True and the text ends before it.

    `behind` is the text that the reply goes on with, as tokens: a prompt without a template, a reply that was opened
    before. Its first word then keeps the space before it, which SentencePiece takes off the beginning of a text.
    """

    def __init__(self, decode: Decode, stops: Sequence[str] = (), behind: Sequence[int] = ()) -> None:
        self._decode_all, self._stops = decode, tuple(stops)
        self.tokens: list[int] = []
        self.added = ""  # by the newest token: "" where it ends inside a character, all of it where it ends one
        self.text = ""
        self.stopped = False
        self._whole = ""  # all that is decoded, what is held back for stop strings included
        self._row = self._end_of(behind)  # that, then the reply's tokens
        # Tokens before the tail that is decoded again, those whose text is known, and what of the text behind them is.
        self._settled, self._read, self._taken = 0, len(self._row), 0

    def push(self, tokens: Iterable[int]) -> str:
        """Take the reply's next tokens in; what can be shown since."""
        before = len(self.text)
        for token in tokens:
            self.tokens.append(token)
            self._row.append(token)
            self.added = self._decode_tail(last=False)
            self._whole += self.added
            self._show(len(self._stops) > 0)
        return self.text[before:]

    def spell(self, token: int) -> str:
        """What the text would get from this token as its next one; a part of a character is a replacement character.

        A special token, which no text gets anything from, is spelled by its name.
        """
        return self._tail([*self._row, token])[self._taken :] or self._decode_all([token])

    def end(self) -> str:
        """The reply is over: what was held back and is to be shown after all."""
        before = len(self.text)
        if not self.stopped:
            self._whole += self._decode_tail(last=True)
            self._show(hold=False)
        return self.text[before:]

    @property
    def whole_tokens(self) -> int:
        """How many of the tokens the text has room for: all, unless a stop string has cut some of them off."""
        count, behind = len(self.tokens), len(self._row) - len(self.tokens)
        room = len(self._decode(self._row[:behind])) + len(self.text)
        while self.stopped and count and len(self._decode(self._row[: behind + count])) > room:
            count -= 1
        return count

    def _show(self, hold: bool) -> None:
        if self.stopped:
            return
        found = [place for stop in self._stops if (place := self._whole.find(stop, self._earliest(stop))) >= 0]
        if found:
            self.stopped, self.text = True, self._whole[: min(found)]
            return
        held = max((_overlap(self._whole, stop) for stop in self._stops), default=0) if hold else 0
        self.text = self._whole[: len(self._whole) - held]

    def _earliest(self, stop: str) -> int:
        """Where a stop string that isn't found yet can begin: what was shown before held none of it."""
        return max(0, len(self.text) - len(stop))

    def _decode_tail(self, *, last: bool) -> str:
        """The text that the newest tokens add, without the beginning of a character unless no more can follow.

        It is decoded behind a few earlier tokens: some tokenizers write a word by what stands before it.
        """
        text = self._tail(self._row)
        added = text[self._taken :]
        if not text.endswith(_BROKEN) or last or len(self._row) - self._read > _LONGEST_TAIL:
            self._settled, self._read, self._taken = self._read, len(self._row), 0
            return added
        added = added.rstrip(_BROKEN)
        self._taken += len(added)
        return added

    def _tail(self, row: Sequence[int]) -> str:
        """The text of a row's tokens from the first that isn't read yet."""
        known = len(self._decode(row[self._settled : self._read]))
        return self._decode(row[self._settled :])[known:]

    def _end_of(self, behind: Sequence[int]) -> list[int]:
        """A few of these tokens, as near to their end as whole characters are: what a word is written behind."""
        end = list(behind[-8 * _BEHIND :])
        while end and self._decode(end).endswith(_BROKEN):
            del end[-1]
        for size in range(min(_BEHIND, len(end)), len(end) + 1):
            text = self._decode(end[-size:])
            if text and not text.startswith(_BROKEN):
                return end[-size:]
        return []

    def _decode(self, tokens: Sequence[int]) -> str:
        text = self._decode_all(tokens, specials=False)
        return text.replace("\0", _BROKEN)  # no database and no terminal takes a NUL


def _overlap(text: str, stop: str) -> int:
    """The length of the longest beginning of `stop`, less than all of it, that `text` ends with."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
