"""The work behind `proctor chat compare` and `proctor chat replay`: the same words to two models, side by side."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace

import click

from chat.client.client import Manner, new_id
from chat.client.connect import connected, read_settings, story_of, worker_devices
from chat.client.session import Talk, manner_of
from chat.protocol.inquiries import Inquiry, What
from chat.terminal.columns import Side, hear, lines, names, parting
from chat.terminal.commands import history_name
from chat.terminal.start import Wish
from proctor.errors import BadInput
from proctor.nouns.conversations import Role, Turn, Utterance, path_to
from proctor.nouns.models import Quant
from proctor.signals import ended_by_signals


@dataclass(frozen=True)
class Rivals:
    """What is compared: two models, or one at two quantizations."""

    models: tuple[str, ...]
    quants: tuple[str, ...]
    wish: Wish  # all else, the same for both


def compare(rivals: Rivals, text: str) -> None:
    """Say one message to two at the same time, and show both replies. Raises `TurnFailed` where one failed."""
    pairs = names(rivals.models, rivals.quants)
    manner = rivals.wish.manner(Manner(rivals.models[0]))
    with ended_by_signals(), connected(read_settings(os.environ), _say, worker_devices(rivals.wish.device)) as place:
        manners = [replace(manner, model=model, quant=Quant(quant)) for model, quant in pairs]
        replies = [place.client.ask(each.request(new_id(), [Utterance(Role.USER, text)])) for each in manners]
        left, right = (hear(_name(each), reply) for each, reply in zip(manners, replies, strict=True))
    show(left, right)


def replay(conversation: str, wish: Wish) -> None:
    """Say what the user said in a conversation once more, in another manner, and show both replies to each.

    What the wish leaves open is for each message what it was then: sampling with its seed, and history. The replay is a
    conversation of its own, so that the first goes on where it did. Raises `TurnFailed`.
    """
    with ended_by_signals(), connected(read_settings(os.environ), _say, worker_devices(wish.device)) as place:
        story = story_of(place.ask(Inquiry(new_id(), What.CONVERSATION, conversation)))
        path = path_to(story.turns, story.last_turn_id)
        if not any(turn.role is Role.USER for turn in path):
            raise BadInput(f"Nobody said anything in conversation {story.id}.")
        before = manner_of(story, Manner("smollm2"))
        talk = Talk(place.client, wish.manner(before))
        for turn, reply in _exchanges(path):
            if turn.role is Role.SYSTEM:
                talk.set_system(turn.content)
                continue
            if reply is not None:
                then = replace(before, sampling=replace(reply.sampling, rivals=None), history=reply.history)
                talk.manner = wish.manner(then)
            again = talk.say(turn.content)
            right = hear(_name(talk.manner), again)
            talk.ended(again)
            click.echo(click.style(f"> {turn.content}", bold=True))
            show(_earlier(reply), right)
    _say(f"kept as conversation {talk.conversation}")


def show(left: Side, right: Side) -> None:
    """Both in columns as wide as the terminal, and where they part."""
    for line in lines(left, right, shutil.get_terminal_size((100, 24)).columns):
        click.echo(line)
    if left.ending and right.ending:
        click.echo(parting(left, right))
    elif left.text == right.text:
        click.echo("They say the same.")
    click.echo()


def _exchanges(path: tuple[Turn, ...]) -> list[tuple[Turn, Turn | None]]:
    """What was said to the model, each with the reply that followed."""
    after = {turn.parent_id: turn for turn in path if turn.role is Role.ASSISTANT}
    return [(turn, after.get(turn.id)) for turn in path if turn.role is not Role.ASSISTANT]


def _earlier(reply: Turn | None) -> Side:
    if reply is None:
        return Side("(no reply)", ())
    return Side(f"{reply.lane} (earlier)", (reply.content,))


def _name(manner: Manner) -> str:
    return f"{manner.model} {manner.quant}, history {history_name(manner.history)}"


def _say(text: str) -> None:
    click.echo(text, err=True)
