"""The words of conversations as values: frozen, checked when made, free of any library.

A Conversation is a tree of Turns: each names the Turn that it follows, so that a reply which is asked for again, or a
message that is put differently, stands beside the earlier one and nothing is overwritten. What a model is shown is
made from the path between one Turn and the beginning (`chat.context.window`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from proctor.errors import BadInput

MAX_STOPS, MAX_STOP_CHARACTERS = 16, 200
MAX_RIVALS = 20
MAX_SEED = (1 << 63) - 1


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class TurnStatus(StrEnum):
    """A Turn's state. What is said to a model is done at once; a reply's life: `proctor.store.conversations.turns`."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Finish(StrEnum):
    """Why a reply ended."""

    STOP = "stop"  # the model ended it, or a stop string came up
    LENGTH = "length"  # `max_tokens`, or the end of the model's window
    STOPPED = "stopped"  # somebody asked to stop; what came is kept
    FAILED = "failed"


class History(StrEnum):
    """How much of the conversation a model is shown."""

    ALL = "all"  # everything; a Turn that doesn't fit is refused
    WINDOW = "window"  # the newest exchanges that fit
    SUMMARY = "summary"  # the newest exchanges, and a summary of what came before them
    OFF = "off"  # the system's message and what is said now
    RAW = "raw"  # what is said now and nothing else, without the model's chat template: a text to be gone on with


class Fault(StrEnum):
    """Why a Turn was refused or failed, for programs; people read `Ending.error`."""

    BUSY = "busy"  # another Turn of the conversation is under way (HTTP 409)
    FULL = "full"  # too many wait; try again after `Ending.retry_after_s` (429)
    BAD_REQUEST = "bad_request"  # it can't be meant, or names what isn't there (422)
    TOO_LONG = "too_long"  # more tokens than the model's window (400)
    BAD_MODEL = "bad_model"  # it can't be loaded (404)
    INTERNAL = "internal"  # a failure of ours, or three workers died over it (500)


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # NaN isn't, either
        raise BadInput(f"{name} {value} is not between {least} and {most}.")


def _check_stops(stops: tuple[str, ...]) -> None:
    if len(stops) > MAX_STOPS:
        raise BadInput(f"{len(stops)} stop strings are more than {MAX_STOPS}.")
    for stop in stops:
        if not 0 < len(stop) <= MAX_STOP_CHARACTERS:
            raise BadInput(f"A stop string of {len(stop)} characters: 1 to {MAX_STOP_CHARACTERS} are possible.")


