"""A model's chat template and tokenizer as `chat.context.Framing` asks for them: messages to token ids, piece by piece.

A prompt is put together from pieces that are tokenized apart, and from replies as their token ids were generated. So
the prompt of a Turn begins with that of the Turn before it, token by token, and what was computed for that is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from proctor.errors import CantBeAsked
from proctor.exams.prompts import Message
from workers.engine.tokens import Reader

_USER, _REPLY = "?", "0123456789ABCDEF"  # what stands for messages whose frame is wanted


class TemplateFraming:
    """The `Framing` of a loaded model. All methods raise `BadModel` where it has no chat template, but `raw`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def first(self, system: str, user: str) -> Sequence[int]:
        if system:
            said = [Message("system", system), Message("user", user)]
            written = self._reader.template.write(said, datetime.now().astimezone())
            if written.system_read:
                return self._reader.ids(written.text)
        joined = f"{system}\n\n{user}" if system else user
        return self._reader.ids(self._reader.chat([Message("user", joined)]))

    def later(self, user: str) -> Sequence[int]:
        turns = [Message("user", _USER), Message("assistant", _REPLY), Message("user", user)]
        text = self._reader.chat(turns)
        place = text.find(_REPLY)
        if place < 0:
            raise CantBeAsked(self._reader.model, "its chat template leaves replies out")
        return self.text_ids(text[place + len(_REPLY) :])

    def text_ids(self, text: str) -> Sequence[int]:
        found: list[int] = self._reader.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def raw(self, text: str) -> Sequence[int]:
        return self._reader.ids(text)
