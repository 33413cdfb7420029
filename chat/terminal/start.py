"""From the command line into a conversation: `proctor chat`, at a terminal or in a pipe."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from chat.client.client import ReplySettings, new_id
from chat.client.connect import (
    Connection,
    check_model,
    connected,
    device_of,
    read_settings,
    server_of,
    story_of,
    worker_devices,
)
from chat.client.session import ChatSession, settings_of
from chat.protocol.inquiries import Inquiry, InquiryKind
from chat.terminal import loop
from chat.terminal.commands import HISTORIES, TerminalSession, history_name
from chat.terminal.screen import Screen
from proctor.catalog.endpoint import Endpoint
from proctor.errors import BadInput
from proctor.nouns.conversations import Conversation, Role, path_to
from proctor.nouns.models import Device, Quant
from proctor.signals import interruptible

DEFAULT_MODEL = "smollm2"
MAX_PIPED_BYTES = 1 << 20


@dataclass(frozen=True)
class ChatOptions:
    """What a person asked for on the command line; None where they said nothing."""

    model: str | None = None
    quant: str | None = None
    device: str = "auto"
    continue_last: bool = False
    resume: str | None = None
    system: str | None = None
    history: str | None = "on"
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    benchmark: str = "demo"
    data: Path | None = None  # where its rows lie
    endpoint: str | None = None  # the address of a server that has the model
    tokenizer: str = ""

    @property
    def server(self) -> Endpoint | None:
        """The server that is asked. Raises `BadInput` where its address can't be meant, or no model is named."""
        return server_of(self.endpoint, self.model, self.tokenizer)

    def reply_settings(self, otherwise: ReplySettings) -> ReplySettings:
        """How to talk; `otherwise` has what wasn't asked for."""
        asked: dict[str, Any] = {"temperature": self.temperature, "seed": self.seed, "max_tokens": self.max_tokens}
        return ReplySettings(
            model=self.model or otherwise.model,
            quant=Quant(self.quant) if self.quant else (Quant.NONE if self.model else otherwise.quant),
            device=Device.NET if self.endpoint else self._device(otherwise),
            sampling=replace(otherwise.sampling, **{name: value for name, value in asked.items() if value is not None}),
            history=HISTORIES[self.history] if self.history else otherwise.history,
        )

    def _device(self, otherwise: ReplySettings) -> Device | None:
        return device_of(self.device) if self.model or self.device != "auto" else otherwise.device


def enter(options: ChatOptions) -> int:
    """Lead a conversation until it is left; the exit code."""
    settings = read_settings(os.environ)
    screen = Screen()
    piped = None if sys.stdin.isatty() else read_piped()
    say = _silent if piped is not None else screen.dim
    if options.model and not settings.broker_url:
        check_model(options.model, options.server)
    ours = connected(settings, say, worker_devices(options.device), endpoint=options.server)
    with interruptible(), ours as place:
        session = open_session(options, place, screen)
        if piped is not None:
            loop.one_reply(session, piped)
            return 0
        if place.own:
            place.client.expect(session.talk.reply_settings)
        introduce(session)
        loop.converse(session, settings)
    return 0


def open_session(options: ChatOptions, place: Connection, screen: Screen) -> TerminalSession:
    """The conversation that was asked for, new or gone on with."""
    story = find_conversation(options, place)
    usual = ReplySettings(DEFAULT_MODEL)
    talk = ChatSession(place.client, options.reply_settings(usual if story is None else settings_of(story, usual)))
    if story is not None:
        talk.resume(story)
    if options.system:
        talk.set_system(options.system)
    session = TerminalSession(
        talk, place, screen, Path.cwd(), edit=_edit, benchmark=options.benchmark, data=options.data
    )
    if story is not None and screen.styled:
        recall(screen, story)
    return session


def find_conversation(options: ChatOptions, place: Connection) -> Conversation | None:
    """The conversation to go on with; None: a new one. Raises `BadInput` where there is none."""
    if options.resume:
        return story_of(place.ask(Inquiry(new_id(), InquiryKind.CONVERSATION, options.resume)))
    if not options.continue_last:
        return None
    listed = place.ask(Inquiry(new_id(), InquiryKind.CONVERSATIONS, limit=1)).conversations
    if not listed:
        raise BadInput("There is no conversation to go on with yet.", "`proctor chat` begins one.")
    return story_of(place.ask(Inquiry(new_id(), InquiryKind.CONVERSATION, listed[0].id)))


def introduce(session: TerminalSession) -> None:
    """The one line that says what is talked to."""
    reply_settings = session.talk.reply_settings
    model = (
        reply_settings.model if reply_settings.quant is Quant.NONE else f"{reply_settings.model} {reply_settings.quant}"
    )
    history = f"history {history_name(reply_settings.history)}"
    session.screen.dim(f"{model} · {session.place.where} · {history} · /help lists the commands")


def recall(screen: Screen, story: Conversation) -> None:
    """The last exchange of a conversation that is gone on with."""
    path = path_to(story.turns, story.last_turn_id)
    screen.dim(f"{story.title} ({len(path)} messages, {story.id[:8]})")
    for turn in path[-2:]:
        screen.dim(f"{'> ' if turn.role is Role.USER else ''}{turn.content}")


def read_piped() -> str:
    """All of standard input. Raises `BadInput` for nothing, too much, or what is no text."""
    said = sys.stdin.buffer.read(MAX_PIPED_BYTES + 1)
    if len(said) > MAX_PIPED_BYTES:
        raise BadInput(f"More than {MAX_PIPED_BYTES >> 20} MiB was piped in.", "Say less.")
    try:
        text = said.decode()
    except UnicodeDecodeError:
        raise BadInput("What was piped in is no text in UTF-8.") from None
    if not text.strip():
        raise BadInput("Nothing was piped in.", 'echo "Name three rivers." | proctor chat')
    return text.strip()


def _edit(text: str) -> str | None:
    return click.edit(text)


def _silent(_text: str) -> None:
    return
