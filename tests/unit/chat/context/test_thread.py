"""From the rows of a conversation to what a model reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chat.context.thread import Thread, facts, fold, in_force, read_thread, show, through
from chat.context.window import ContextTooLong, Policy
from proctor.errors import BadInput
from proctor.nouns.conversations import History, Role, Summary, Turn, TurnStatus
from tests.unit.chat.context.test_window import WithoutSystemRole, WithSystemRole, read, spell

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POLICY = Policy(window_tokens=4000)


def said(*messages: tuple[str, str]) -> list[Turn]:
    """A path: (role, content) each, with the ids t1, t2, …"""
    return [
        Turn(f"t{n}", "c", f"t{n - 1}" if n > 1 else None, n - 1, Role(role), content, TurnStatus.DONE, NOON)
        for n, (role, content) in enumerate(messages, 1)
    ]


def thread(*messages: tuple[str, str]) -> Thread:
    return read_thread(said(*messages), lambda turn: spell(turn.content))


def long_thread(exchanges: int) -> Thread:
    pairs = [pair for n in range(exchanges) for pair in (("user", f"question {n}"), ("assistant", f"answer {n}"))]
    return thread(*pairs, ("user", "next"))


def summary(number: int, through_id: str, *, undone: bool = False) -> Summary:
    return Summary(number, "c", through_id, f"Summary {number}.", "lead", 50, 5, NOON, NOON if undone else None)


def test_messages_become_exchanges_and_the_last_one_is_what_is_asked() -> None:
    found = thread(("system", "Be kind."), ("user", "a"), ("assistant", "b"), ("user", "c"))
    assert (found.system, found.asked) == ("Be kind.", ("c",))
    assert [(each.number, each.user, each.reply) for each in found.exchanges] == [(1, "a", "b")]
    assert found.turn_ids == (("t2", "t3"),)


def test_a_message_whose_reply_failed_before_its_first_word_is_left_out_and_counted() -> None:
    path = said(("system", "Be kind."), ("user", "far too long"), ("assistant", ""), ("user", "c"))
    path[2] = replace(path[2], status=TurnStatus.FAILED)
    found = read_thread(path, lambda turn: spell(turn.content))
    assert (found.exchanges, found.asked, found.unanswered) == ((), ("c",), ("t2", "t3"))
    assert facts(found, show(WithSystemRole(), POLICY, found, History.SUMMARY)).left_out == 2


def test_a_part_of_a_reply_that_failed_is_read_and_an_empty_reply_is_one() -> None:
    path = said(("user", "a"), ("assistant", "half"), ("user", "b"), ("assistant", ""), ("user", "c"))
    path[1] = replace(path[1], status=TurnStatus.FAILED)
    found = read_thread(path, lambda turn: spell(turn.content))
    assert [(each.user, each.reply) for each in found.exchanges] == [("a", "half"), ("b", "")]


def test_a_reply_that_was_gone_on_with_is_one_reply() -> None:
    found = thread(("user", "a"), ("assistant", "Once "), ("assistant", "upon"), ("user", "c"))
    assert [each.reply for each in found.exchanges] == ["Once upon"]
    assert found.exchanges[0].reply_ids == tuple(spell("Once upon"))
    assert found.turn_ids == (("t1", "t2", "t3"),)


def test_messages_in_a_row_and_a_greeting_stay_as_they_were_said() -> None:
    found = thread(
        ("assistant", "Welcome."), ("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d"), ("user", "e")
    )
    assert [(each.users, each.reply) for each in found.exchanges] == [((), "Welcome."), (("a", "b"), "c")]
    assert found.asked == ("d", "e")
    shown = show(WithSystemRole(), POLICY, found, History.SUMMARY)
    assert read(shown.ids) == "||Welcome.||a||b||c||d||e||"
    assert [each.user for each in found.exchanges] == ["", "a\n\nb"]


def test_a_greeting_is_gone_on_with() -> None:
    shown = show(WithSystemRole(), POLICY, thread(("assistant", "Once")), History.SUMMARY)
    assert read(shown.ids) == "||Once"


def test_where_the_system_prompt_stands_is_told() -> None:
    for system, told in (("Be kind.", True), ("", False)):
        asked = thread(*([("system", system)] if system else []), ("user", "a"))
        for history in (History.SUMMARY, History.OFF):
            assert facts(asked, show(WithoutSystemRole(), POLICY, asked, history)).system_in_user is told
            assert not facts(asked, show(WithSystemRole(), POLICY, asked, history)).system_in_user
        assert not facts(asked, show(WithoutSystemRole(), POLICY, asked, History.RAW)).system_in_user


def test_a_later_system_message_replaces_the_earlier() -> None:
    found = thread(("system", "A"), ("system", "B"), ("user", "a"), ("assistant", "b"), ("system", "C"), ("user", "c"))
    assert found.system == "C"
    assert thread(("system", "A"), ("system", "B"), ("user", "a")).system == "A\n\nB"


def test_where_the_assistant_spoke_last_its_reply_is_opened_again() -> None:
    shown = show(WithSystemRole(), POLICY, thread(("user", "a"), ("assistant", "Once upon")), History.SUMMARY)
    assert read(shown.ids) == "||a||Once upon"


def test_what_came_before_a_reply_that_is_opened_again_is_all_but_its_exchange() -> None:
    path = [message for letter in "abcd" for message in (("user", letter), ("assistant", letter.upper()))]
    message, before = thread(*path).message()
    assert (message.users, message.opened) == (("d",), tuple(spell("D")))
    assert [each.reply for each in before.exchanges] == ["A", "B", "C"]
    assert before.turn_ids == (("t1", "t2"), ("t3", "t4"), ("t5", "t6"))


def test_nothing_said_is_nothing_to_answer() -> None:
    with pytest.raises(BadInput, match="nothing to answer"):
        show(WithSystemRole(), POLICY, thread(("system", "Be kind.")), History.SUMMARY)


def test_a_raw_text_is_read_as_it_is() -> None:
    found = show(WithSystemRole(), POLICY, thread(("system", "Be kind."), ("user", "Once upon")), History.RAW)
    assert read(found.ids) == "|Once upon"


def test_each_history_shows_what_it_says() -> None:
    ten = long_thread(10)
    counts = {history: len(show(WithSystemRole(), POLICY, ten, history).shown) for history in (*History,)}
    assert counts == {History.ALL: 10, History.WINDOW: 6, History.SUMMARY: 6, History.OFF: 0, History.RAW: 0}


def test_history_all_refuses_what_does_not_fit_with_both_numbers() -> None:
    with pytest.raises(ContextTooLong) as refused:
        show(WithSystemRole(), Policy(200, reserve_tokens=50), long_thread(10), History.ALL)
    assert (refused.value.tokens, refused.value.budget_tokens) == (228, 150)


def test_the_summary_in_force_is_the_furthest_on_the_path_that_nobody_took_back() -> None:
    ten = long_thread(10)
    rows = [summary(1, "t4"), summary(2, "t8"), summary(3, "t12", undone=True), summary(4, "elsewhere")]
    found = in_force(ten, rows)
    assert found is not None
    row, speaks = found
    assert (row.id, speaks.first, speaks.last) == (2, 1, 4)
    assert in_force(ten, [summary(5, "t8"), *rows]) == (summary(5, "t8"), found[1].__class__(1, 4, "Summary 5."))
    assert in_force(ten, rows[2:]) is None


def test_facts_name_each_turn_by_its_id() -> None:
    ten = long_thread(10)
    rows = in_force(ten, [summary(7, "t8")])
    assert rows is not None
    shown = show(WithSystemRole(), POLICY, ten, History.SUMMARY, rows[1])
    told = facts(ten, shown, rows[0].id)
    assert told.shown == tuple(f"t{n}" for n in range(9, 21))
    assert (told.left_out, told.summary_id, told.tokens, told.budget) == (0, 7, len(shown.ids), 3488)
    off = facts(ten, show(WithSystemRole(), POLICY, ten, History.OFF), 7)
    assert (off.shown, off.left_out, off.summary_id) == ((), 20, None)


def test_a_folding_reaches_to_a_turn() -> None:
    done = thread(*[pair for n in range(7) for pair in (("user", f"q{n}"), ("assistant", f"a{n}"))])
    folding = fold(WithSystemRole(), POLICY, done)
    assert folding is not None
    assert through(done, folding) == "t6"
