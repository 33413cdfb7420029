"""What a model reads before it answers: a sliding window over a conversation, with a running summary. Pure.

The worker calls `assemble` before a Turn and `due` after it, with its model's own tokenizer behind `PromptRenderer`:
every count is exact. The order of what is read, oldest first:

    system prompt        pinned: always whole
    running summary      pinned: at most 15 % of the budget; it stands behind the system prompt, in the same message
    newest exchanges     at most six, unbroken and in order, while they fit: tokens win over the count
    the new message      always whole

budget = window - reserve for the answer. Two thresholds keep the beginning of the prompt, and with it the cached keys
and values, the same from Turn to Turn: exchanges are folded into the summary only when the prompt has grown above 85 %
of the budget (down to 50 %) or above six exchanges (down to four). Between two foldings each prompt begins with the
one before it, token by token, where the model's template writes history as it was said (`PromptRenderer.prompt`).

Promised, and held by tests/unit/chat/context/test_window.py:
- a prompt is never longer than the budget, and holds system prompt, summary and new message;
- nothing is dropped silently: each earlier exchange is shown, covered by the summary, or named in `left_out`;
- an exchange too large for the window alone is cut in the middle, with a mark that model and reader can see;
- with history off, no earlier word is read;
- rows are only added: a summary that fails, is empty or is longer than its source changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from proctor.errors import BadInput

SUMMARY_HEADING = "What was said earlier in this conversation, in short:"
CUT_MARK = "\n[… {characters:,} characters left out here …]\n"
_SHORTEST = "."  # a summary, to count the tokens of what stands around one
BETWEEN = "\n\n"  # between messages of one speaker, where they are one
_NEXT = ("?",)  # the least that can be said next, to count what will stand before it
LEAST_KEPT = 16  # characters of a message, on both sides of the mark together: less says nothing


class PromptRenderer(Protocol):
    """A model's chat template and tokenizer, as ways to make token ids."""

    @property
    def has_system_role(self) -> bool:
        """Whether the template has a place for a system message; else it stands in front of the user's first."""

    def prompt(self, system: str, exchanges: Sequence[Exchange], users: Sequence[str]) -> Sequence[int]:
        """A whole conversation, as the template writes it, up to and with the opening of the next reply.

        The system's message ("": none), what was said and replied, what the user said since.
        """

    def text_ids(self, text: str) -> Sequence[int]:
        """The tokens of a reply's text alone."""

    def raw(self, text: str) -> Sequence[int]:
        """A text as the beginning of a prompt, without any template: with the tokens that the tokenizer puts first."""


@dataclass(frozen=True)
class Message:
    """What is to be answered. It is always read whole, and so is the beginning of a reply that is gone on with."""

    users: tuple[str, ...]  # the user's messages since the last reply; none where the assistant began and goes on
    system: str = ""
    opened: tuple[int, ...] = ()  # of the reply, what there is already

    @property
    def user(self) -> str:
        """What the user said, as one text."""
        return BETWEEN.join(self.users)


@dataclass(frozen=True)
class Exchange:
    """A Turn that is over: what the user said, and the reply or the part of it that came."""

    number: int  # the Turn's place in its conversation, rising
    users: tuple[str, ...]  # one message, as a rule; several in a row; none where the assistant began
    reply: str
    reply_ids: tuple[int, ...]  # as the model of this prompt emitted them; another model's text encoded anew

    @property
    def user(self) -> str:
        """What the user said, as one text."""
        return BETWEEN.join(self.users)


