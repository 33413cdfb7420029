"""Tokens to text as they come: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

_BROKEN = "\N{REPLACEMENT CHARACTER}"  # how tokenizers write bytes that are no whole character (yet)
_LONGEST_TAIL = 16  # tokens that are waited for in vain: a model that writes what is no UTF-8


class Speech:
    """The text of one reply. `text` is what may be shown: it only grows, and never takes anything back.

    Held back are the bytes of a character that isn't whole, and what may turn out to be the beginning of a stop
    string. When a stop string has come up, `stopped` is True and the text ends before it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stops: Sequence[str] = ()) -> None:
        self._tokenizer, self._stops = tokenizer, tuple(stops)
        self.tokens: list[int] = []
        self.text = ""
        self.stopped = False
        self._whole = ""  # all that is decoded, what is held back for stop strings included
        # Tokens before the tail that is decoded again, those whose text is known, and what of the text behind them is.
        self._settled = self._read = self._taken = 0

    def push(self, tokens: Iterable[int]) -> str:
        """Take the reply's next tokens in; what can be shown since."""
        before = len(self.text)
        for token in tokens:
            self.tokens.append(token)
            self._whole += self._decode_tail(last=False)
            self._show(len(self._stops) > 0)
        return self.text[before:]

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
        count = len(self.tokens)
        while self.stopped and count and len(self._decode(self.tokens[:count])) > len(self.text):
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
        known = len(self._decode(self.tokens[self._settled : self._read]))
        text = self._decode(self.tokens[self._settled :])[known:]
        added = text[self._taken :]
        if not text.endswith(_BROKEN) or last or len(self.tokens) - self._read > _LONGEST_TAIL:
            self._settled, self._read, self._taken = self._read, len(self.tokens), 0
            return added
        added = added.rstrip(_BROKEN)
        self._taken += len(added)
        return added

    def _decode(self, tokens: Sequence[int]) -> str:
        text = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert isinstance(text, str)
        return text.replace("\0", _BROKEN)  # no database and no terminal takes a NUL


def _overlap(text: str, stop: str) -> int:
    """The length of the longest beginning of `stop`, less than all of it, that `text` ends with."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
