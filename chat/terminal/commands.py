"""The commands of the terminal: what /help lists. Each takes the rest of its line and may ask for a reply."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from chat.client.client import Reply, new_id
from chat.client.connect import Place, story_of
from chat.client.session import Talk
from chat.protocol.inquiries import Inquiry, Story, What
from chat.terminal import figures, files
from chat.terminal.screen import Screen
from proctor.errors import BadInput, UnknownName
from proctor.nouns.conversations import History, Sampling

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
class Parlour:
    """What a chat at a terminal consists of."""

    talk: Talk
    place: Place
    screen: Screen
    folder: Path  # that files are named in
    edit: Callable[[str], str | None]  # a person's editor, on a text
    benchmark: str = "demo"
    streaming: bool = True

    def story(self) -> Story:
        """The conversation as it is kept. Raises `BadInput` before anything was said in it."""
        if self.talk.last_asked is None:
            raise BadInput("Nothing has been said in this conversation yet.")
        return story_of(self.place.ask(Inquiry(new_id(), What.CONVERSATION, self.talk.conversation)))


Run = Callable[[Parlour, str], Reply | None]


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


def obey(parlour: Parlour, line: str) -> Reply | None:
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
    return command.run(parlour, rest.strip())


def show_help(parlour: Parlour, _rest: str) -> None:
    width = max(len(command.usage) for command in COMMANDS)
    for command in COMMANDS:
        parlour.screen.line(f"{command.usage:<{width}}  {command.does}")
    parlour.screen.line("Alt-Enter begins a new line. Ctrl-C stops a reply and keeps what came.")
    parlour.screen.line("/history is the model's memory; the up arrow has the lines you typed.")


def save(parlour: Parlour, name: str, *, over: bool = False) -> None:
    path = files.inside(parlour.folder, name)
    count = files.save(parlour.story(), path, replace=over)
    parlour.screen.dim(f"{count} messages written to {path}")


def save_over(parlour: Parlour, name: str) -> None:
    save(parlour, name, over=True)


def load(parlour: Parlour, name: str) -> None:
    path = files.inside(parlour.folder, name)
    messages = files.load(path)
    parlour.talk.begin_anew()
    parlour.talk.lay(messages)
    parlour.screen.dim(f"{len(messages)} messages read from {path}; they go before what you say next")


def clear(parlour: Parlour, _rest: str) -> None:
    parlour.talk.begin_anew()
    parlour.screen.dim("a new conversation; the one before is kept (`proctor chat list`)")


def stats(parlour: Parlour, _rest: str) -> None:
    for line in figures.statistics(parlour.story(), history_name(parlour.talk.manner.history)):
        parlour.screen.line(line)


def stream(parlour: Parlour, rest: str) -> None:
    parlour.streaming = {"on": True, "off": False, "": not parlour.streaming}.get(rest.lower(), parlour.streaming)
    shown = "as they come" if parlour.streaming else "when they are complete"
    parlour.screen.dim(f"replies are shown {shown}")


def history(parlour: Parlour, rest: str) -> None:
    manner = parlour.talk.manner
    if rest:
        if rest.lower() not in HISTORIES:
            raise BadInput(f"/history {rest} means nothing.", f"It is one of {', '.join(HISTORIES)}.")
        parlour.talk.manner = manner = replace(manner, history=HISTORIES[rest.lower()])
    parlour.screen.dim(
        {
            History.SUMMARY: "history on: the newest exchanges that fit, and a summary of those before",
            History.WINDOW: "history window: the newest exchanges that fit",
            History.ALL: "history all: everything, or an error where it doesn't fit",
            History.OFF: "history off: the model reads only what you say now",
        }[manner.history]
    )


def retry(parlour: Parlour, _rest: str) -> Reply:
    return parlour.talk.again()


def go_on(parlour: Parlour, _rest: str) -> Reply:
    return parlour.talk.go_on()


def summary(parlour: Parlour, rest: str) -> None:
    story = parlour.story()
    if rest == "undo":
        in_use = [each.id for each in story.summaries if each.undone_at is None]
        if not in_use:
            raise BadInput("No summary is in use.")
        asked = Inquiry(new_id(), What.UNDO_SUMMARY, story.id, summary=in_use[-1])
        story = story_of(parlour.place.ask(asked))
        parlour.screen.dim(
            "taken back: its messages are read again; where they don't fit, the next reply makes a new one"
        )
    elif rest:
        raise BadInput(f"/summary {rest} means nothing.", "/summary shows all, /summary undo takes the newest back.")
    for line in figures.summaries(story) or ["nothing is summarised yet"]:
        parlour.screen.line(line)


def set_(parlour: Parlour, rest: str) -> None:
    name, _, value = rest.partition(" ")
    sampling = parlour.talk.manner.sampling
    if name:
        sampling = changed(sampling, name, value.strip())
        parlour.talk.manner = replace(parlour.talk.manner, sampling=sampling)
    for each in SETTABLE:
        if name in ("", each):
            parlour.screen.line(f"{each} {_shown(getattr(sampling, each))}")


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


def system(parlour: Parlour, rest: str) -> None:
    if not rest:
        raise BadInput("/system wants the prompt.", "/system You are a pirate.")
    parlour.talk.set_system(rest)
    parlour.screen.dim("the system prompt from your next message on")


def file(parlour: Parlour, rest: str) -> Reply:
    name, _, question = rest.partition(" ")
    text = files.read_text(files.inside(parlour.folder, name))
    return parlour.talk.say(f"{question.strip()}\n\n{name}:\n```\n{text.rstrip()}\n```".lstrip())


def edit(parlour: Parlour, rest: str) -> Reply | None:
    text = parlour.edit(rest)
    if text is None or not text.strip():
        parlour.screen.dim("nothing is said")
        return None
    return parlour.talk.say(text)


def put_question(parlour: Parlour, rest: str) -> None:
    asked = re.fullmatch(r"(.*\S)(?:\s+|\s*:\s*)(\d{1,9})", rest.strip(), re.ASCII)
    if asked is None:
        raise BadInput("/probe wants a subject and a question's number, from 0.", "/probe arithmetic:3")
    from chat.terminal import probe  # reads exams

    question = probe.find_question(parlour.benchmark, asked[1], int(asked[2]))
    for line in probe.lines(probe.probe(parlour.talk, question)):
        parlour.screen.line(line)


def leave(_parlour: Parlour, _rest: str) -> None:
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