@dataclass(frozen=True)
class SummaryShown:
    """The running summary that is in force: what stands for the Turns from `first` to `last`, both included."""

    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Policy:
    """How much of a conversation is shown, and when it is folded. Shares are of the budget."""

    window_tokens: int  # what the model can read
    reserve_tokens: int = 512  # kept free for the answer
    exchanges: int | None = 6  # shown at most; None: as many as fit
    exchanges_after: int = 4  # left by a folding that six exchanges set off
    summarize: bool = True
    fold_above: float = 0.85
    fold_down_to: float = 0.50
    summary_share: float = 0.15

    def __post_init__(self) -> None:
        if self.reserve_tokens < 1 or self.budget_tokens < 1:
            raise BadInput(
                f"An answer of {self.reserve_tokens:,} tokens leaves nothing of a window of {self.window_tokens:,}.",
                "Ask for a shorter answer.",
            )
        if self.exchanges is not None and not 1 <= self.exchanges_after <= self.exchanges:
            raise BadInput(f"{self.exchanges_after} exchanges can't be left of {self.exchanges}.")
        if not 0 < self.summary_share < self.fold_down_to < self.fold_above <= 1:
            raise BadInput(
                f"The shares of the budget must rise: summary {self.summary_share}, folded down to "
                f"{self.fold_down_to}, folded above {self.fold_above}."
            )

    @property
    def budget_tokens(self) -> int:
        return self.window_tokens - self.reserve_tokens

    @property
    def summary_tokens(self) -> int:
        """What a summary may take, at most."""
        return int(self.budget_tokens * self.summary_share)


@dataclass(frozen=True)
class Context:
    """A prompt, and what became of each earlier Turn. Each Turn's number is in exactly one of the four places."""

    ids: tuple[int, ...]  # at most budget_tokens
    budget_tokens: int
    shown: tuple[int, ...] = ()  # whole, oldest first
    cut: tuple[int, ...] = ()  # shown too, with the middle left out
    covered: tuple[int, ...] = ()  # the summary stands for them
    left_out: tuple[int, ...] = ()  # nothing stands for them
    summary_cut: bool = False  # the summary was longer than its share and lost its middle
    history: bool = True  # whether earlier Turns were to be read at all
    system_in_user: bool = False  # system prompt and summary stand in front of the user's first message


@dataclass(frozen=True)
class Folding:
    """What is to be summarised now: the summary in force, if any, and the exchanges that follow on it."""

    before: SummaryShown | None
    exchanges: tuple[Exchange, ...]
    limit_tokens: int  # of the new summary

    @property
    def first(self) -> int:
        return self.before.first if self.before else self.exchanges[0].number

    @property
    def last(self) -> int:
        return self.exchanges[-1].number

    @property
    def source(self) -> str:
        """All that the new summary stands for, as text."""
        said = [f"{exchange.user}\n{exchange.reply}" for exchange in self.exchanges]
        return "\n".join(([self.before.text] if self.before else []) + said)


class ContextTooLong(BadInput):
    """What must be read whole (system prompt, summary, new message) is longer than the budget."""

    def __init__(self, tokens: int, budget_tokens: int) -> None:
        self.tokens, self.budget_tokens = tokens, budget_tokens
        super().__init__(
            f"The message takes {tokens:,} tokens with the system prompt, and {budget_tokens:,} fit beside the answer.",
            "Shorten it, ask for a shorter answer, or take a model with a longer window.",
        )


def assemble(
    renderer: PromptRenderer,
    policy: Policy,
    message: Message,
    earlier: Sequence[Exchange] = (),
    summary: SummaryShown | None = None,
) -> Context:
    """The prompt for `message` after the Turns `earlier` (oldest first, each once).

    Raises
    ------
    ContextTooLong
        where system prompt, summary and message alone are longer than the budget. No message is ever cut.
    """
    _check_order(earlier)
    summary = summary if policy.summarize else None
    short, summary_cut = _fit_summary(renderer, policy, summary)
    pinned = Message(message.users, join_system(message.system, short), message.opened)
    covered, open_ = _split(earlier, summary)
    room = open_ if policy.exchanges is None else open_[max(0, len(open_) - policy.exchanges) :]
    ids, shown = _fill(renderer, policy.budget_tokens, pinned, room)
    pressed = _press(renderer, policy.budget_tokens, pinned, room[-1]) if room and not shown else None
    cut = (room[-1].number,) if pressed is not None else ()
    return Context(
        ids=ids if pressed is None else pressed,
        budget_tokens=policy.budget_tokens,
        shown=shown,
        cut=cut,
        covered=tuple(exchange.number for exchange in covered),
        left_out=tuple(exchange.number for exchange in open_ if exchange.number not in {*shown, *cut}),
        summary_cut=summary_cut,
        system_in_user=bool(pinned.system) and not renderer.has_system_role,
    )