@dataclass(frozen=True)
class Utterance:
    """One message, as it is said.

    With `token_ids` it is said in these tokens of the model's, which stand for nothing but themselves: nothing is put
    in front of them. `content` is then only what people see of it, until a worker has written their text there.
    """

    role: Role
    content: str
    token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.token_ids and not 0 <= min(self.token_ids) <= max(self.token_ids) < 1 << 32:
            raise BadInput(f"A token's id is between 0 and {(1 << 32) - 1:,}.")


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Temperature 0 is greedy: the most likely token, the rest of the choice unused."""

    temperature: float = 0.7
    top_p: float = 1.0  # the likeliest tokens that together have this probability; 1: all
    top_k: int = 0  # that many of the likeliest; 0: all
    repetition_penalty: float = 1.0  # above 1: tokens of the prompt and the reply are less likely (CTRL, 2019)
    stop: tuple[str, ...] = ()  # the reply ends before the first of these, which may span several tokens
    seed: int | None = None  # None: one is drawn when the Turn is filed, and kept with it
    max_tokens: int | None = None  # None: up to the end of the window
    rivals: int | None = None  # log-probabilities are wanted, with so many other tokens at each place; None: not

    def __post_init__(self) -> None:
        _within("temperature", self.temperature, 0, 100)
        if not 0 < self.top_p <= 1:
            raise BadInput(f"top_p {self.top_p} is not above 0 and at most 1.")
        _within("top_k", self.top_k, 0, 1 << 31)
        if not 0 < self.repetition_penalty <= 100:
            raise BadInput(f"repetition_penalty {self.repetition_penalty} is not above 0 and at most 100.")
        if self.seed is not None:
            _within("seed", self.seed, 0, MAX_SEED)
        if self.max_tokens is not None:
            _within("max_tokens", self.max_tokens, 1, 1 << 31)
        if self.rivals is not None:
            _within("top_logprobs", self.rivals, 0, MAX_RIVALS)
        _check_stops(self.stop)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0


DEFAULT_SAMPLING = Sampling()


@dataclass(frozen=True)
class Counts:
    """What a reply took, in tokens and seconds."""

    tokens_in: int = 0  # of the context that the model was shown
    tokens_cached: int = 0  # of those, kept from an earlier Turn and not computed again
    tokens_out: int = 0
    wait_s: float = 0.0  # from filing to a worker's claim
    load_s: float = 0.0  # of the model; 0 where it was held
    first_token_s: float = 0.0  # from the claim to the first token, a load included
    generate_s: float = 0.0  # from the first token to the last

    @property
    def tokens_per_s(self) -> float:
        """Of the tokens after the first; 0 where there is none."""
        return (self.tokens_out - 1) / self.generate_s if self.tokens_out > 1 and self.generate_s > 0 else 0.0


NO_COUNTS = Counts()


@dataclass(frozen=True)
class ContextFacts:
    """What a model was shown of its conversation."""

    shown: tuple[str, ...] = ()  # ids of the Turns that stand in it
    cut: tuple[str, ...] = ()  # ids of those among them that were cut in the middle, with a visible mark
    left_out: int = 0  # Turns of the path that don't stand in it
    summary_id: int | None = None  # the summary that speaks for them
    tokens: int = 0
    budget: int = 0  # tokens that there were for it
    system_in_user: bool = (
        False  # the template has no place for the system prompt: it stands in front of the user's text
    )


@dataclass(frozen=True)
class Turn:
    """One message of a Conversation, as the store keeps it. Everything from `lane` on is a reply's."""

    id: str
    conversation_id: str
    parent_id: str | None  # the Turn that it follows; None: it opens the conversation
    position: int  # 0 for a Turn without a parent, else the parent's and one
    role: Role
    content: str
    status: TurnStatus
    created_at: datetime
    token_ids: tuple[int, ...] = ()  # of a reply, as they were generated, end tokens left out; else `Utterance`'s
    lane: str = ""
    history: History = History.SUMMARY
    sampling: Sampling = DEFAULT_SAMPLING
    finish: Finish | None = None
    fault: Fault | None = None
    error: str = ""
    counts: Counts = NO_COUNTS
    context: ContextFacts | None = None
    options_logprob: tuple[float, ...] = ()  # of a probe's options
    logprobs: tuple[float, ...] = ()  # natural logarithms, one a token of `token_ids`, where they were wanted
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Summary:
    """What was said from the beginning of a path through Turn `through_id`, in short."""

    id: int
    conversation_id: str
    through_id: str  # it speaks for every path on which this Turn stands
    content: str
    method: str  # "model" or the name of an extractive way
    source_tokens: int  # of what it stands for
    tokens: int
    created_at: datetime
    undone_at: datetime | None = None  # somebody took it back: it is kept, and no longer used


@dataclass(frozen=True)
class ListedConversation:
    """A conversation in a list."""

    id: str
    title: str
    created_at: datetime
    touched_at: datetime
    turns: int  # messages, those of all branches
    lane: str  # of the reply that was asked for last; "" where there is none


@dataclass(frozen=True)
class Conversation:
    """All of one conversation. Turns of all branches, in the order in which they were filed."""

    id: str
    title: str
    created_at: datetime
    touched_at: datetime
    last_turn_id: str | None  # the next Turn goes behind it
    turns: tuple[Turn, ...]
    summaries: tuple[Summary, ...]  # those that were taken back included


def path_to(turns: Sequence[Turn], last_id: str | None) -> tuple[Turn, ...]:
    """The Turns from the beginning to `last_id`, in the order in which they were said; none for None.

    Raises `BadInput` where a Turn of the path is not among `turns`.
    """
    known = {turn.id: turn for turn in turns}
    path: list[Turn] = []
    while last_id is not None:
        if last_id not in known:
            raise BadInput(f"Turn {last_id!r} is not part of this conversation.")
        path.append(known[last_id])
        last_id = path[-1].parent_id
    return tuple(reversed(path))
