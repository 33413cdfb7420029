"""What a client may ask about conversations besides a reply: one question, one answer, over the broker alone.

A client sends `LPUSH chat.inquiries <Inquiry as JSON>` and waits for `chat.answer.<id>` (a list of one entry, JSON of
the answer's dataclass; `Refusal` where it can't be answered). Any worker takes inquiries with BRPOP and answers from
the store with `chat.library.answer`. Both keys have an expiry: a question that nobody took is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chat.protocol import check_id
from proctor.errors import BadInput

INQUIRIES = "chat.inquiries"
INQUIRY_S, ANSWER_S = 60, 60  # expiries, seconds
MAX_ANSWERS = 500


class What(StrEnum):
    """The questions."""

    CONVERSATIONS = "conversations"  # newest first; with `text` those in which it was said
    CONVERSATION = "conversation"  # all of one
    UNDO_SUMMARY = "undo_summary"  # of the number `summary`; again: nothing changes
    LANES = "lanes"  # what workers hold now


@dataclass(frozen=True)
class Inquiry:
    """A question. `conversation` may be a beginning of an id that is one conversation's only."""

    id: str
    what: What
    conversation: str = ""
    text: str = ""
    summary: int = 0
    limit: int = 50

    def __post_init__(self) -> None:
        check_id("inquiry", self.id)
        if self.conversation:
            check_id("conversation", self.conversation)
        if len(self.text) > 1000:
            raise BadInput(f"A search for {len(self.text):,} characters is above 1,000.")
        if not 1 <= self.limit <= MAX_ANSWERS:
            raise BadInput(f"{self.limit} is not between 1 and {MAX_ANSWERS}.")


def answer_key(inquiry_id: str) -> str:
    return f"chat.answer.{inquiry_id}"