def alone(renderer: PromptRenderer, policy: Policy, message: Message, earlier: Sequence[Exchange] = ()) -> Context:
    """The prompt with history off: the system prompt and the message, and no earlier word. Raises as `assemble`."""
    left_out = tuple(exchange.number for exchange in earlier)
    ids = _within_budget(_prompt(renderer, message), policy.budget_tokens)
    moved = bool(message.system) and not renderer.has_system_role
    return Context(ids, policy.budget_tokens, left_out=left_out, history=False, system_in_user=moved)


def due(
    renderer: PromptRenderer,
    policy: Policy,
    system: str,
    earlier: Sequence[Exchange],
    summary: SummaryShown | None = None,
) -> Folding | None:
    """What to fold into the summary after a reply, `earlier` ending with it; None: nothing yet.

    The newest exchange always stays, and of those before it as many as fit beside the longest summary that there can
    be. Asked again after its folding was accepted, the answer is None: where the exchanges that a count leaves would be
    above 85 % with their summary, they too are folded down to half.
    """
    if not policy.summarize:
        return None
    _check_order(earlier)
    _, open_ = _split(earlier, summary)
    if len(open_) < 2:
        return None
    head = join_system(system, _fit_summary(renderer, policy, summary)[0])
    stay = open_[1:]
    too_long = _size(renderer, head, open_) > policy.fold_above * policy.budget_tokens
    if not too_long:
        if policy.exchanges is None or len(open_) <= policy.exchanges:
            return None
        stay = open_[len(open_) - policy.exchanges_after :]
        too_long = _folded_size(renderer, policy, system, stay) > policy.fold_above * policy.budget_tokens
    while too_long and len(stay) > 1 and not _down_to_half(renderer, policy, system, stay):
        stay = stay[1:]
    folded = open_[: len(open_) - len(stay)]
    return Folding(summary, tuple(folded), policy.summary_tokens)


def accept(renderer: PromptRenderer, folding: Folding, text: str) -> SummaryShown | None:
    """The summary that `text` becomes; None where it is empty, above its limit, or no shorter than its source."""
    said = text.strip()
    tokens = len(renderer.text_ids(said))
    if not said or tokens > folding.limit_tokens or tokens >= len(renderer.text_ids(folding.source)):
        return None
    return SummaryShown(folding.first, folding.last, said)


def raw(renderer: PromptRenderer, policy: Policy, message: Message, earlier: Sequence[Exchange] = ()) -> Context:
    """The message's text as the prompt, without the chat template and anything else. Raises as `assemble`."""
    left_out = tuple(exchange.number for exchange in earlier)
    ids = _within_budget((*renderer.raw(message.user), *message.opened), policy.budget_tokens)
    return Context(ids, policy.budget_tokens, left_out=left_out, history=False)


def count(renderer: PromptRenderer, message: Message, earlier: Sequence[Exchange]) -> int:
    """Tokens of the whole conversation, whatever the budget."""
    return len(_prompt(renderer, message, earlier))


def join_system(system: str, summary: str) -> str:
    """The system message: what the user pinned, and behind it the running summary."""
    if not summary:
        return system
    return f"{system}\n\n{SUMMARY_HEADING}\n{summary}" if system else f"{SUMMARY_HEADING}\n{summary}"


def cut_middle(text: str, characters: int) -> str:
    """`text` as it is where it has at most so many characters; else its two ends, and between them a visible mark."""
    if len(text) <= characters:
        return text
    head = (characters + 1) // 2
    tail = characters - head
    return text[:head] + CUT_MARK.format(characters=len(text) - characters) + (text[-tail:] if tail else "")


def _check_order(earlier: Sequence[Exchange]) -> None:
    numbers = [exchange.number for exchange in earlier]
    if any(later <= before for before, later in pairwise(numbers)):
        raise BadInput(f"Turns must come oldest first and once each; got the numbers {numbers}.")


