"""The commands of the terminal: what /help lists. Each takes the rest of its line and may ask for a reply."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chat.client.client import Reply, new_id
from chat.client.connect import Connection, story_of
from chat.client.session import ChatSession
from chat.protocol.inquiries import Inquiry, InquiryKind
from chat.terminal import figures, files
from chat.terminal.screen import Screen
from proctor.errors import BadInput, UnknownName
from proctor.nouns.conversations import Conversation, History, Sampling

HISTORIES = {
    "on": History.SUMMARY,
    "off": History.OFF,
    "window": History.WINDOW,
    "all": History.ALL,
}
HISTORY_NAMES = {history: name for name, history in HISTORIES.items()}
SETTABLE: dict[str, Callable[[str], object]] = {
    "temperature": float,
    "top_p": float,
    "top_k": int,
    "repetition_penalty": float,
    "seed": int,
    "max_tokens": int,
    "stop": lambda text: tuple(part for part in text.replace("\\n", "\n").split("|") if part),
}


@dataclass
class TerminalSession:
    """What a chat at a terminal consists of."""

    talk: ChatSession
    place: Connection
    screen: Screen
    folder: Path  # that files are named in
    edit: Callable[[str], str | None]  # a person's editor, on a text
    benchmark: str = "demo"
    data: Path | None = None  # where its rows lie
    streaming: bool = True

    def story(self) -> Conversation:
        """The conversation as it is kept. Raises `BadInput` before anything was said in it."""
        if self.talk.last_asked is None:
            raise BadInput("Nothing has been said in this conversation yet.")
        return story_of(self.place.ask(Inquiry(new_id(), InquiryKind.CONVERSATION, self.talk.conversation)))


Run = Callable[[TerminalSession, str], Reply | None]


@dataclass(frozen=True)
class Command:
    """One command: what it is written like, and what it does."""

    usage: str
    does: str
    run: Run

    @property
    def name(self) -> str:
        return self.usage.split()[0]


def history_name(history: History) -> str:
    """What a person calls it."""
    return HISTORY_NAMES.get(history, history.value)


def obey(session: TerminalSession, line: str) -> Reply | None:
    """Do what a line says that begins with a slash; a reply that it asked for is for the caller to hear.

    Raises
    ------
    EOFError
        for /quit.
    ProctorError
        where it can't be done, with what to do instead.
    """
    name, _, rest = line.strip().partition(" ")
    command = BY_NAME.get(name)
    if command is None:
        near = [each for each in BY_NAME if each.startswith(name[:3])]
        raise UnknownName("command", name, near[:3], "/help lists them; begin with a space to say it to the model.")
    return command.run(session, rest.strip())


def show_help(session: TerminalSession, _rest: str) -> None:
    width = max(len(command.usage) for command in COMMANDS)
    for command in COMMANDS:
        session.screen.line(f"{command.usage:<{width}}  {command.does}")
    session.screen.line("Alt-Enter begins a new line. Ctrl-C stops a reply and keeps what came.")
    session.screen.line("/history is the model's memory; the up arrow has the lines you typed.")


def save(session: TerminalSession, name: str, *, over: bool = False) -> None:
    path = files.inside(session.folder, name)
    count = files.save(session.story(), path, replace=over)
    session.screen.dim(f"{count} messages written to {path}")


def save_over(session: TerminalSession, name: str) -> None:
    save(session, name, over=True)


def load(session: TerminalSession, name: str) -> None:
    path = files.inside(session.folder, name)
    messages = files.load(path)
    session.talk.begin_anew()
    session.talk.lay(messages)
    session.screen.dim(f"{len(messages)} messages read from {path}; they go before what you say next")


def clear(session: TerminalSession, _rest: str) -> None:
    session.talk.begin_anew()
    session.screen.dim("a new conversation; the one before is kept (`proctor chat list`)")


def stats(session: TerminalSession, _rest: str) -> None:
    for line in figures.statistics(session.story(), history_name(session.talk.reply_settings.history)):
        session.screen.line(line)


def stream(session: TerminalSession, rest: str) -> None:
    session.streaming = {"on": True, "off": False, "": not session.streaming}.get(rest.lower(), session.streaming)
    shown = "as they come" if session.streaming else "when they are complete"
    session.screen.dim(f"replies are shown {shown}")


def history(session: TerminalSession, rest: str) -> None:
    reply_settings = session.talk.reply_settings
    if rest:
        if rest.lower() not in HISTORIES:
            raise BadInput(f"/history {rest} means nothing.", f"It is one of {', '.join(HISTORIES)}.")
        session.talk.reply_settings = reply_settings = replace(reply_settings, history=HISTORIES[rest.lower()])
    session.screen.dim(
        {
            History.SUMMARY: "history on: the newest exchanges that fit, and a summary of those before",
            History.WINDOW: "history window: the newest exchanges that fit",
            History.ALL: "history all: everything, or an error where it doesn't fit",
            History.OFF: "history off: the model reads only what you say now",
        }[reply_settings.history]
    )


def retry(session: TerminalSession, _rest: str) -> Reply:
    return session.talk.again()


def go_on(session: TerminalSession, _rest: str) -> Reply:
    return session.talk.go_on()


def summary(session: TerminalSession, rest: str) -> None:
    story = session.story()
    if rest == "undo":
        in_use = [each.id for each in story.summaries if each.undone_at is None]
        if not in_use:
            raise BadInput("No summary is in use.")
        asked = Inquiry(new_id(), InquiryKind.UNDO_SUMMARY, story.id, summary=in_use[-1])
        story = story_of(session.place.ask(asked))
        session.screen.dim(
            "taken back: its messages are read again; where they don't fit, the next reply makes a new one"
        )
    elif rest:
        raise BadInput(f"/summary {rest} means nothing.", "/summary shows all, /summary undo takes the newest back.")
    for line in figures.summaries(story) or ["nothing is summarised yet"]:
        session.screen.line(line)


def set_(session: TerminalSession, rest: str) -> None:
    name, _, value = rest.partition(" ")
    sampling = session.talk.reply_settings.sampling
    if name:
        sampling = changed(sampling, name, value.strip())
        session.talk.reply_settings = replace(session.talk.reply_settings, sampling=sampling)
    for each in SETTABLE:
        if name in ("", each):
            session.screen.line(f"{each} {_shown(getattr(sampling, each))}")


def _shown(value: object) -> str:
    """A value of /set as it would be typed."""
    if isinstance(value, tuple):
        return "|".join(str(part).replace("\n", "\\n") for part in value) or "none"
    return "none" if value is None else str(value)


def changed(sampling: Sampling, name: str, value: str) -> Sampling:
    """The sampling with one value set, `none` for what a model or worker chooses. Raises `BadInput`."""
    if name not in SETTABLE:
        raise BadInput(f"{name!r} can't be set.", f"These can: {', '.join(SETTABLE)}.")
    plain: dict[str, object] = {each: getattr(Sampling(), each) for each in SETTABLE}
    try:
        new = plain[name] if value.lower() in ("", "none", "default") else SETTABLE[name](value)
    except ValueError:
        raise BadInput(f"{value!r} is no value of {name}.") from None
    return replace(sampling, **{name: new})  # type: ignore[arg-type] # checked by Sampling itself


def system(session: TerminalSession, rest: str) -> None:
    if not rest:
        raise BadInput("/system wants the prompt.", "/system You are a pirate.")
    session.talk.set_system(rest)
    session.screen.dim("the system prompt from your next message on")


def file(session: TerminalSession, rest: str) -> Reply:
    name, _, question = rest.partition(" ")
    text = files.read_text(files.inside(session.folder, name))
    return session.talk.say(f"{question.strip()}\n\n{name}:\n```\n{text.rstrip()}\n```".lstrip())


def edit(session: TerminalSession, rest: str) -> Reply | None:
    text = session.edit(rest)
    if text is None or not text.strip():
        session.screen.dim("nothing is said")
        return None
    return session.talk.say(text)


def put_question(session: TerminalSession, rest: str) -> None:
    asked = re.fullmatch(r"(.*\S)(?:\s+|\s*:\s*)(\d{1,9})", rest.strip(), re.ASCII)
    if asked is None:
        raise BadInput("/probe wants a subject and a question's number, from 0.", "/probe arithmetic:3")
    from chat.terminal import probe, probe_written  # read exams

    found = probe.find_question(session.benchmark, asked[1], int(asked[2]), session.data)
    if found.form is None:
        shown = probe.lines(probe.probe(session.talk, found.question))
    else:
        shown = probe_written.lines(probe_written.probe_written(session.talk, found.question, found.form))
    for line in shown:
        session.screen.line(line)


def leave(_parlour: TerminalSession, _rest: str) -> None:
    raise EOFError


COMMANDS = (
    Command("/help", "this list", show_help),
    Command("/history on|off|window|all", "what of this conversation the model reads", history),
    Command("/retry", "another answer; the first is kept", retry),
    Command("/continue", "go on with the last reply", go_on),
    Command("/system TEXT", "the system prompt from now on", system),
    Command("/set NAME VALUE", "a value of the sampling, such as temperature; /set shows all", set_),
    Command("/stats", "messages, tokens, times, summaries", stats),
    Command("/summary [undo]", "what stands for earlier messages; take it back", summary),
    Command("/stream [on|off]", "show replies as they come, or when complete", stream),
    Command("/file FILE [TEXT]", "say a file's text, with a question", file),
    Command("/edit [TEXT]", "write a message in your editor", edit),
    Command("/probe SUBJECT:INDEX", "an exam question, here and alone; INDEX is from 0", put_question),
    Command("/save FILE", "write the conversation as JSON into this folder", save),
    Command("/save! FILE", "the same over a file that is there", save_over),
    Command("/load FILE", "begin anew with the messages of a file", load),
    Command("/clear", "begin a new conversation; this one is kept", clear),
    Command("/quit", "leave; so does Ctrl-D", leave),
)  # fmt: skip
BY_NAME = {command.name: command for command in COMMANDS}
