"""A conversation as text, by a model's own chat template, and whether what was given stands in what came out. Pure.

A template is a program of the model's authors. Some refuse a system message (Gemma, the first Mistral), some leave it
out without a word, some want the text of a message as a list of parts and write nothing for a string. Each prompt is
looked at: what the user and the assistant say must stand in it, in their order, or it isn't put to the model.

A system message that is refused is left out, as lm-evaluation-harness does it (`HFLM.apply_chat_template`); one that
the template leaves out by itself is missing there as well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from proctor.errors import TemplateOverran

Turns = Sequence[Mapping[str, object]]  # as templates take them: `role` and `content`
Render = Callable[[Turns, datetime], str]  # a template, at the moment that it is told; raises whatever it raises
NO_SYSTEM = (
    "its chat template has no place for a system message: the description is left out, as lm-evaluation-harness does"
)
IN_PARTS = (
    "its chat template takes text as a list of parts only: lm-evaluation-harness gives strings, which it leaves out"
)
EXAM = ("user", "assistant")  # roles whose words must stand in the prompt of an exam
CHAT = ("user",)  # in a conversation: templates leave earlier thoughts out of replies
_MARKS = ("An exam on numbers.", "What is 8 + 9?", "It is 17.", "What is 11 + 12?")


@dataclass(frozen=True)
class Message:
    """One message of a chat; `role` is system, user or assistant."""

    role: str
    content: str


class Unwritten(Exception):
    """A template that fails, or leaves out what it is given; the text says which, for `CantBeAsked`."""


@dataclass(frozen=True)
class RenderedChat:
    """A conversation as text."""

    text: str
    system_read: bool  # whether the system's message stands in it; True where there is none
    in_parts: bool  # whether the template was given lists of parts


@dataclass(frozen=True)
class Habits:
    """What a template does with any exam."""

    system_read: bool
    in_parts: bool
    dated: bool  # whether it writes the date that it is told

    def notes(self, day: date) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        said = [(not self.system_read, NO_SYSTEM), (self.in_parts, IN_PARTS), (self.dated, told_date(day))]
        return tuple(note for holds, note in said if holds)


def told_date(day: date) -> str:
    return f"its chat template is told the date {day.isoformat()}"


def midnight(day: date) -> datetime:
    """The moment that the templates of an exam are told: the day's beginning."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def write(
    render: Render,
    messages: Sequence[Message],
    moment: datetime,
    *,
    looked_at: Collection[str] = EXAM,
    parts_first: bool = False,
) -> RenderedChat:
    """The text of a conversation, up to where the assistant speaks next.

    Messages are given as strings, then as lists of parts; with the system's, then without it where that fails.

    Raises
    ------
    Unwritten
        where the template fails each time, takes too much, or leaves out what those of `looked_at` say.
    """
    faults: list[str] = []
    for in_parts in (parts_first, not parts_first):
        for said in _with_and_without_system(messages):
            try:
                text = render([_turn(message, in_parts=in_parts) for message in said], moment)
            except TemplateOverran as fault:  # and would again
                raise Unwritten(str(fault)) from fault
            except Exception as error:  # noqa: BLE001 -- a template raises what it likes; the reason is told
                faults.append(f"its chat template fails: {error}")
                continue
            missing = first_missing(text, [message for message in said if message.role in looked_at])
            if missing is None:
                system = [message for message in messages if message.role == "system"]
                return RenderedChat(text, first_missing(text, system) is None, in_parts)
            faults.append(f"its chat template leaves out what it is given ({missing.content[:60]!r})")
            break
    raise Unwritten(faults[0])


def first_missing(text: str, messages: Sequence[Message]) -> Message | None:
    """The first message whose content doesn't stand in `text` behind that of the message before it.

    White space doesn't count, as many templates strip it; a template may write content as JSON.
    """
    rest = _squeezed(text)
    for message in messages:
        content = message.content
        as_json = (json.dumps(content, ensure_ascii=ascii_only)[1:-1] for ascii_only in (False, True))
        spellings = [_squeezed(spelled) for spelled in (content, *as_json)]
        ends = [place + len(one) for one in spellings if (place := rest.find(one)) >= 0]
        if not ends:
            return message
        rest = rest[min(ends) :]
    return None


def habits(render: Render, *, shots: bool) -> Habits:
    """What a template does with exams, tried on a small one, with an example where `shots`. Raises as `write`."""
    system, question, answer, last = _MARKS
    example = (Message("user", question), Message("assistant", answer)) if shots else ()
    messages = (Message("system", system), *example, Message("user", last))
    written = write(render, messages, datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC))
    later = write(render, messages, datetime(2012, 11, 10, 19, 18, 17, tzinfo=UTC))
    return Habits(written.system_read, written.in_parts, dated=written.text != later.text)


def _with_and_without_system(messages: Sequence[Message]) -> list[Sequence[Message]]:
    without = [message for message in messages if message.role != "system"]
    return [messages] if len(without) in (0, len(messages)) else [messages, without]


def _turn(message: Message, *, in_parts: bool) -> dict[str, object]:
    content = [{"type": "text", "text": message.content}] if in_parts else message.content
    return {"role": message.role, "content": content}


def _squeezed(text: str) -> str:
    return "".join(text.split())
