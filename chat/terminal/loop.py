"""A chat at a terminal: the prompt, replies as they come, Ctrl-C. What it can be told is `chat.terminal.commands`."""

from __future__ import annotations

import signal
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from chat.client.client import Reply, TurnFailed
from chat.protocol.turns import Ending, Piece, Progress
from chat.terminal import figures
from chat.terminal.commands import BY_NAME, TerminalSession, obey
from proctor import private
from proctor.errors import ProctorError
from proctor.nouns.conversations import Finish
from proctor.settings import Settings

LINES = "chat-lines"  # the file of typed lines, in PROCTOR_HOME


def converse(session: TerminalSession, settings: Settings) -> None:
    """Read lines and answer them until /quit or Ctrl-D. Errors are said, and the chat goes on."""
    prompt = prompt_session(settings.home)
    while True:
        try:
            line = prompt.prompt("> ")
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not line.strip():
            continue
        try:
            answer(session, line)
        except EOFError:
            return
        except ProctorError as error:
            session.screen.error(str(error))


def answer(session: TerminalSession, line: str) -> None:
    """Obey a command, or say the line and show what is replied."""
    reply = obey(session, line) if line.startswith("/") else session.talk.say(line.strip())
    if reply is not None:
        hear(session, reply)


def hear(session: TerminalSession, reply: Reply) -> None:
    """Show a reply as it comes, and the line after it. Ctrl-C stops it and keeps the part; again: goes on at once."""
    try:
        with keys_unseen(), stopped_by_interrupt(reply):
            show(session, reply)
    except KeyboardInterrupt:
        session.screen.dim("not waited for: it goes on without you, and is kept")
    finally:
        session.talk.ended(reply)
    session.screen.break_line()
    if reply.ending is not None:
        conclude(session, reply.ending)


def show(session: TerminalSession, reply: Reply) -> None:
    """Each piece as it comes, or all of them at the end."""
    for entry in reply.entries():
        if isinstance(entry, Progress):
            session.screen.status(figures.waiting(entry))
        elif isinstance(entry, Piece) and session.streaming:
            session.screen.text(entry.text)
    if not session.streaming:
        session.screen.text(reply.text)


def conclude(session: TerminalSession, ending: Ending) -> None:
    """How it ended."""
    if ending.finish is Finish.FAILED:
        session.screen.error(str(TurnFailed(ending)))
    if ending.counts.tokens_out or ending.finish is not Finish.FAILED:
        session.screen.dim(figures.after_reply(ending))


def one_reply(session: TerminalSession, text: str) -> None:
    """Say `text` and write the reply, nothing else. Raises `TurnFailed`; KeyboardInterrupt where Ctrl-C stopped it."""
    reply = session.talk.say(text)
    interrupted = False
    with stopped_by_interrupt(reply) as asked:
        for piece in reply:
            session.screen.text(piece)
        interrupted = asked.is_set()
    session.screen.break_line()
    if interrupted:
        raise KeyboardInterrupt


@contextmanager
def stopped_by_interrupt(reply: Reply) -> Iterator[threading.Event]:
    """Within this block the first Ctrl-C stops the reply, without disturbing what is being read; the second raises."""
    asked = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        threading.Thread(target=_stop, args=(reply,), name="stop", daemon=True).start()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def keys_unseen() -> Iterator[None]:
    """Keys that are pressed within this block aren't written into the reply; the next prompt has them."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def prompt_session(home: Path) -> PromptSession[str]:
    """The prompt: lines of earlier sessions by the up arrow, Enter says it, Alt-Enter begins a new line."""
    keys = KeyBindings()

    @keys.add("enter")
    def _say(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return PromptSession(
        history=FileHistory(str(private.make_file(private.make_folder(home) / LINES))),
        multiline=True,
        key_bindings=keys,
        completer=WordCompleter(list(BY_NAME), sentence=True),
        complete_while_typing=False,
        prompt_continuation="  ",
    )


def _stop(reply: Reply) -> None:
    try:
        reply.stop()
    except ProctorError:  # the broker is away: whoever reads the reply is told so
        return
