"""What a model reads: the promises of `chat.context.window`, for any conversation and any window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from chat.context.window import (
    SUMMARY_HEADING,
    Context,
    ContextTooLong,
    Exchange,
    Folding,
    Message,
    Policy,
    PromptRenderer,
    SummaryShown,
    accept,
    alone,
    assemble,
    cut_middle,
    due,
)
from proctor.errors import BadInput

BEGIN, SYSTEM, USER, REPLY, END = range(5)  # special tokens; a character's token is its code point + 10


def spell(text: str) -> list[int]:
    return [ord(character) + 10 for character in text]


def read(ids: tuple[int, ...]) -> str:
    """A prompt as text, special tokens as | ."""
    return "".join(chr(token - 10) if token >= 10 else "|" for token in ids)


class WithSystemRole:
    """One token a character; a system message of its own, as ChatML has it."""

    has_system_role = True

    def prompt(self, system: str, exchanges: Sequence[Exchange], users: Sequence[str]) -> list[int]:
        head = [SYSTEM, *spell(system), END] if system else []
        return [BEGIN, *head, *self.said(exchanges, users)]

    def said(self, exchanges: Sequence[Exchange], users: Sequence[str]) -> list[int]:
        ids = [token for turn in exchanges for token in (*self.asked(turn.users), *turn.reply_ids, END)]
        return ids + self.asked(users)

    def asked(self, users: Sequence[str]) -> list[int]:
        return [*(token for user in users for token in (USER, *spell(user), END)), REPLY]

    def text_ids(self, text: str) -> list[int]:
        return spell(text)

    def raw(self, text: str) -> list[int]:
        return [BEGIN, *spell(text)]


class WithoutSystemRole(WithSystemRole):
    """The system prompt in front of the first user message, as Gemma has it."""

    has_system_role = False

    def prompt(self, system: str, exchanges: Sequence[Exchange], users: Sequence[str]) -> list[int]:
        ids = self.said(exchanges, users)
        return [BEGIN, USER, *spell(f"{system}\n\n"), *ids[1:]] if system else [BEGIN, *ids]


class Forgetful(WithSystemRole):
    """Earlier replies are left out but for what stands behind their last z, as thoughts are left out of history."""

    def prompt(self, system: str, exchanges: Sequence[Exchange], users: Sequence[str]) -> list[int]:
        short = [turn.reply.rpartition("z")[2] for turn in exchanges]
        kept = [exchange(n, turn.user, reply) for n, (turn, reply) in enumerate(zip(exchanges, short, strict=True), 1)]
        return super().prompt(system, kept, users)


GLUED = st.sampled_from([WithSystemRole(), WithoutSystemRole()])
FRAMINGS = st.sampled_from([WithSystemRole(), WithoutSystemRole(), Forgetful()])
TEXTS = st.text("ab cd.é", min_size=1, max_size=60)
POLICIES = st.builds(
    Policy,
    window_tokens=st.integers(60, 900),
    reserve_tokens=st.integers(1, 40),
    exchanges=st.sampled_from([None, 4, 6]),
    summarize=st.booleans(),
)


def exchange(number: int, user: str, reply: str) -> Exchange:
    return Exchange(number, (user,), reply, tuple(spell(reply)))


@st.composite
def conversations(draw: st.DrawFn) -> list[Exchange]:
    said = draw(st.lists(st.tuples(TEXTS, st.text("xyz. ", max_size=80)), max_size=12))
    return [exchange(number, user, reply) for number, (user, reply) in enumerate(said, 1)]


@st.composite
def summaries(draw: st.DrawFn, earlier: list[Exchange]) -> SummaryShown | None:
    if not earlier or draw(st.booleans()):
        return None
    return SummaryShown(1, draw(st.integers(1, len(earlier))), draw(st.text("Sum. ", min_size=1, max_size=120)))


def assembled(draw: st.DataObject, renderer: PromptRenderer, policy: Policy, earlier: list[Exchange]) -> Context:
    """A context of drawn parts, where system prompt and message fit at all."""
    system, user = draw.draw(st.sampled_from(["", "Be kind."])), draw.draw(TEXTS)
    try:
        return assemble(renderer, policy, Message((user,), system), earlier, draw.draw(summaries(earlier)))
    except ContextTooLong:
        assume(False)
        raise


@given(st.data(), FRAMINGS, POLICIES, conversations())
def test_a_prompt_is_never_over_budget(
    data: st.DataObject, renderer: PromptRenderer, policy: Policy, earlier: list[Exchange]
) -> None:
    context = assembled(data, renderer, policy, earlier)
    assert len(context.ids) <= context.budget_tokens == policy.window_tokens - policy.reserve_tokens


@given(st.data(), FRAMINGS, POLICIES, conversations())
def test_each_turn_is_accounted_for_exactly_once_and_in_order(
    data: st.DataObject, renderer: PromptRenderer, policy: Policy, earlier: list[Exchange]
) -> None:
    context = assembled(data, renderer, policy, earlier)
    places = (context.covered, context.left_out, context.cut, context.shown)
    assert sorted(number for place in places for number in place) == [turn.number for turn in earlier]
    assert all(list(place) == sorted(place) for place in places)
    assert context.left_out + context.cut + context.shown == tuple(n for n in range(1, 99) if n in _open(context))


def _open(context: Context) -> set[int]:
    return {*context.left_out, *context.cut, *context.shown}


@given(st.data(), FRAMINGS, POLICIES, conversations())
def test_at_most_six_exchanges_are_shown_and_they_are_the_newest_without_a_gap(
    data: st.DataObject, renderer: PromptRenderer, policy: Policy, earlier: list[Exchange]
) -> None:
    context = assembled(data, renderer, policy, earlier)
    seen = (*context.cut, *context.shown)
    assert policy.exchanges is None or len(seen) <= policy.exchanges
    still_open = [turn.number for turn in earlier if turn.number not in context.covered]
    assert list(seen) == still_open[len(still_open) - len(seen) :]


@given(FRAMINGS, POLICIES, conversations(), TEXTS, st.data())
def test_pinned_parts_and_the_new_message_are_always_in_whole(
    renderer: PromptRenderer, policy: Policy, earlier: list[Exchange], user: str, data: st.DataObject
) -> None:
    summary = data.draw(summaries(earlier))
    try:
        context = assemble(renderer, policy, Message((user + "!",), "PIN this."), earlier, summary)
    except ContextTooLong:
        assume(False)
        raise
    text = read(context.ids)
    assert text.startswith("||PIN this.")
    assert user + "!" in text
    if summary is not None and policy.summarize:
        assert SUMMARY_HEADING in text or policy.summary_tokens < 60
        assert (summary.text in text) != context.summary_cut


@given(GLUED, POLICIES, conversations(), TEXTS)
def test_what_is_shown_is_the_words_in_their_order(
    renderer: PromptRenderer, policy: Policy, earlier: list[Exchange], user: str
) -> None:
    try:
        context = assemble(renderer, policy, Message((user,)), earlier)
    except ContextTooLong:
        assume(False)
        raise
    by_number = {turn.number: turn for turn in earlier}
    told = "".join(f"{by_number[n].user}||{by_number[n].reply}||" for n in context.shown)
    assert read(context.ids) == f"||{told}{user}||" or context.cut


@given(FRAMINGS, POLICIES, conversations(), TEXTS)
def test_with_history_off_no_earlier_word_is_read(
    renderer: PromptRenderer, policy: Policy, earlier: list[Exchange], user: str
) -> None:
    try:
        off = alone(renderer, policy, Message((user,), "Be kind."), earlier)
    except ContextTooLong:
        assume(False)
        raise
    assert off.ids == assemble(renderer, policy, Message((user,), "Be kind.")).ids
    assert (off.shown, off.cut, off.covered, off.history) == ((), (), (), False)
    assert off.left_out == tuple(turn.number for turn in earlier)


def converse(
    renderer: PromptRenderer, policy: Policy, said: list[Exchange], summarize: str
) -> list[tuple[Context, SummaryShown | None]]:
    """A conversation as a worker leads it: assemble, reply, fold where it is due. One context a Turn."""
    contexts: list[tuple[Context, SummaryShown | None]] = []
    summary: SummaryShown | None = None
    for count, turn in enumerate(said):
        contexts.append((assemble(renderer, policy, Message((turn.user,), "Be kind."), said[:count], summary), summary))
        folding = due(renderer, policy, "Be kind.", said[: count + 1], summary)
        if folding is not None:
            summary = accept(renderer, folding, summarize) or summary
    return contexts


@settings(max_examples=60)
@given(GLUED, conversations())
def test_between_foldings_each_prompt_begins_with_the_one_before_it_and_its_reply(
    renderer: PromptRenderer, said: list[Exchange]
) -> None:
    policy = Policy(window_tokens=1500, reserve_tokens=100)
    contexts = converse(renderer, policy, said, "S.")
    for turn, ((before, in_force), (after, then)) in zip(said, pairwise(contexts), strict=False):
        if in_force == then and not after.cut:
            longer = before.ids + turn.reply_ids
            assert after.ids[: len(longer)] == longer


@settings(max_examples=60)
@given(FRAMINGS, conversations())
def test_while_summaries_succeed_nothing_is_left_out(renderer: PromptRenderer, said: list[Exchange]) -> None:
    contexts = converse(renderer, Policy(window_tokens=1500, reserve_tokens=100), said, "S.")
    assert all(context.left_out == () for context, _ in contexts)


@given(FRAMINGS, POLICIES, conversations(), st.sampled_from(["", "Be kind."]), st.data())
@example(
    WithSystemRole(),
    Policy(60, reserve_tokens=1, exchanges=4),
    [exchange(n, "a", "") for n in range(1, 6)],
    "Be kind.",
    None,
)
@example(  # the system message comes with the summary
    WithSystemRole(),
    Policy(108, reserve_tokens=1, exchanges=4),
    [exchange(n, "a" * 9, "") for n in range(1, 6)],
    "",
    None,
)
def test_a_folding_that_was_accepted_is_not_due_again(
    renderer: PromptRenderer, policy: Policy, earlier: list[Exchange], system: str, data: st.DataObject | None
) -> None:
    summary = data.draw(summaries(earlier[:-1])) if data is not None else None
    folding = due(renderer, policy, system, earlier, summary)
    if folding is None:
        assert data is not None
        return
    made = accept(renderer, folding, "S" if data is None else "S" * data.draw(st.integers(1, policy.summary_tokens)))
    assume(made is not None)
    assert made is not None
    assert (made.first, made.last) == (folding.first, folding.last)
    assert earlier[-1].number > made.last
    assert due(renderer, policy, system, earlier, made) is None


def test_a_count_that_leaves_too_much_beside_its_summary_folds_down_to_half() -> None:
    policy = Policy(window_tokens=1001, reserve_tokens=1, exchanges=6, exchanges_after=4)
    said = [exchange(n, "q", "a") for n in range(1, 4)] + [exchange(n, "q" * 95, "a" * 95) for n in range(4, 8)]
    folding = due(WithSystemRole(), policy, "", said)  # four are 792 tokens, and 1,000 are the budget
    assert folding is not None
    assert [turn.number for turn in folding.exchanges] == [1, 2, 3, 4, 5, 6]


def test_a_folding_follows_on_the_summary_before_it() -> None:
    said = [exchange(n, f"question {n}", f"answer {n}") for n in range(1, 15)]
    before = SummaryShown(1, 4, "The user greeted.")
    folding = due(WithSystemRole(), Policy(window_tokens=4000), "", said[:11], before)
    assert folding is not None
    assert [turn.number for turn in folding.exchanges] == [5, 6, 7]
    assert (folding.first, folding.last) == (1, 7)
    assert folding.source.startswith("The user greeted.\nquestion 5\nanswer 5\n")


def test_six_exchanges_stay_as_they_are_and_the_seventh_folds_down_to_four() -> None:
    said = [exchange(n, f"question {n}", f"answer {n}") for n in range(1, 8)]
    policy = Policy(window_tokens=4000)
    assert due(WithSystemRole(), policy, "", said[:6]) is None
    folding = due(WithSystemRole(), policy, "", said)
    assert folding is not None
    assert [turn.number for turn in folding.exchanges] == [1, 2, 3]


def test_above_85_percent_it_folds_down_to_half_whatever_the_count() -> None:
    policy = Policy(window_tokens=1100, reserve_tokens=100)
    said = [exchange(n, "q" * 100, "a" * 100) for n in range(1, 5)]
    assert due(WithSystemRole(), policy, "", said) is None  # 4 x 205 tokens of 1000
    folding = due(WithSystemRole(), policy, "", [*said, exchange(5, "q" * 50, "a")])
    assert folding is not None
    assert [turn.number for turn in folding.exchanges] == [1, 2, 3]  # 205 + 56 + the summary's 150 + its heading


@pytest.mark.parametrize("text", ["", "  \n", "longer than its source " * 9, "S" * 500])
def test_a_summary_that_is_empty_or_longer_than_its_source_or_limit_changes_nothing(text: str) -> None:
    source = (exchange(1, "My name is Ada.", "Hello Ada."), exchange(2, "I was born in 1815.", "Noted."))
    assert accept(WithSystemRole(), Folding(None, source, limit_tokens=400), text) is None


def test_without_a_summary_what_slid_out_of_the_window_is_named() -> None:
    said = [exchange(n, f"question {n}", f"answer {n}") for n in range(1, 10)]
    context = assemble(WithSystemRole(), Policy(window_tokens=4000), Message(("next",)), said)
    assert (context.left_out, context.shown) == ((1, 2, 3), (4, 5, 6, 7, 8, 9))


@given(FRAMINGS, POLICIES, conversations(), TEXTS)
def test_as_many_exchanges_as_fit_are_shown(
    renderer: PromptRenderer, policy: Policy, earlier: list[Exchange], user: str
) -> None:
    try:
        context = assemble(renderer, policy, Message((user,)), earlier)
    except ContextTooLong:
        assume(False)
        raise
    most = len(earlier) if policy.exchanges is None else min(len(earlier), policy.exchanges)
    if len(context.shown) < most:
        longer = renderer.prompt("", earlier[len(earlier) - len(context.shown) - 1 :], (user,))
        assert len(longer) > context.budget_tokens


def test_an_exchange_that_fits_to_the_last_token_is_shown_whole() -> None:
    said = [exchange(1, "question", "answer"), exchange(2, "more", "yes")]
    exact = len(WithSystemRole().prompt("", said, ("next",)))
    for spare, shown in ((0, (1, 2)), (-1, (2,))):
        policy = Policy(window_tokens=exact + spare + 10, reserve_tokens=10)
        assert assemble(WithSystemRole(), policy, Message(("next",)), said).shown == shown


def test_an_undone_summary_lets_its_turns_be_read_again() -> None:
    said = [exchange(n, f"question {n}", f"answer {n}") for n in range(1, 5)]
    policy = Policy(window_tokens=4000)
    with_it = assemble(WithSystemRole(), policy, Message(("next",)), said, SummaryShown(1, 2, "Two questions."))
    assert (with_it.covered, with_it.shown) == ((1, 2), (3, 4))
    assert "Two questions." in read(with_it.ids)
    without = assemble(WithSystemRole(), policy, Message(("next",)), said)
    assert (without.covered, without.shown) == ((), (1, 2, 3, 4))


def test_one_exchange_too_large_is_cut_in_the_middle_with_a_visible_mark() -> None:
    policy = Policy(window_tokens=330, reserve_tokens=30)
    huge = exchange(3, "begin " + "x" * 900 + " end", "short reply")
    context = assemble(WithSystemRole(), policy, Message(("next",), "Be kind."), [exchange(2, "before", "it"), huge])
    text = read(context.ids)
    assert (context.cut, context.shown, context.left_out) == ((3,), (), (2,))
    assert "begin xxx" in text
    assert "xxx end" in text
    assert "characters left out here" in text
    assert "short reply" in text
    assert 295 <= len(context.ids) <= 300


@pytest.mark.parametrize("window", range(330, 350))
def test_what_is_cut_fills_the_budget_to_the_last_token(window: int) -> None:
    policy = Policy(window_tokens=window, reserve_tokens=30)
    context = assemble(WithSystemRole(), policy, Message(("next",)), [exchange(1, "why", "x" * 950)])
    assert context.cut == (1,)
    assert len(context.ids) == context.budget_tokens == window - 30


def test_a_message_that_cannot_fit_is_refused_with_both_numbers_and_never_cut() -> None:
    with pytest.raises(ContextTooLong) as refused:
        assemble(WithSystemRole(), Policy(window_tokens=100, reserve_tokens=20), Message(("x" * 100,)))
    assert (refused.value.tokens, refused.value.budget_tokens) == (104, 80)
    assert "104" in str(refused.value)
    assert "80" in str(refused.value)


def test_a_summary_of_a_larger_model_is_cut_to_its_share_and_that_is_said() -> None:
    said = [exchange(1, "question", "answer"), exchange(2, "more", "yes")]
    context = assemble(
        WithSystemRole(), Policy(window_tokens=1000), Message(("next",)), said, SummaryShown(1, 1, "word " * 100)
    )
    assert context.summary_cut
    assert "characters left out here" in read(context.ids)


@given(st.text(max_size=200), st.integers(1, 250))
def test_cutting_keeps_both_ends_and_says_how_much_is_missing(text: str, characters: int) -> None:
    cut = cut_middle(text, characters)
    if len(text) <= characters:
        assert cut == text
    else:
        assert cut.startswith(text[: characters // 2])
        assert cut.endswith(text[len(text) - characters // 2 :])
        assert f"{len(text) - characters:,} characters left out" in cut


def test_turns_out_of_order_are_refused() -> None:
    with pytest.raises(BadInput, match=r"oldest first.*\[2, 1\]"):
        assemble(WithSystemRole(), Policy(1000), Message(("x",)), [exchange(2, "a", "b"), exchange(1, "c", "d")])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy(window_tokens=500, reserve_tokens=500),
        lambda: Policy(window_tokens=500, reserve_tokens=0),
        lambda: Policy(window_tokens=5000, exchanges=3, exchanges_after=4),
        lambda: Policy(window_tokens=5000, fold_above=0.4),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(BadInput):
        make()


def test_a_reply_that_is_gone_on_with_ends_the_prompt() -> None:
    opened = tuple(spell("Once upon"))
    said = [exchange(1, "question", "answer")]
    context = assemble(WithSystemRole(), Policy(1000), Message(("A story.",), opened=opened), said)
    assert read(context.ids) == "||question||answer||A story.||Once upon"
