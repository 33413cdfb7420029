"""What clients and workers say to each other over the broker. Clients need the broker's URL and nothing else.

The way of a Turn
-----------------
1. A client makes an id for the Turn (and for its Conversation, if that is new), and sends in one pipeline::

       SET    chat.request.<turn>  <TurnRequest as JSON>  EX REQUEST_S
       XADD   chat.requests * turn <turn>
       EXPIRE chat.requests REQUESTS_S

   `chat.requests` carries ids only. To send the same Turn again does no harm, and is how a client asks after one that
   it hears nothing of: see 6.
2. Some worker reads the stream (consumer group `GROUP`), checks the request and files it in the store: what is said as
   Turns that are done, and the reply to come as a Turn that is pending. Only then it acknowledges the entry. Filing is
   idempotent by the Turn's id. It answers on the Turn's reply stream with entry `0-1`: `Progress(accepted)`, or an
   `Ending` that says why not (`Fault`: a second Turn in a conversation that has one under way, too many that wait, a
   request that can't be meant).
3. A worker that holds the model (or, where nobody does, an idle one, which loads it) claims the row: attempt n, a lease
   that it renews. It opens its part of the reply stream with entry `n-0`, a `Progress`. Redis refuses an entry that is
   not above the last, so from here on an earlier attempt can add nothing, whatever its worker believes. Then it reads
   what earlier attempts emitted, and goes on behind that: no token is lost or repeated.
4. The worker assembles what the model is shown, since it alone has the tokenizer and counts exactly: the path of the
   new Turn, the summaries, the history mode and the budget go through the pure functions of `chat.context.window`.
   `Progress(reading)` says what came of it.
5. Where the request says `echo`, it tells what stands beside the reply: an `Aside` with the prompt, before the first
   `Piece`. It adds `Piece` after `Piece`, a decode step each, and looks for `chat.stop.<turn>` in the same pipeline.
   The end is committed to the store, and then told: an `Ending`, the last entry. The stream expires `REPLY_S` after
   that.
6. A client reads `chat.reply.<turn>` with XREAD from the last entry that it has. A `Piece` says at which token and
   character of the reply it starts, so that a client which hears something again shows it once. Where the stream is
   gone (a broker that came back empty, an hour that passed) the client sends the request of 1 again: a worker then
   writes what is known of the Turn into the stream anew. A client that goes away changes nothing.

Before any Turn a client that has a worker to itself may say what it is about to ask for, so that the model is loaded
while somebody types: `SET chat.expected <Expectation as JSON> EX EXPECTED_S`. A worker without a model takes it, once.

Clients and workers may be of two releases. What one doesn't know of a request is refused by its name, since to leave it
out would change the reply; so a field stands in a request only where it isn't at its default. To an entry of a reply
nothing is ever added: what a later release has to say of it travels beside it, in a field of its own (`BYTES`), or in
an entry that only whoever asked for it gets to see (`Aside`).

A client blocks for `BLOCK_MS` at most: redis-py's defaults turn longer blocks into a minute's silence and an error.
Every key has an expiry.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from proctor.errors import BadInput
from proctor.nouns.conversations import (
    DEFAULT_SAMPLING,
    NO_COUNTS,
    ContextFacts,
    Counts,
    Fault,
    Finish,
    History,
    Role,
    Sampling,
    Utterance,
)
from proctor.nouns.models import Device, Quant
from proctor.wire import UNSAID, BadMessage, from_json, to_json

REQUESTS = "chat.requests"
GROUP = "workers"
REQUEST_S, REQUESTS_S, REPLY_S, STOP_S = 600, 3600, 3600, 600  # expiries, seconds
BLOCK_MS = 2000
EXPECTED, EXPECTED_S = "chat.expected", 60
MAX_REQUEST_BYTES = 2 << 20
MAX_UTTERANCES = 2000
MAX_OPTIONS = 26
FIELD, BYTES = "entry", "bytes"  # the fields of an entry of a reply stream; the second stands beside some alone
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class TurnRequest:
    """What a client asks for. The reply is a Turn of the id `turn`.

    `say` is added to the conversation behind the Turn `after`, and the reply behind that. Nothing to say: the Turn
    `after` is answered again where it is the user's (the earlier answer stays, on a branch of its own), and gone on
    with where it is the assistant's. `after` None is the Turn that was added last; "" is the beginning.

    With `options` nothing is generated: the reply is the log-probability of each option behind the context, and the
    conversation stays as it was. A program that keeps its conversations itself sends all of it as `say`, under a
    conversation id that is new; what its earlier requests have computed is kept and used again all the same.
    """

    turn: str
    conversation: str
    model: str  # as a person writes it; the worker resolves it, and a folder is one of its machine
    say: tuple[Utterance, ...] = ()
    after: str | None = None
    quant: Quant = Quant.NONE
    device: Device | None = None  # None: where the model is held, else a GPU if there is one
    sampling: Sampling = DEFAULT_SAMPLING
    history: History = History.SUMMARY
    options: tuple[str, ...] = ()
    title: str = ""  # of the conversation, where this Turn opens it
    apart: bool = False  # the reply is made, and the conversation goes on as if nothing had been asked
    echo: bool = False  # the prompt is told too, with its tokens' log-probabilities where `sampling.rivals` is set

    def __post_init__(self) -> None:
        check_id("turn", self.turn)
        check_id("conversation", self.conversation)
        if self.after:
            check_id("turn", self.after)
        if not 0 < len(self.model) <= 4096:
            raise BadInput(f"A model's name has 1 to 4,096 characters, not {len(self.model)}.")
        if len(self.say) > MAX_UTTERANCES:
            raise BadInput(f"{len(self.say):,} messages at once are more than {MAX_UTTERANCES:,}.")
        if not self.say and self.after == "":
            raise BadInput("There is nothing to answer: the conversation is empty and nothing is said.")
        if self.say and self.say[-1].role is Role.SYSTEM:
            raise BadInput("The last message is the system's: there is nothing to answer.")
        if self.history is not History.RAW and (self.echo or any(each.token_ids for each in self.say)):
            raise BadInput("Only a text without the chat template can be echoed, or said in tokens.")
        if len(self.options) > MAX_OPTIONS or "" in self.options:
            raise BadInput(f"At most {MAX_OPTIONS} options can be scored, none of them empty.")


@dataclass(frozen=True)
class Expectation:
    """What somebody is about to ask for. Nobody answers it, and nothing is lost where nobody heeds it."""

    id: str
    model: str
    quant: Quant = Quant.NONE
    device: Device | None = None

    def __post_init__(self) -> None:
        check_id("expectation", self.id)


class Stage(StrEnum):
    """How far a Turn is before its first token."""

    ACCEPTED = "accepted"  # it waits for a worker
    LOADING = "loading"  # a worker loads the model for it
    CLAIMED = "claimed"  # a worker has it, and the model
    READING = "reading"  # the context stands, and goes through the model


@dataclass(frozen=True)
class Progress:
    """A Turn on its way to the first token."""

    stage: Stage
    attempt: int = 0
    lane: str = ""
    ahead: int = 0  # Turns of this lane that wait before it, when it was accepted
    worker: str = ""
    context: ContextFacts | None = None  # with `reading`


@dataclass(frozen=True)
class TopLogprob:
    """Another token that could have stood at a place."""

    token: int
    text: str  # what it would add at this place, with a replacement character where it is part of a character
    logprob: float
    part: bytes = field(default=b"", metadata={UNSAID: True})  # as of `TokenScore`

    @property
    def raw(self) -> bytes:
        """The bytes of the token."""
        return self.part or self.text.encode()


@dataclass(frozen=True)
class TokenScore:
    """The natural log-probability of a token that was chosen: the model's own, before temperature and penalty."""

    token: int
    text: str  # what it adds to the reply's: "" where it ends inside a character, all of that with its last token
    logprob: float
    rivals: tuple[TopLogprob, ...] = ()  # the likeliest at this place, which may include the token itself
    # The token's bytes where it is a part of a character, and `text` hasn't its own. They travel beside the entry.
    part: bytes = field(default=b"", metadata={UNSAID: True})

    @property
    def raw(self) -> bytes:
        """The bytes of the token."""
        return self.part or self.text.encode()


