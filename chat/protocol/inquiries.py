"""What a client may ask about conversations besides a reply: one question, one answer, over the broker alone.

A client sends `LPUSH chat.inquiries <Inquiry as JSON>` and waits for the list `chat.answer.<id>`: one entry, `Answer`
as JSON. Any worker takes inquiries with BRPOP and answers with `chat.protocol.answers.answer`, from the store. Both
keys have an expiry, and a question that nobody answers is asked again: answering twice does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chat.protocol.turns import check_id
from proctor.errors import BadInput, ProctorError
from proctor.nouns.conversations import Conversation, ListedConversation
from proctor.wire import from_json

INQUIRIES = "chat.inquiries"
INQUIRY_S, ANSWER_S = 60, 60  # expiries, seconds
MAX_ANSWERS = 500


class InquiryKind(StrEnum):
    """The questions."""

    CONVERSATIONS = "conversations"  # newest first; with `text` those in which it was said
    CONVERSATION = "conversation"  # all of one
    UNDO_SUMMARY = "undo_summary"  # of the number `summary`; again: nothing changes
    LANES = "lanes"  # what workers hold now


@dataclass(frozen=True)
class Inquiry:
    """A question. `conversation` may be a beginning of an id that is one conversation's only."""

    id: str
    what: InquiryKind
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


@dataclass(frozen=True)
class HeldLane:
    """A worker that is alive, and the lane that it holds; "" where it holds none."""

    worker: str
    device_name: str
    lane: str


@dataclass(frozen=True)
class Answer:
    """What came of an inquiry: the one field that its `InquiryKind` names, or the reason why not."""

    conversations: tuple[ListedConversation, ...] = ()
    story: Conversation | None = None
    held: tuple[HeldLane, ...] = ()
    error: str = ""


class Unanswered(ProctorError):
    """An inquiry that can't be answered, with the worker's reason."""


def load_answer(text: str | bytes) -> Answer:
    """An answer as it came. Raises `Unanswered` where it is a refusal, `BadMessage` where it is no answer."""
    answer = from_json(Answer, text)
    if answer.error:
        raise Unanswered(answer.error)
    return answer


def answer_key(inquiry_id: str) -> str:
    return f"chat.answer.{inquiry_id}"
