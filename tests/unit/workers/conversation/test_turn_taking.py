"""Turn-taking: examples, and properties of any slot of a worker whose looks, claims and steps take what they take."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from proctor.nouns.models import Device, Lane, Quant
from workers.conversation.turn_taking import (
    ADMIT_S,
    LINGER_S,
    LOOK_S,
    MOST_LIVE,
    SHARE,
    SLICE_S,
    Act,
    Admit,
    Slot,
    Standing,
    between_packs,
    between_runs,
    is_worth_a_load,
    listens,
    next_act,
)

A, B = (Lane(Device.CPU, name, Quant.NONE) for name in "ab")
NEVER = -math.inf
FRESH = Standing(now=100.0, stopped=False, live=0, full=False, looked=NEVER, waiting=None)
RUNS, PACKS = between_runs(100.0), between_packs(100.0, left=99.0)


@dataclass
class Worker:
    """A worker that does what `next_act` says, on a clock of its own."""

    arrivals: list[tuple[float, int]]  # when each reply is filed, and its tokens; a probe has none
    step_s: float = 0.02
    look_s: float = 0.001
    admit_s: float = 0.01  # for each reply
    fits: int = MOST_LIVE  # replies that the KV cache has room for
    stops: float = math.inf
    now: float = 0.0
    live: list[int] = field(default_factory=list)  # tokens to come
    full: bool = False
    acts: list[tuple[float, Act | Admit]] = field(default_factory=list)
    idle: set[float] = field(default_factory=set)  # when it looked without a reply under way

    def run(self, slot: Slot) -> None:
        """One slot, from its beginning to `LEAVE`."""
        looked, waiting = NEVER, None
        for _ in range(100_000):
            act = next_act(slot, Standing(self.now, self.now >= self.stops, len(self.live), self.full, looked, waiting))
            self.acts.append((self.now, act))
            if act is Act.LEAVE:
                return
            if act is Act.LOOK:
                self.idle |= set() if self.live else {self.now}
                looked, waiting = self.now, any(at <= self.now for at, _ in self.arrivals)
                self.now += self.look_s
            elif isinstance(act, Admit):
                waiting = False
                self._admit(act.most)
            elif act is Act.STEP:
                waiting = None
                self._step()
            else:
                self.live.clear()
        raise AssertionError("the slot does not end")

    def of(self, kind: object) -> list[float]:
        """When it did this."""
        return [at for at, act in self.acts if act is kind]

    def _admit(self, most: int) -> None:
        ready = [one for one in self.arrivals if one[0] <= self.now][:most]
        for one in ready:
            self.now += self.admit_s
            self.full = self.full or len(self.live) >= self.fits
            if not self.full:
                self.arrivals.remove(one)
                self.live += [one[1]] if one[1] else []

    def _step(self) -> None:
        self.now += self.step_s
        going = [tokens - 1 for tokens in self.live if tokens > 1]
        self.full = self.full and len(going) == len(self.live)
        self.live = going


seconds = st.integers(0, 400).map(lambda hundredths: hundredths / 100)
standings = st.builds(
    Standing,
    now=seconds,
    stopped=st.booleans(),
    live=st.integers(0, MOST_LIVE),
    full=st.booleans(),
    looked=st.one_of(st.just(NEVER), seconds),
    waiting=st.sampled_from([None, False, True]),
).filter(lambda one: not (one.waiting and (one.full or one.live == MOST_LIVE)))  # nobody looks without room
slots = st.one_of(
    st.builds(between_runs, seconds), st.builds(lambda now, s: between_packs(now, now - s), seconds, seconds)
)
workers = st.builds(
    Worker,
    arrivals=st.lists(st.tuples(seconds, st.integers(0, 60)), max_size=60).map(sorted),
    step_s=st.sampled_from([0.001, 0.05, 0.4]),
    look_s=st.sampled_from([0.0, 0.001, 0.3]),
    admit_s=st.sampled_from([0.0, 0.01, 0.2]),
    fits=st.integers(1, MOST_LIVE),
)


def test_a_slot_begins_with_a_look() -> None:
    assert next_act(RUNS, FRESH) is Act.LOOK
    assert next_act(PACKS, FRESH) is Act.LOOK


def test_what_waits_joins_as_far_as_there_is_room() -> None:
    assert next_act(RUNS, replace(FRESH, waiting=True)) == Admit(MOST_LIVE)
    assert next_act(RUNS, replace(FRESH, waiting=True, live=MOST_LIVE - 1)) == Admit(1)


def test_where_nothing_waits_and_nothing_is_under_way_the_slot_is_over() -> None:
    assert next_act(RUNS, replace(FRESH, waiting=False)) is Act.LEAVE
    assert next_act(PACKS, replace(FRESH, waiting=False)) is Act.LEAVE


def test_without_room_nobody_looks() -> None:
    assert next_act(RUNS, replace(FRESH, live=MOST_LIVE)) is Act.STEP
    assert next_act(RUNS, replace(FRESH, live=1, full=True)) is Act.STEP
    assert next_act(RUNS, replace(FRESH, live=0, full=True)) is Act.LOOK  # alone any reply fits


def test_the_store_is_asked_again_after_a_while() -> None:
    live = replace(FRESH, live=1, looked=100.0)
    assert next_act(RUNS, replace(live, now=100.0 + LOOK_S / 2)) is Act.STEP
    assert next_act(RUNS, replace(live, now=100.0 + LOOK_S)) is Act.LOOK


def test_where_nothing_is_under_way_the_store_is_asked_at_once() -> None:
    """A step may have handed all its replies back, for want of memory: they wait again."""
    assert next_act(RUNS, replace(FRESH, looked=100.0)) is Act.LOOK
    assert next_act(PACKS, replace(FRESH, looked=100.0)) is Act.LOOK


def test_a_slot_between_packs_is_in_proportion_to_the_pack_and_never_shorter_than_a_slice() -> None:
    assert between_packs(100.0, left=98.0).ends == 100.0 + 2.0 * SHARE
    assert between_packs(100.0, left=100.0).ends == 100.0 + SLICE_S


def test_when_a_slot_between_packs_is_over_replies_pause() -> None:
    over = replace(FRESH, now=PACKS.ends, live=3)
    assert next_act(PACKS, over) is Act.LEAVE
    assert next_act(PACKS, replace(over, now=PACKS.ends - 0.001, looked=PACKS.ends - 0.001)) is Act.STEP


def test_between_runs_replies_are_made_to_their_end_and_late_ones_wait() -> None:
    late = replace(FRESH, now=100.0 + ADMIT_S)
    assert next_act(RUNS, replace(late, live=1)) is Act.STEP
    assert next_act(RUNS, late) is Act.LEAVE


def test_told_to_stop_a_worker_hands_back_what_is_under_way() -> None:
    stopped = replace(FRESH, stopped=True)
    assert next_act(PACKS, replace(stopped, live=2, waiting=True)) is Act.HAND_BACK
    assert next_act(PACKS, stopped) is Act.LEAVE


def test_a_steady_stream_of_replies_does_not_keep_a_run_from_beginning() -> None:
    busy = Worker([(n / 10, 5) for n in range(1000)])
    busy.run(between_runs(0.0))
    assert ADMIT_S <= busy.now <= ADMIT_S + MOST_LIVE * busy.admit_s + 5 * busy.step_s + LOOK_S
    assert busy.live == []


def test_a_steady_stream_of_probes_does_not_hold_up_a_reply() -> None:
    probed = Worker([(0.0, 100), *((n / 100, 0) for n in range(1000))], admit_s=0.001)
    probed.run(between_runs(0.0))
    assert len(probed.of(Act.STEP)) == 100


@given(slots, standings)
def test_the_next_act_is_one_that_can_be_done(slot: Slot, standing: Standing) -> None:
    act = next_act(slot, standing)
    if isinstance(act, Admit):
        assert standing.waiting
        assert 1 <= act.most <= MOST_LIVE - standing.live
    if act in {Act.STEP, Act.HAND_BACK}:
        assert standing.live
    if act is Act.HAND_BACK or standing.stopped:
        assert standing.stopped
        assert act in {Act.HAND_BACK, Act.LEAVE}
    if act is Act.LEAVE:
        assert not standing.live or standing.now >= slot.ends


@given(workers)
def test_between_runs_whoever_is_taken_in_is_answered_to_the_end(worker: Worker) -> None:
    worker.run(between_runs(0.0))
    assert worker.live == []
    assert all(at < ADMIT_S for at in worker.of(Act.LOOK))


@given(workers, seconds)
def test_a_slot_between_packs_ends_with_the_round_that_it_ends_in(worker: Worker, pack_s: float) -> None:
    worker.now = pack_s
    slot = between_packs(worker.now, left=0.0)
    worker.run(slot)
    assert all(at < slot.ends for at in worker.of(Act.LOOK))
    assert sum(at >= slot.ends for at in worker.of(Act.STEP)) <= 1


@given(workers)
def test_a_look_is_followed_by_a_step_before_the_next_look(worker: Worker) -> None:
    worker.run(between_runs(0.0))
    looks = [*worker.of(Act.LOOK), math.inf]
    for look, later in itertools.pairwise(looks):
        assert later >= look + LOOK_S or later in worker.idle
        assert later == math.inf or any(look <= at < later for at in worker.of(Act.STEP))


@given(workers, st.lists(seconds, min_size=30, max_size=30))
def test_slot_by_slot_all_replies_are_made_and_never_too_many_at_once(worker: Worker, packs: list[float]) -> None:
    tokens = sum(tokens for _, tokens in worker.arrivals)
    worker.now = max([at for at, _ in worker.arrivals], default=0.0)
    for pack_s in (*packs, *[4.0] * 200):
        left = worker.now
        worker.now += pack_s
        worker.run(between_packs(worker.now, left))
        assert len(worker.live) <= min(worker.fits, MOST_LIVE)
    assert (worker.arrivals, worker.live) == ([], [])
    assert len(worker.of(Act.STEP)) <= tokens


@given(workers, seconds)
def test_told_to_stop_a_worker_ends_the_slot_with_the_act_at_hand(worker: Worker, stops: float) -> None:
    worker.stops = stops
    worker.run(between_runs(0.0))
    assert [act for at, act in worker.acts if at >= stops] in ([], [Act.LEAVE], [Act.HAND_BACK, Act.LEAVE])
    assert worker.live == []


def test_a_model_is_loaded_for_who_has_waited_unless_it_is_held() -> None:
    assert is_worth_a_load(A, held=B, waited_s=31.0, least_s=30.0)
    assert is_worth_a_load(A, held=None, waited_s=0.0, least_s=0.0)
    assert not is_worth_a_load(A, held=B, waited_s=29.0, least_s=30.0)
    assert not is_worth_a_load(A, held=A, waited_s=31.0, least_s=30.0)


def test_after_a_reply_a_worker_listens_for_a_moment() -> None:
    assert listens(100.0 + LINGER_S / 2, ended=100.0)
    assert not listens(100.0 + LINGER_S, ended=100.0)
    assert not listens(100.0, ended=NEVER)