@dataclass(frozen=True)
class Piece:
    """A part of a reply. `text` is whole characters: "" where a token ends in the middle of one."""

    attempt: int
    seq: int  # from 1 in each attempt
    at_token: int  # tokens of the reply before this piece
    at_character: int  # characters of the reply before it
    tokens: tuple[int, ...]
    text: str
    scores: tuple[TokenScore, ...] = ()  # one a token, where they were wanted; none where nobody knows them any more


class AsidePlace(StrEnum):
    """What an `Aside` is about."""

    PROMPT = "prompt"
    END = "end"  # the token that ended the reply, and is no part of it


@dataclass(frozen=True)
class Aside:
    """What stands beside a reply, where `TurnRequest.echo` asked for it."""

    attempt: int
    seq: int
    place: AsidePlace
    text: str = ""
    scores: tuple[TokenScore, ...] = ()  # one a token; of a prompt's first, before which nothing stands, it is 0


@dataclass(frozen=True)
class Ending:
    """The last entry: why the reply ended, what it took. `fault` and `error` are set where `finish` is failed."""

    finish: Finish
    counts: Counts = NO_COUNTS
    fault: Fault | None = None
    error: str = ""
    retry_after_s: float = 0.0  # with Fault.FULL
    window_tokens: int = 0  # with Fault.TOO_LONG: what the model reads; `counts.tokens_in` is what was asked
    context: ContextFacts | None = None
    options_logprob: tuple[float, ...] = ()  # of `TurnRequest.options`
    seed: int | None = None  # with which the same reply comes again
    worker: str = ""


