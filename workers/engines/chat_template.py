"""A model's chat template: conversations to text, at a moment that is given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime

from proctor.errors import CantBeAsked
from proctor.exams.chat_prompts import (
    CHAT,
    EXAM,
    Habits,
    Message,
    Render,
    RenderedChat,
    Unwritten,
    habits,
    midnight,
    write,
)

INSTEAD_OF_TEMPLATE = "Leave --chat-template out."
INSTEAD_OF_CHAT = "Take an instruct model; /v1/completions takes any."


class ChatTemplate:
    """The chat template of one model, behind what renders it. Raises `CantBeAsked` where there is none, or it fails."""

    def __init__(self, render: Render | None, model: str, source: str = "") -> None:
        self._render, self.model = render, model
        self.source = source  # its text; "" where there is none, or it isn't one
        self._in_parts = False  # how the last conversation was given, which is tried first with the next

    def write(self, messages: Sequence[Message], moment: datetime, looked_at: Collection[str] = EXAM) -> RenderedChat:
        """A conversation as text, up to where the assistant speaks next; see `proctor.exams.chat_prompts.write`."""
        way_out = INSTEAD_OF_CHAT if looked_at == CHAT else INSTEAD_OF_TEMPLATE
        render = self._the_one(way_out)
        try:
            written = write(render, messages, moment, looked_at=looked_at, parts_first=self._in_parts)
        except Unwritten as fault:
            raise CantBeAsked(self.model, str(fault), way_out) from fault
        self._in_parts = written.in_parts
        return written

    def habits(self, *, shots: bool) -> Habits:
        """What it does with any exam."""
        render = self._the_one(INSTEAD_OF_TEMPLATE)
        try:
            return habits(render, shots=shots)
        except Unwritten as fault:
            raise CantBeAsked(self.model, str(fault), INSTEAD_OF_TEMPLATE) from fault

    def _the_one(self, way_out: str) -> Render:
        if self._render is None:
            raise CantBeAsked(self.model, "its tokenizer has no chat template", way_out)
        return self._render


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
