"""Conversations to token ids, by a model's chat template and tokenizer, as `chat.context.window` asks for them.

A conversation is what the template writes of all of it: some leave earlier thoughts out of history, put the system's
message into the last question, or write a space that the opening of a reply doesn't have. Where the template's text is
that of its pieces, replies stand in it as their token ids were generated: the prompt of a Turn then begins with that of
the Turn before it, token by token, and what was computed for that is used. Whether pieces that are tokenized apart make
the tokens of the whole is tried once a model; whether they make its text, with each prompt.

Where the template has no place for the system's message (it refuses it, or leaves it out), that stands in front of the
user's first. Where it refuses messages of one speaker in a row, they are one, with an empty line between; where it
refuses a conversation that the assistant begins, an empty message of the user stands before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from chat.context.window import BETWEEN, Exchange
from proctor.errors import CantBeAsked
from proctor.exams.chat_prompts import CHAT, Message
from workers.engines.base import Tokenizer

_USER, _REPLY = "?", "0123456789ABCDEF"  # what stands for messages whose frame is wanted
_TRIAL = ("Be brief.", "What turns?", "It turns once. Why?", "And then?", "Nothing does!", "Go on.")


class TemplateRenderer:
    """The `PromptRenderer` of a loaded model. Raises `CantBeAsked` where its chat template is absent or fails."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @cached_property
    def has_system_role(self) -> bool:
        """Whether the template has a place for a system message; tried once."""
        said = [Message("system", _REPLY), Message("user", _USER)]
        return self._tokenizer.template.write(said, _now(), CHAT).system_read

    def prompt(self, system: str, exchanges: Sequence[Exchange], users: Sequence[str]) -> Sequence[int]:
        moment = _now()
        whole = self._whole(system, exchanges, users, moment)
        pieces = self._pieces(system, exchanges, users, moment)
        replies = [exchange.reply for exchange in exchanges]
        glued = "".join(text for pair in zip(pieces, [*replies, ""], strict=True) for text in pair) if pieces else None
        if whole != glued or not self._glues:
            return self._tokenizer.ids(whole)
        return self._glue(pieces, [exchange.reply_ids for exchange in exchanges])

    def text_ids(self, text: str) -> Sequence[int]:
        return self._tokenizer.text_ids(text)

    def raw(self, text: str) -> Sequence[int]:
        return self._tokenizer.ids(text)

    @cached_property
    def _glues(self) -> bool:
        """Whether two exchanges in pieces have the tokens of the whole; tried once."""
        system, *said, last = _TRIAL
        exchanges = [
            Exchange(number, (user,), reply, tuple(self.text_ids(reply)))
            for number, (user, reply) in enumerate(zip(said[::2], said[1::2], strict=True), 1)
        ]
        moment = _now()
        pieces = self._pieces(system, exchanges, [last], moment)
        whole = self._tokenizer.ids(self._whole(system, exchanges, [last], moment))
        return list(whole) == list(self._glue(pieces, [exchange.reply_ids for exchange in exchanges]))

    def _glue(self, pieces: Sequence[str], replies: Sequence[Sequence[int]]) -> Sequence[int]:
        ids = list(self._tokenizer.ids(pieces[0]))
        for reply, piece in zip(replies, pieces[1:], strict=True):
            ids += [*reply, *self.text_ids(piece)]
        return ids

    def _pieces(
        self, system: str, exchanges: Sequence[Exchange], users: Sequence[str], moment: datetime
    ) -> Sequence[str]:
        """What stands before, between and behind the replies; nothing where two messages in a row have one speaker."""
        asked = [*(exchange.users for exchange in exchanges), tuple(users)]
        if any(len(said) != 1 for said in asked):
            return ()
        first = self._whole(system, (), asked[0], moment)
        return [first, *(self._later(said, moment) for (said,) in asked[1:])]

    def _later(self, user: str, moment: datetime) -> str:
        """From the end of a reply to the opening of the next, with a message of the user between."""
        turns = [Message("user", _USER), Message("assistant", _REPLY), Message("user", user)]
        text = self._tokenizer.template.write(turns, moment, CHAT).text
        place = text.find(_REPLY)
        if place < 0:
            raise CantBeAsked(self._tokenizer.template.model, "its chat template leaves replies out")
        return text[place + len(_REPLY) :]

    def _whole(self, system: str, exchanges: Sequence[Exchange], users: Sequence[str], moment: datetime) -> str:
        """The template's own text. Raises `CantBeAsked` with what it said of the messages as they came."""
        refused: CantBeAsked | None = None
        for said in _shapes(exchanges, users):
            messages = self._with_system(system, said)
            if not messages:
                continue
            try:
                written = self._tokenizer.template.write(messages, moment, CHAT)
                if written.system_read:
                    return written.text
                return self._tokenizer.template.write(_in_front(system, said), moment, CHAT).text
            except CantBeAsked as fault:
                refused = refused or fault
        assert refused is not None  # the last shape has a message of the user
        raise refused

    def _with_system(self, system: str, said: Sequence[Message]) -> Sequence[Message]:
        if not system:
            return said
        return [Message("system", system), *said] if self.has_system_role else _in_front(system, said)


def _shapes(exchanges: Sequence[Exchange], users: Sequence[str]) -> list[list[Message]]:
    """The conversation as it was said; then with one message for those of one speaker in a row, the user's first."""
    as_said: list[Message] = []
    in_turn: list[Message] = []
    for exchange in exchanges:
        as_said += [*(Message("user", user) for user in exchange.users), Message("assistant", exchange.reply)]
        in_turn += [Message("user", BETWEEN.join(exchange.users)), Message("assistant", exchange.reply)]
    as_said += [Message("user", user) for user in users]
    in_turn.append(Message("user", BETWEEN.join(users)))
    return [as_said] if as_said == in_turn else [as_said, in_turn]


def _in_front(system: str, said: Sequence[Message]) -> list[Message]:
    """The system's message in front of the user's first."""
    place = next((n for n, message in enumerate(said) if message.role == "user"), None)
    if place is None:
        return [Message("user", system), *said]
    text = said[place].content
    joined = Message("user", f"{system}{BETWEEN}{text}" if text else system)
    return [*said[:place], joined, *said[place + 1 :]]


def _now() -> datetime:
    """What templates are told: the day, which is the same from Turn to Turn."""
    return datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