Entry = Progress | Piece | Aside | Ending
_KINDS: dict[str, type[Progress] | type[Piece] | type[Aside] | type[Ending]] = {
    "progress": Progress,
    "piece": Piece,
    "aside": Aside,
    "ending": Ending,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def dump_request(request: TurnRequest) -> str:
    """A request as it travels. Raises `BadInput` above `MAX_REQUEST_BYTES`, and for what no worker would take."""
    text = to_json(request, terse=True)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_REQUEST_BYTES:
        raise BadInput(f"The request has more than {MAX_REQUEST_BYTES >> 20} MiB.", "Say less at once.")
    load_request(text)
    return text


def load_request(text: str | bytes) -> TurnRequest:
    """A request as it arrived. Raises `BadMessage` (a `BadInput`) for anything that isn't one."""
    if len(text) > MAX_REQUEST_BYTES:
        raise BadMessage(f"A request of {len(text):,} bytes is above {MAX_REQUEST_BYTES:,}.")
    return from_json(TurnRequest, text)


def dump_entry(entry: Entry) -> dict[str, str]:
    """An entry of a reply stream, as XADD takes it."""
    told = {FIELD: f"{_NAMES[type(entry)]} {to_json(entry)}"}
    parts = tuple(each.part.hex() for each in _tokens(entry))
    return {**told, BYTES: to_json(_Parts(parts))} if any(parts) else told


def load_entry(fields: dict[bytes, bytes] | dict[str, str]) -> Entry:
    """An entry of a reply stream, as XREAD gave it, decoded or not. Raises `BadMessage`."""
    said = {_text(key): _text(value) for key, value in fields.items()}
    kind, _, body = said.get(FIELD, "").partition(" ")
    if kind not in _KINDS:
        raise BadMessage(f"An entry of the unknown kind {kind[:40]!r}.", "Client and worker are of different versions.")
    entry = from_json(_KINDS[kind], body)
    return entry if BYTES not in said else _with_parts(entry, from_json(_Parts, said[BYTES]).hex)


@dataclass(frozen=True)
class _Parts:
    """`part` of each token that an entry tells of, each score's own before its rivals'."""

    hex: tuple[str, ...]


def _tokens(entry: Entry) -> list[TokenScore | TopLogprob]:
    tokens: list[TokenScore | TopLogprob] = []
    for score in entry.scores if isinstance(entry, Piece | Aside) else ():
        tokens += (score, *score.rivals)
    return tokens


def _with_parts(entry: Entry, parts: Sequence[str]) -> Entry:
    if not isinstance(entry, Piece | Aside) or len(parts) != len(_tokens(entry)):
        raise BadMessage(f"{len(parts):,} tokens' bytes stand beside an entry of others.")
    try:
        left = iter([bytes.fromhex(part) for part in parts])
    except ValueError:
        raise BadMessage("A token's bytes are no hexadecimal digits.") from None
    scores = []
    for score in entry.scores:
        own = next(left)
        scores.append(replace(score, part=own, rivals=tuple(replace(rival, part=next(left)) for rival in score.rivals)))
    return replace(entry, scores=tuple(scores))


def entry_id(attempt: int, seq: int) -> str:
    """The id of an entry: Redis refuses one that is not above the last, which fences earlier attempts off."""
    return f"{attempt}-{seq}"


def request_key(turn: str) -> str:
    return f"chat.request.{turn}"


def reply_key(turn: str) -> str:
    return f"chat.reply.{turn}"


def stop_key(turn: str) -> str:
    """SET with an expiry of `STOP_S` stops the reply within a token, also one that waits or changes its worker."""
    return f"chat.stop.{turn}"


def check_id(what: str, value: str) -> None:
    """Raise `BadInput` for what is no id: 1 to 64 letters, digits, `-` or `_`."""
    if not _ID.fullmatch(value):
        raise BadInput(f"{value[:80]!r} is no id of a {what}: 1 to 64 letters, digits, - and _.")


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
