"""Replies that are struck in their middle, and the look at what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.turns import Entry, Progress, TurnRequest, load_entry, reply_key
from proctor.nouns.conversations import Finish, Role, Sampling, TurnStatus, Utterance
from proctor.nouns.models import ModelRef
from proctor.store.conversations import conversations
from proctor.store.database.session import Store

LONG = 300  # tokens: more than are made before a test has hit the middle; what is asked has no short reply
GREEDY = Sampling(temperature=0, max_tokens=LONG)
DRAWN = Sampling(temperature=1.0, top_p=0.95, seed=11, max_tokens=LONG)


def turn(
    model: ModelRef, sampling: Sampling = GREEDY, said: str = "How far is the moon from the earth?"
) -> TurnRequest:
    return ReplySettings(model.name, sampling=sampling).request(new_id(), [Utterance(Role.USER, said)])


def read_to(reply: Reply, tokens: int) -> Iterator[Entry]:
    """The entries of a reply; this stops where it has so many tokens, and goes on from there when asked again."""
    entries = reply.entries()
    while reply.reader.tokens < tokens:
        next(entries)
    return entries


def rest(entries: Iterator[Entry]) -> None:
    for _ in entries:
        pass


def whole(client: Client, request: TurnRequest) -> Reply:
    reply = client.ask(request)
    rest(reply.entries())
    assert reply.ending is not None
    assert reply.ending.finish is not Finish.FAILED, reply.ending.error
    return reply


def stored(store: Store, reply: Reply) -> tuple[str, int]:
    """A reply in the store: its text, and its tokens."""
    found = conversations.find_turn(store, reply.turn)
    assert found is not None
    assert found.status is TurnStatus.DONE
    return found.content, len(found.token_ids)


def is_done(store: Store, reply: Reply) -> bool:
    found = conversations.find_turn(store, reply.turn)
    return found is not None and found.status is TurnStatus.DONE


def told(client: Client, reply: Reply) -> list[tuple[int, Entry]]:
    """All that stands in a reply's stream, each with the attempt that wrote it."""
    entries: Any = client.redis.xrange(reply_key(reply.turn))
    return [(int(entry.partition(b"-")[0]), load_entry(fields)) for entry, fields in entries]


def first_worker(client: Client, reply: Reply) -> str:
    """The name of the worker that began it."""
    return next(entry.worker for _, entry in told(client, reply) if isinstance(entry, Progress) and entry.worker)


def ended(reply: Reply) -> Finish:
    assert reply.ending is not None
    return reply.ending.finish


def attempts(client: Client, reply: Reply) -> set[int]:
    return {attempt for attempt, _ in told(client, reply)}


def struck(
    client: Client, request: TurnRequest, blow: Callable[[Reply], object], fell: Callable[[Reply], bool], tries: int = 5
) -> Reply:
    """A whole reply that was struck behind its 20th token; asked for again where it had ended before the blow fell."""
    for _ in range(tries):
        reply = client.ask(replace(request, turn=new_id(), conversation=new_id()))
        entries = read_to(reply, 20)
        blow(reply)
        rest(entries)
        if fell(reply):
            return reply
    raise AssertionError(f"a reply of {LONG} tokens had ended {tries} times before it was struck")
