"""One path through a Conversation, as a model reads it: system prompt, exchanges, what is to be answered. Pure.

Between the rows of the store (one a message, `proctor.nouns.conversations.Turn`) and `chat.context.window` (exchanges,
by number). A worker's whole use of it: `read_thread`, `show` before the reply, `fold` after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chat.context import window
from chat.context.window import BETWEEN, Context, ContextTooLong, Exchange, Folding, Message, Policy, PromptRenderer
from proctor.errors import BadInput
from proctor.nouns.conversations import ContextFacts, History, Role, Summary, Turn, TurnStatus


@dataclass(frozen=True)
class Thread:
    """A path, oldest first. `turn_ids[n]` are the Turns of `exchanges[n]`, whose number is n + 1."""

    system: str
    exchanges: tuple[Exchange, ...]
    turn_ids: tuple[tuple[str, ...], ...]
    asked: tuple[str, ...] | None  # the user's last messages, where nobody has replied yet
    unanswered: tuple[str, ...] = ()  # Turns whose reply failed before its first word: nobody reads them again

    def message(self) -> tuple[Message, Thread]:
        """What is to be answered, and what came before it.

        Where the assistant spoke last, its reply is opened again and gone on with.

        Raises
        ------
        BadInput
            where nothing was said.
        """
        if self.asked is not None:
            return Message(self.asked, self.system), self
        if not self.exchanges:
            raise BadInput("There is nothing to answer: nobody has said anything yet.")
        last = self.exchanges[-1]
        before = replace(self, exchanges=self.exchanges[:-1], turn_ids=self.turn_ids[:-1], asked=last.users)
        return Message(last.users, self.system, last.reply_ids), before


def read_thread(path: Sequence[Turn], ids_of: Callable[[Turn], Sequence[int]]) -> Thread:
    """The path in exchanges. `ids_of` is a reply's token ids: as stored, or encoded anew for another model.

    Messages of the user that follow on one another belong to one exchange; whether they stay apart is the template's
    affair. An exchange without any is what the assistant opened the conversation with. Replies that follow on one
    another are one: the second went on with the first. System messages that follow on one another are joined; a later
    one replaces those before it. A message whose reply failed before its first word is left out, so that one that was
    too long does not stand in the way of the next.
    """
    system, last_role = "", Role.ASSISTANT
    said: list[_Pair] = []
    unanswered: list[str] = []
    for turn in path:
        if turn.role is Role.SYSTEM:
            system = f"{system}{BETWEEN}{turn.content}" if last_role is Role.SYSTEM and system else turn.content
            last_role = Role.SYSTEM
            continue
        if turn.status is TurnStatus.FAILED and not turn.content:
            unanswered += [*(said.pop().turns if said and not said[-1].replied else ()), turn.id]
            continue
        if (turn.role is Role.USER and (not said or said[-1].replied)) or not said:
            said.append(_Pair())
        said[-1].add(turn, ids_of)
        last_role = turn.role
    return _thread(system, said, tuple(unanswered))


def show(
    renderer: PromptRenderer,
    policy: Policy,
    thread: Thread,
    history: History,
    summary: window.SummaryShown | None = None,
) -> Context:
    """The prompt for what is to be answered, with as much of the thread as `history` says.

    Raises
    ------
    ContextTooLong
        where what must be whole does not fit; with `History.ALL` that is everything.
    BadInput
        where there is nothing to answer.
    """
    message, before = thread.message()
    if history is History.OFF:
        return window.alone(renderer, policy, message, before.exchanges)
    if history is History.RAW:
        return window.raw(renderer, policy, message, before.exchanges)
    if history is History.SUMMARY:
        return window.assemble(renderer, policy, message, before.exchanges, summary)
    if history is History.WINDOW:
        return window.assemble(renderer, replace(policy, summarize=False), message, before.exchanges)
    whole = replace(policy, summarize=False, exchanges=None)
    found = window.assemble(renderer, whole, message, before.exchanges)
    if found.left_out or found.cut:
        raise ContextTooLong(window.count(renderer, message, before.exchanges), policy.budget_tokens)
    return found


def fold(
    renderer: PromptRenderer, policy: Policy, thread: Thread, summary: window.SummaryShown | None = None
) -> Folding | None:
    """What to summarise after the reply that ends `thread`; None: nothing yet."""
    return window.due(renderer, policy, thread.system, thread.exchanges, summary)


def in_force(thread: Thread, summaries: Sequence[Summary]) -> tuple[Summary, window.SummaryShown] | None:
    """The summary that reaches furthest on this thread, as its row and as `chat.context.window` takes it.

    One that was taken back isn't used; of two that reach as far, the newer is.
    """
    reach = {turn_id: number for number, ids in enumerate(thread.turn_ids, 1) for turn_id in ids}
    usable = [row for row in summaries if row.undone_at is None and row.through_id in reach]
    if not usable:
        return None
    row = max(usable, key=lambda row: (reach[row.through_id], row.id))
    return row, window.SummaryShown(1, reach[row.through_id], row.content)


def through(thread: Thread, folding: Folding) -> str:
    """The Turn that a summary of `folding` reaches to: the `Summary.through_id` of its row."""
    return thread.turn_ids[folding.last - 1][-1]


def facts(thread: Thread, found: Context, summary_id: int | None = None) -> ContextFacts:
    """What became of each Turn, by id, for whoever asked."""

    def ids(numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(turn_id for number in numbers for turn_id in thread.turn_ids[number - 1])

    return ContextFacts(
        shown=ids(sorted((*found.cut, *found.shown))),
        cut=ids(found.cut),
        left_out=len(ids(found.left_out)) + len(thread.unanswered),
        summary_id=summary_id if found.covered else None,
        tokens=len(found.ids),
        budget=found.budget_tokens,
        system_in_user=found.system_in_user,
    )


class _Pair:
    """An exchange as it is put together."""

    def __init__(self) -> None:
        self.user: list[str] = []
        self.reply: list[str] = []
        self.ids: list[int] = []
        self.turns: list[str] = []

    @property
    def replied(self) -> bool:
        return bool(self.reply)

    def add(self, turn: Turn, ids_of: Callable[[Turn], Sequence[int]]) -> None:
        self.turns.append(turn.id)
        if turn.role is Role.USER:
            self.user.append(turn.content)
        else:
            self.reply.append(turn.content)
            self.ids += ids_of(turn)


def _thread(system: str, said: Sequence[_Pair], unanswered: tuple[str, ...]) -> Thread:
    whole = [pair for pair in said if pair.replied]
    open_ = said[-1] if said and not said[-1].replied else None
    return Thread(
        system=system,
        exchanges=tuple(
            Exchange(number, tuple(pair.user), "".join(pair.reply), tuple(pair.ids))
            for number, pair in enumerate(whole, 1)
        ),
        turn_ids=tuple(tuple(pair.turns) for pair in whole),
        asked=tuple(open_.user) if open_ else None,
        unanswered=unanswered,
    )
