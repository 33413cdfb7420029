"""The work behind `proctor chat compare` and `proctor chat replay`: the same words to two models, side by side."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace

import click

from chat.client.client import ReplySettings, new_id
from chat.client.connect import connected, read_settings, story_of, worker_devices
from chat.client.session import ChatSession, settings_of
from chat.protocol.inquiries import Inquiry, InquiryKind
from chat.terminal.columns import Side, hear, lines, names, parting
from chat.terminal.commands import history_name
from chat.terminal.start import ChatOptions
from proctor.errors import BadInput
from proctor.nouns.conversations import Role, Turn, Utterance, path_to
from proctor.nouns.models import Quant
from proctor.signals import interruptible


@dataclass(frozen=True)
class ModelPair:
    """What is compared: two models, or one at two quantizations."""

    models: tuple[str, ...]
    quants: tuple[str, ...]
    options: ChatOptions  # all else, the same for both


def compare(rivals: ModelPair, text: str) -> None:
    """Say one message to two at the same time, and show both replies. Raises `TurnFailed` where one failed."""
    pairs = names(rivals.models, rivals.quants)
    reply_settings = rivals.options.reply_settings(ReplySettings(rivals.models[0]))
    with interruptible(), connected(read_settings(os.environ), _say, worker_devices(rivals.options.device)) as place:
        manners = [replace(reply_settings, model=model, quant=Quant(quant)) for model, quant in pairs]
        replies = [place.client.ask(each.request(new_id(), [Utterance(Role.USER, text)])) for each in manners]
        left, right = (hear(_name(each), reply) for each, reply in zip(manners, replies, strict=True))
    show(left, right)


def replay(conversation: str, options: ChatOptions) -> None:
    """Say what the user said in a conversation once more, in another manner, and show both replies to each.

    What the wish leaves open is for each message what it was then: sampling with its seed, and history. The replay is a
    conversation of its own, so that the first goes on where it did. Raises `TurnFailed`.
    """
    with interruptible(), connected(read_settings(os.environ), _say, worker_devices(options.device)) as place:
        story = story_of(place.ask(Inquiry(new_id(), InquiryKind.CONVERSATION, conversation)))
        path = path_to(story.turns, story.last_turn_id)
        if not any(turn.role is Role.USER for turn in path):
            raise BadInput(f"Nobody said anything in conversation {story.id}.")
        before = settings_of(story, ReplySettings("smollm2"))
        talk = ChatSession(place.client, options.reply_settings(before))
        for turn, reply in _exchanges(path):
            if turn.role is Role.SYSTEM:
                talk.set_system(turn.content)
                continue
            if reply is not None:
                then = replace(before, sampling=replace(reply.sampling, rivals=None), history=reply.history)
                talk.reply_settings = options.reply_settings(then)
            again = talk.say(turn.content)
            right = hear(_name(talk.reply_settings), again)
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


def _name(reply_settings: ReplySettings) -> str:
    return f"{reply_settings.model} {reply_settings.quant}, history {history_name(reply_settings.history)}"


def _say(text: str) -> None:
    click.echo(text, err=True)
