"""A tokenizer's chat template: conversations to text, at a moment that is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

from transformers import PreTrainedTokenizerBase

from proctor.catalog.template import render
from proctor.errors import CantBeAsked
from proctor.exams.chat_prompts import (
    CHAT,
    EXAM,
    Habits,
    Message,
    RenderedChat,
    Turns,
    Unwritten,
    habits,
    midnight,
    write,
)

INSTEAD_OF_TEMPLATE = "Leave --chat-template out."
INSTEAD_OF_CHAT = "Take an instruct model; /v1/completions takes any."


class ChatTemplate:
    """The chat template of one model. All ways to write raise `CantBeAsked` where there is none, or it fails."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, model: str) -> None:
        self._tokenizer, self._model = tokenizer, model
        self._in_parts = False  # how the last conversation was given, which is tried first with the next

    def write(self, messages: Sequence[Message], moment: datetime, looked_at: Collection[str] = EXAM) -> RenderedChat:
        """A conversation as text, up to where the assistant speaks next; see `proctor.exams.chat_prompts.write`."""
        way_out = INSTEAD_OF_CHAT if looked_at == CHAT else INSTEAD_OF_TEMPLATE
        self._check_there_is_one(way_out)
        try:
            written = write(self._render, messages, moment, looked_at=looked_at, parts_first=self._in_parts)
        except Unwritten as fault:
            raise CantBeAsked(self._model, str(fault), way_out) from fault
        self._in_parts = written.in_parts
        return written

    def habits(self, *, shots: bool) -> Habits:
        """What it does with any exam."""
        self._check_there_is_one(INSTEAD_OF_TEMPLATE)
        try:
            return habits(self._render, shots=shots)
        except Unwritten as fault:
            raise CantBeAsked(self._model, str(fault), INSTEAD_OF_TEMPLATE) from fault

    def _check_there_is_one(self, way_out: str) -> None:
        if self._tokenizer.chat_template is None:
            raise CantBeAsked(self._model, "its tokenizer has no chat template", way_out)

    def _render(self, turns: Turns, moment: datetime) -> str:
        return rendered(self._tokenizer, turns, moment)


class ExamChat:
    """The chat template of a Run: every prompt is told the same day, and what it leaves out is remembered."""

    def __init__(self, template: ChatTemplate, day: date, *, shots: bool) -> None:
        self._template, self.day = template, day
        self._habits = template.habits(shots=shots)

    def text(self, messages: Sequence[Message]) -> str:
        """The text of a prompt. Raises `CantBeAsked` also where the question doesn't stand in it."""
        written = self._template.write(messages, midnight(self.day))
        self._habits = Habits(
            self._habits.system_read and written.system_read,
            self._habits.in_parts or written.in_parts,
            self._habits.dated,
        )
        return written.text

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the Run's numbers must know of its prompts."""
        return self._habits.notes(self.day)

    @property
    def told_date(self) -> str:
        """The date that stands in the prompts, "" where none does."""
        return self.day.isoformat() if self._habits.dated else ""


def rendered(tokenizer: PreTrainedTokenizerBase, turns: Turns, moment: datetime, *, opened: bool = True) -> str:
    """What the tokenizer's template writes, as `apply_chat_template` does; errors as of `render`."""
    return render(tokenizer.get_chat_template(), turns, moment, tokenizer.special_tokens_map, opened=opened)
