"""What a client has heard of a reply, and what of the next entry is new. Pure; both clients are built on it.

Entries may come twice (another worker took over, the broker came back empty, the client asked again): whoever listens
here gets each token and each character once, in order (tests/unit/chat/client/test_reader.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chat.protocol.turns import Ending, Entry, Piece, load_entry

BEGINNING = "0-0"  # XREAD from here hears a stream from its first entry
QUIET_S = 8.0  # silence after which a client looks whether the stream is still there


@dataclass
class ReplyReader:
    """One reply as it comes. `last_id` is where to read on from."""

    last_id: str = BEGINNING
    tokens: int = 0
    ending: Ending | None = None
    accepted: bool = False  # some worker knows of the Turn
    _texts: list[str] = field(default_factory=list)
    _characters: int = 0

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def take(self, entry_id: str, entry: Entry) -> Entry | None:
        """What is new in an entry; None: nothing, or a part is missing before it (`last_id` is then the beginning)."""
        self.accepted = True
        if not isinstance(entry, Piece):
            self.last_id = entry_id
            self.ending = entry if isinstance(entry, Ending) else self.ending
            return entry
        if entry.at_token > self.tokens or entry.at_character > self._characters:
            self.start_over()
            return None
        self.last_id = entry_id
        known = self.tokens - entry.at_token
        tokens, text = entry.tokens[known:], entry.text[self._characters - entry.at_character :]
        if not tokens and not text:
            return None
        fresh = replace(
            entry,
            at_token=self.tokens,
            at_character=self._characters,
            tokens=tokens,
            text=text,
            scores=entry.scores[known:],
        )
        self.tokens += len(tokens)
        self._characters += len(text)
        self._texts.append(text)
        return fresh

    def take_all(self, found: Any) -> list[Entry]:
        """What is new in an answer to XREAD of one stream (RESP 2; None after a block in vain)."""
        fresh: list[Entry] = []
        heard: Sequence[Any] = found[0][1] if found else ()
        for entry_id, fields in heard:
            entry = self.take(entry_id.decode(), load_entry(fields))
            if entry is not None:
                fresh.append(entry)
            elif self.last_id == BEGINNING:  # a part is missing: the next XREAD starts over
                break
        return fresh

    def start_over(self) -> None:
        """Hear the stream from its beginning: it may not be the one that was heard before."""
        self.last_id = BEGINNING
