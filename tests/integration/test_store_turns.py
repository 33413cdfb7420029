"""A reply's life in the store, on SQLite and PostgreSQL: filed once, claimed once, written by the latest attempt."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from proctor.errors import BadInput, UnknownName
from proctor.nouns.conversations import (
    ContextFacts,
    Counts,
    Fault,
    Finish,
    History,
    Role,
    Sampling,
    TurnStatus,
    Utterance,
    path_to,
)
from proctor.nouns.models import Device, ModelRef, ModelSource, Quant
from proctor.store.conversations import conversations, turns
from proctor.store.conversations.filing import ConversationBusy, Filed, Filing, LaneFull, file_turn
from proctor.store.conversations.tables import TurnRow
from proctor.store.conversations.turns import Kept, Outcome, TurnClaim, TurnLost
from proctor.store.database.session import Store
from proctor.store.runs import workers
from tests.integration.store_world import HandClock, card

MODEL = ModelRef("smollm2", ModelSource.DEMO, "r1")
LEASE_S = 30.0
HELLO = (Utterance(Role.USER, "Hello"),)


def filing(turn_id: str = "t1", conversation: str = "c1", **more: object) -> Filing:
    plain = Filing(
        turn_id=turn_id,
        conversation_id=conversation,
        model=MODEL,
        quant=Quant.NONE,
        device=Device.CPU,
        sampling=Sampling(seed=7, stop=("\n",)),
        history=History.SUMMARY,
        broker="b1",
        say=HELLO,
    )
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type] # fields of Filing


LANE = filing().lane


def file(store: Store, turn_id: str = "t1", conversation: str = "c1", **more: object) -> Filed:
    return file_turn(store, filing(turn_id, conversation, **more))


def claim(store: Store, worker: str = "w1", most: int = 1) -> tuple[TurnClaim, ...]:
    return turns.claim(store, card(worker), "b1", LANE, most, LEASE_S).claims


def finish(store: Store, held: TurnClaim, content: str = "Hi!") -> None:
    turns.finish(store, held, Outcome(Finish.STOP, content, (5, 6), Counts(tokens_in=9, tokens_out=2), (-0.5, -0.25)))


def test_a_turn_is_filed_claimed_and_finished(store: Store) -> None:
    filed = file(store)
    assert (filed.status, filed.ahead, filed.new) == (TurnStatus.PENDING, 0, True)
    (held,) = claim(store)
    assert (held.attempt, held.lane, held.sampling, held.parent_id) == (1, LANE, Sampling(seed=7, stop=("\n",)), "t1-0")
    facts = ContextFacts(shown=("t1-0",), tokens=9, budget=100)
    turns.begin(store, held, facts, "float32")
    finish(store, held)
    found = conversations.load(store, "c1")
    question, reply = found.turns
    assert (question.role, question.content, question.parent_id) == (Role.USER, "Hello", None)
    assert (reply.content, reply.token_ids, reply.parent_id) == ("Hi!", (5, 6), "t1-0")
    assert (reply.status, reply.finish, reply.counts.tokens_in) == (TurnStatus.DONE, Finish.STOP, 9)
    assert (reply.context, reply.logprobs) == (facts, (-0.5, -0.25))
    assert found.last_turn_id == "t1"
    assert conversations.find_turn(store, "t1") == reply
    assert not turns.is_waiting(store, "b1", LANE)


def test_a_turn_that_is_sent_twice_is_filed_once(store: Store) -> None:
    file(store)
    again = file(store)
    assert (again.new, again.status) == (False, TurnStatus.PENDING)
    (held,) = claim(store)
    finish(store, held)
    assert (file(store).new, file(store).status) == (False, TurnStatus.DONE)
    assert len(conversations.load(store, "c1").turns) == 2


def test_a_second_turn_in_a_running_conversation_is_refused(store: Store) -> None:
    file(store)
    with pytest.raises(ConversationBusy) as pending:
        file(store, "t2")
    assert pending.value.live_turn_id == "t1"
    (held,) = claim(store)
    with pytest.raises(ConversationBusy):
        file(store, "t2")
    finish(store, held)
    assert file(store, "t2").new


def test_replies_that_wait_at_a_broker_that_is_gone_are_in_nobodys_way(store: Store) -> None:
    for n in range(3):
        file(store, f"old{n}", f"old{n}", broker="b0")
    assert file_turn(store, filing(), most=1).ahead == 0


def test_the_database_holds_one_live_reply_a_conversation(store: Store) -> None:
    file(store)
    (held,) = claim(store)
    finish(store, held)
    file(store, "t2")
    with pytest.raises(IntegrityError), store.write() as session:
        session.connection().execute(text("UPDATE reply SET status = 'pending' WHERE turn_id = 't1'"))


def test_conversations_that_are_begun_at_once_are_all_filed(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        filed = list(pool.map(lambda n: file(store, f"t{n}", f"c{n % 5}-{n}"), range(20)))
    assert all(one.new for one in filed)
    assert len(conversations.listing(store)) == 20


def test_one_conversation_that_is_asked_twice_at_once_takes_one(store: Store) -> None:
    def ask(n: int) -> bool:
        try:
            return file(store, f"t{n}").new
        except ConversationBusy:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(8))) == 1


def test_too_many_that_wait_are_refused_with_the_time_to_come_again(store: Store) -> None:
    for n in range(3):
        file_turn(store, filing(f"t{n}", f"c{n}"), most=3)
    with pytest.raises(LaneFull) as full:
        file_turn(store, filing("t3", "c3"), most=3)
    assert full.value.waiting == 3
    assert full.value.retry_after_s >= 1
    assert file_turn(store, filing("t2", "c2"), most=3).ahead == 2  # what is there already is no further one
    with pytest.raises(UnknownName):
        conversations.load(store, "c3")


def test_many_workers_claim_every_reply_once(store: Store) -> None:
    for n in range(24):
        file(store, f"t{n}", f"c{n}")
    with ThreadPoolExecutor(4) as pool:
        taken = [one.turn_id for part in pool.map(lambda n: claim(store, f"w{n}", 4), range(12)) for one in part]
    assert sorted(taken) == sorted(f"t{n}" for n in range(24))


def test_replies_are_claimed_in_the_order_in_which_they_were_filed(timed: Store, clock: HandClock) -> None:
    for n in (2, 0, 1):
        file(timed, f"t{n}", f"c{n}")
        clock.go_on(1)
    assert [held.turn_id for held in claim(timed, most=2)] == ["t2", "t0"]


def test_a_reply_whose_lease_ran_out_is_claimed_again_with_what_was_kept(timed: Store, clock: HandClock) -> None:
    file(timed)
    (first,) = claim(timed)
    assert turns.renew(timed, [Kept(first, (5, 6), "Hi")]) == frozenset()
    assert claim(timed, "w2") == ()
    clock.go_on(LEASE_S + 1)
    assert turns.waiting(timed, card("w2"), "b1", LANE)
    (second,) = claim(timed, "w2")
    assert (second.attempt, second.token_ids) == (2, (5, 6))


def test_a_stale_worker_writes_nothing(timed: Store, clock: HandClock) -> None:
    file(timed)
    (stale,) = claim(timed)
    clock.go_on(LEASE_S + 1)
    (held,) = claim(timed, "w2")
    assert turns.renew(timed, [Kept(stale, (1,), "x")]) == {"t1"}
    for write in (
        lambda: finish(timed, stale, "stale"),
        lambda: turns.fail(timed, stale, Fault.INTERNAL, "stale", final=True),
        lambda: turns.hand_back(timed, Kept(stale, (1,), "stale")),
        lambda: turns.begin(timed, stale, ContextFacts(), "float32"),
    ):
        with pytest.raises(TurnLost, match="Attempt 1"):
            write()
    finish(timed, held)
    reply = conversations.find_turn(timed, "t1")
    assert reply is not None
    assert reply.content == "Hi!"


def test_a_reply_that_kills_three_workers_is_failed(timed: Store, clock: HandClock) -> None:
    file(timed)
    for n in range(3):
        assert len(claim(timed, f"w{n}")) == 1
        clock.go_on(LEASE_S + 1)
    got = turns.claim(timed, card("w4"), "b1", LANE, 1, LEASE_S)
    assert got.claims == ()
    (ended,) = got.ended
    assert (ended.turn_id, ended.attempt, ended.fault) == ("t1", 3, Fault.INTERNAL)
    assert "three times" in ended.error
    assert file(timed).status is TurnStatus.FAILED
    assert file(timed, "t2").new  # the conversation goes on


def test_a_dead_workers_replies_are_released(store: Store) -> None:
    for n in range(3):
        file(store, f"t{n}", f"c{n}")
    claim(store, "w1", 2)
    (other,) = claim(store, "w2")
    assert turns.release(store, "w1", "killed") == 2
    assert [held.attempt for held in claim(store, "w3", 3)] == [2, 2]
    finish(store, other)


def test_failures_are_counted_and_handing_back_is_none(store: Store) -> None:
    file(store)
    for _ in range(2):
        turns.hand_back(store, Kept(claim(store)[0], (), ""))
        assert not turns.fail(store, claim(store)[0], Fault.INTERNAL, "broken", final=False)
    assert turns.fail(store, claim(store)[0], Fault.INTERNAL, "broken", "Traceback", final=False)
    reply = conversations.find_turn(store, "t1")
    assert reply is not None
    assert (reply.status, reply.finish, reply.fault, reply.error) == (
        TurnStatus.FAILED,
        Finish.FAILED,
        Fault.INTERNAL,
        "broken",
    )


def test_a_failure_that_would_come_again_is_final(store: Store) -> None:
    file(store)
    assert turns.fail(store, claim(store)[0], Fault.BAD_MODEL, "no such file", final=True)


def test_a_reply_is_claimed_where_its_client_listens(store: Store) -> None:
    file(store, broker="b2")
    assert claim(store) == ()
    assert not turns.waiting(store, card("w1"), "b1", LANE)
    file(store)  # the client asks again, at the broker of now
    assert len(claim(store)) == 1


def test_a_reply_at_another_broker_whose_lease_ran_out_is_left_to_its_own(timed: Store, clock: HandClock) -> None:
    file(timed, broker="b2")
    (held,) = turns.claim(timed, card("w1"), "b2", LANE, 1, LEASE_S).claims
    clock.go_on(LEASE_S + 1)
    assert claim(timed, "w2") == ()  # at b1
    finish(timed, held)  # it only was slow


def test_a_reply_that_waits_at_a_broker_that_is_gone_blocks_its_conversation_no_longer(
    timed: Store, clock: HandClock
) -> None:
    file(timed, broker="b0")
    assert file(timed, "t2").new  # the first one waited there
    (held,) = claim(timed)
    with pytest.raises(ConversationBusy):
        file(timed, "t3", broker="b2")  # a worker is at it
    clock.go_on(LEASE_S + 1)
    assert file(timed, "t3", broker="b2").new
    with pytest.raises(TurnLost):
        finish(timed, held)


def test_a_model_that_another_worker_holds_is_left_to_it_for_a_while(timed: Store, clock: HandClock) -> None:
    file(timed)
    workers.heartbeat(timed, card("w1"), LANE)
    assert turns.waiting(timed, card("w1"), "b1", LANE)
    assert not turns.waiting(timed, card("w2"), "b1", None)
    clock.go_on(turns.HOLDER_S + 1)
    found = turns.wanted(timed, card("w2"), "b1")
    assert found is not None
    assert (found.lane, found.model, found.quant) == (LANE, MODEL, Quant.NONE)
    assert found.waited_s == turns.HOLDER_S + 1


def test_a_model_that_nobody_holds_is_open_to_any_worker_of_its_device(store: Store) -> None:
    file(store)
    found = turns.wanted(store, card("w2"), "b1")
    assert found is not None
    assert found.model == MODEL
    assert turns.wanted(store, dataclasses.replace(card("w2"), device=Device.GPU), "b1") is None
    assert turns.wanted(store, dataclasses.replace(card("w2"), lanes=("cpu/other/*",)), "b1") is None


def test_of_two_models_the_one_that_is_waited_for_longest_is_wanted(timed: Store, clock: HandClock) -> None:
    other = dataclasses.replace(MODEL, name="zz", revision="r2")
    assert str(filing(model=other).lane) > str(LANE)
    file(timed, "t1", "c1", model=other)
    clock.go_on(5)
    file(timed, "t2", "c2")
    file(timed, "t3", "c3", model=other)
    clock.go_on(1)
    found = turns.wanted(timed, card("w1"), "b1")
    assert found is not None
    assert (found.model, found.waited_s) == (other, 6.0)


def test_a_reply_that_is_asked_for_again_stands_beside_the_first(store: Store) -> None:
    file(store)
    finish(store, claim(store)[0], "first")
    file(store, "t2", say=(), after="t1-0")
    finish(store, claim(store)[0], "second")
    found = conversations.load(store, "c1")
    assert [turn.content for turn in path_to(found.turns, found.last_turn_id)] == ["Hello", "second"]
    assert [turn.content for turn in path_to(found.turns, "t1")] == ["Hello", "first"]


def test_a_conversation_has_its_own_turns_in_the_order_of_their_filing(timed: Store, clock: HandClock) -> None:
    for name, conversation in (("z1", "c1"), ("y1", "c2"), ("a1", "c1")):
        file(timed, name, conversation)
        finish(timed, claim(timed)[0])
        clock.go_on(1)
    assert [turn.id for turn in conversations.load(timed, "c1").turns] == ["z1-0", "z1", "a1-0", "a1"]
    assert [turn.id for turn in conversations.load(timed, "c2").turns] == ["y1-0", "y1"]
    with timed.write() as session:  # by their times, wherever the rows lie
        for name in ("z1-0", "z1"):
            session.get_one(TurnRow, name).created_at = clock.now
    assert [turn.id for turn in conversations.load(timed, "c1").turns] == ["a1-0", "a1", "z1-0", "z1"]


def test_a_reply_needs_its_conversation_and_its_turn(store: Store) -> None:
    file(store)
    for change in ("conversation_id = 'nowhere'", "turn_id = 'nowhere'"):
        with pytest.raises(IntegrityError), store.write() as session:
            session.connection().execute(text(f"UPDATE reply SET {change} WHERE turn_id = 't1'"))


def test_a_probe_leaves_the_conversation_where_it_was(store: Store) -> None:
    file(store)
    finish(store, claim(store)[0])
    file(store, "p1", options=("A", "B"))
    (held,) = claim(store)
    assert held.options == ("A", "B")
    turns.finish(store, held, Outcome(Finish.STOP, "", (), Counts(), options_logprob=(-0.5, -1.5)))
    found = conversations.load(store, "c1")
    assert found.last_turn_id == "t1"
    assert next(turn for turn in found.turns if turn.id == "p1").options_logprob == (-0.5, -1.5)


def test_what_is_asked_apart_is_answered_and_the_conversation_goes_on_without_it(store: Store) -> None:
    file(store)
    finish(store, claim(store)[0])
    file(store, "p1", apart=True)
    finish(store, claim(store)[0])
    file(store, "t2")
    found = conversations.load(store, "c1")
    assert found.last_turn_id == "t2"
    assert [turn.id for turn in path_to(found.turns, "t2")] == ["t1-0", "t1", "t2-0", "t2"]
    assert next(turn for turn in found.turns if turn.id == "p1").content


@pytest.mark.parametrize(
    ("change", "said"),
    [({"after": "nowhere"}, "has no turn nowhere"), ({"say": ()}, "is empty"), ({"say": (), "after": ""}, "is empty")],
)
def test_what_cannot_be_answered_is_refused_and_leaves_nothing(store: Store, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        file(store, **change)
    assert conversations.listing(store) == []


def test_an_id_of_another_conversation_is_refused(store: Store) -> None:
    file(store)
    with pytest.raises(BadInput, match="another conversation"):
        file(store, "t1", "c2")
    with pytest.raises(BadInput, match="has no turn t1-0"):
        file(store, "t2", "c2", after="t1-0")


def test_conversations_are_listed_searched_and_found_by_the_beginning_of_their_id(store: Store) -> None:
    file(store, "t1", "abc1", say=(Utterance(Role.USER, "What is 100% of_this?"),))
    file(store, "t2", "abd1", title="Moons")
    assert [one.title for one in conversations.listing(store)] == ["Moons", "What is 100% of_this?"]
    assert [one.id for one in conversations.listing(store, text="MOON")] == ["abd1"]
    assert [one.id for one in conversations.listing(store, text="100% of_")] == ["abc1"]
    assert conversations.listing(store, text="100_") == []
    assert conversations.load(store, "abc").title == "What is 100% of_this?"
    assert [one.turns for one in conversations.listing(store, limit=1)] == [2]
    with pytest.raises(BadInput, match="Several"):
        conversations.load(store, "ab")
    with pytest.raises(UnknownName):
        conversations.load(store, "x")
    with pytest.raises(UnknownName):
        conversations.load(store, "%")


def test_summaries_are_added_and_taken_back_one_by_one(store: Store) -> None:
    file(store)
    for content in ("one", "two"):
        conversations.add_summary(store, "c1", "t1-0", content=content, method="model", source_tokens=9, tokens=1)
    undone = conversations.undo_summary(store, "c1")
    assert undone is not None
    assert undone.content == "two"
    assert [one.undone_at is None for one in conversations.load(store, "c1").summaries] == [True, False]
    conversations.undo_summary(store, "c1")
    assert conversations.undo_summary(store, "c1") is None


def test_conversations_go_so_long_after_their_last_message_and_others_stay(timed: Store, clock: HandClock) -> None:
    file(timed)
    (held,) = claim(timed)
    finish(timed, held)
    conversations.add_summary(timed, "c1", "t1-0", content="Hello", method="cut", source_tokens=9, tokens=2)
    clock.go_on(60.0)
    file(timed, "t2", "c2")
    assert conversations.forget(timed, timedelta(seconds=61)) == 0
    clock.go_on(3600.0)
    file(timed, "t3", "c3")
    assert conversations.forget(timed, timedelta(seconds=61)) == 1
    assert {each.id for each in conversations.listing(timed)} == {"c2", "c3"}, "c2 has a reply to come"
    assert conversations.find_turn(timed, "t1") is None
    file(timed, "t4", "c1")
    assert [turn.id for turn in conversations.load(timed, "c1").turns] == ["t4-0", "t4"]


def test_the_oldest_conversations_go_first_and_a_few_at_a_time(timed: Store, clock: HandClock) -> None:
    for number in range(5):
        file(timed, f"t{number}", f"c{number}")
        clock.go_on(1.0)
    for held in claim(timed, most=5):
        finish(timed, held)
    clock.go_on(3600.0)
    assert conversations.forget(timed, timedelta(minutes=1), most=3) == 3
    assert {each.id for each in conversations.listing(timed)} == {"c3", "c4"}
