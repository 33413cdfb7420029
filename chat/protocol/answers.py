"""Answers inquiries from the store: for workers, on behalf of clients that reach the broker alone."""

from __future__ import annotations

from chat.protocol.inquiries import Answer, HeldLane, Inquiry, InquiryKind
from proctor.errors import ProctorError
from proctor.nouns.conversations import Conversation, ListedConversation
from proctor.store.conversations import conversations
from proctor.store.database.session import Store
from proctor.store.runs import workers
from proctor.wire import from_json, to_json


def reply_to(store: Store, text: str | bytes) -> tuple[str, str] | None:
    """The inquiry's id and its `Answer` as JSON; None for what is no inquiry, to which nobody waits for an answer."""
    try:
        inquiry = from_json(Inquiry, text)
    except ProctorError:
        return None
    return inquiry.id, to_json(answer(store, inquiry))


def answer(store: Store, inquiry: Inquiry) -> Answer:
    """What the store knows. A refusal is an answer too: it says why."""
    try:
        match inquiry.what:
            case InquiryKind.CONVERSATIONS:
                return Answer(conversations=_listing(store, inquiry))
            case InquiryKind.CONVERSATION:
                return Answer(story=conversations.load(store, inquiry.conversation))
            case InquiryKind.UNDO_SUMMARY:
                return Answer(story=_undo(store, inquiry))
            case InquiryKind.LANES:
                return Answer(held=_held(store))
    except ProctorError as error:
        return Answer(error=str(error))


def _listing(store: Store, inquiry: Inquiry) -> tuple[ListedConversation, ...]:
    return tuple(conversations.listing(store, text=inquiry.text, limit=inquiry.limit))


def _undo(store: Store, inquiry: Inquiry) -> Conversation:
    """The conversation after its summary was taken back; asked again, nothing more is."""
    found = conversations.load(store, inquiry.conversation)
    in_use = [row.id for row in found.summaries if row.undone_at is None]
    if in_use and in_use[-1] == inquiry.summary:
        conversations.undo_summary(store, found.id)
    return conversations.load(store, found.id)


def _held(store: Store) -> tuple[HeldLane, ...]:
    return tuple(
        HeldLane(row.card.name, row.card.device_name, str(row.held) if row.held else "")
        for row in workers.listing(store)
        if row.alive
    )