def _split(earlier: Sequence[Exchange], summary: SummaryShown | None) -> tuple[list[Exchange], list[Exchange]]:
    """Those that the summary stands for, and those that it does not."""
    if summary is None:
        return [], list(earlier)
    covered = [exchange for exchange in earlier if summary.first <= exchange.number <= summary.last]
    return covered, [exchange for exchange in earlier if not summary.first <= exchange.number <= summary.last]


def _prompt(renderer: PromptRenderer, message: Message, exchanges: Sequence[Exchange] = ()) -> tuple[int, ...]:
    """Exchanges and new message as one row of tokens."""
    return (*renderer.prompt(message.system, exchanges, message.users), *message.opened)


def _within_budget(ids: tuple[int, ...], budget_tokens: int) -> tuple[int, ...]:
    if len(ids) > budget_tokens:
        raise ContextTooLong(len(ids), budget_tokens)
    return ids


def _fill(
    renderer: PromptRenderer, budget_tokens: int, message: Message, room: Sequence[Exchange]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The longest prompt that fits, of the newest exchanges of `room`; and their numbers."""
    ids = _within_budget(_prompt(renderer, message), budget_tokens)
    shown, too_many = 0, len(room) + 1
    count = len(room)  # all of them fit, as a rule
    while shown + 1 < too_many:
        longer = _prompt(renderer, message, room[len(room) - count :])
        if len(longer) > budget_tokens:
            too_many = count
        else:
            ids, shown = longer, count
        count = (shown + too_many) // 2
    return ids, tuple(exchange.number for exchange in room[len(room) - shown :])


def _size(renderer: PromptRenderer, head: str, exchanges: Sequence[Exchange]) -> int:
    """Tokens of the shortest prompt that can follow on these exchanges."""
    return len(renderer.prompt(head, exchanges, _NEXT))


def _folded_size(renderer: PromptRenderer, policy: Policy, system: str, stay: Sequence[Exchange]) -> int:
    """The most tokens that will stand before the next message once all but `stay` is in a summary."""
    return _size(renderer, join_system(system, _SHORTEST), stay) + policy.summary_tokens


def _down_to_half(renderer: PromptRenderer, policy: Policy, system: str, stay: Sequence[Exchange]) -> bool:
    """Whether so few exchanges are left as a prompt that grew too long is folded down to."""
    few = policy.exchanges is None or len(stay) <= policy.exchanges
    return few and _folded_size(renderer, policy, system, stay) <= policy.fold_down_to * policy.budget_tokens


def _fit_summary(renderer: PromptRenderer, policy: Policy, summary: SummaryShown | None) -> tuple[str, bool]:
    """The summary's text within its share of this budget, and whether it had to be cut for that."""
    if summary is None:
        return "", False
    limit = policy.summary_tokens
    if len(renderer.text_ids(summary.text)) <= limit:
        return summary.text, False
    keep = _largest(len(summary.text), lambda n: len(renderer.text_ids(cut_middle(summary.text, n))) <= limit)
    return (cut_middle(summary.text, keep) if keep is not None else ""), True


def _press(
    renderer: PromptRenderer, budget_tokens: int, message: Message, exchange: Exchange
) -> tuple[int, ...] | None:
    """The prompt with the one exchange cut until it fits; None where not even its ends do."""

    def pressed(characters: int) -> tuple[int, ...]:
        reply = cut_middle(exchange.reply, characters)
        ids = exchange.reply_ids if reply == exchange.reply else tuple(renderer.text_ids(reply))
        user = cut_middle(exchange.user, characters)
        users = exchange.users if user == exchange.user else (user,)
        short = Exchange(exchange.number, users, reply, ids)
        return _prompt(renderer, message, [short])

    longest = max(len(exchange.user), len(exchange.reply))
    keep = _largest(longest, lambda n: len(pressed(n)) <= budget_tokens)
    return None if keep is None else pressed(keep)


def _largest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The largest count from LEAST_KEPT to below `most` that fits, by halving; counts grow nearly with the text."""
    if most <= LEAST_KEPT or not fits(LEAST_KEPT):
        return None
    low, high = LEAST_KEPT, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
