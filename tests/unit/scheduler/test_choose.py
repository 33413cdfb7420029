"""The choice of the next lane: examples, and properties that hold for any fleet."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.workers import LaneLoad
from scheduler.choose import choose, pays_for_itself

A, B, C = (Lane(Device.CPU, name, Quant.NONE) for name in "abc")


def load(lane: Lane, waiting: int = 5, workers: int = 0, priority: int = 0) -> LaneLoad:
    return LaneLoad(lane, priority, waiting, workers, mean_run_s=1.0, mean_load_s=10.0)


def test_the_held_lane_goes_on_although_another_has_more_waiting() -> None:
    assert choose(A, [load(A, waiting=1), load(B, waiting=50)]) == A


def test_priority_goes_before_the_held_lane() -> None:
    assert choose(A, [load(A), load(B, priority=1)]) == B


def test_without_a_held_lane_the_most_waiting_for_each_worker_is_taken() -> None:
    assert choose(None, [load(A, waiting=6, workers=0), load(B, waiting=30, workers=2)]) == B
    assert choose(None, [load(A, waiting=12, workers=0), load(B, waiting=30, workers=2)]) == A


def test_the_lane_with_the_most_work_for_each_worker_is_taken_not_the_one_with_the_most_runs() -> None:
    long = replace(load(A, waiting=5), mean_run_s=100.0)
    assert choose(None, [load(B, waiting=50), long]) == A


def test_before_a_lane_is_measured_what_its_model_weighs_stands_for_how_long_a_run_takes() -> None:
    small = LaneLoad(A, 0, waiting=10, workers=0, needs_bytes=1_000_000_000)
    large = LaneLoad(B, 0, waiting=10, workers=0, needs_bytes=60_000_000_000)
    assert choose(None, [small, large]) == B
    measured = replace(small, mean_run_s=500.0)  # 0.5 s a million bytes: the large one's would take 30,000 s
    assert choose(None, [measured, large]) == B
    assert choose(None, [measured, replace(large, waiting=1, workers=9)]) == A


def test_a_lane_of_which_nothing_is_known_is_taken_for_a_usual_one() -> None:
    unknown = LaneLoad(A, 0, waiting=10, workers=0)
    assert choose(None, [unknown, load(B, waiting=9)]) == A
    assert choose(None, [unknown, load(B, waiting=11)]) == B


def test_a_lane_that_is_served_is_not_joined_for_less_than_a_load_is_worth() -> None:
    assert choose(None, [load(A, waiting=10, workers=1)]) is None
    assert choose(None, [load(A, waiting=11, workers=1)]) == A


def test_a_lane_that_nobody_serves_is_loaded_for_a_single_run() -> None:
    assert choose(B, [load(A, waiting=1)]) == A


def test_a_lower_priority_is_served_where_the_higher_is_not_worth_a_load() -> None:
    assert choose(None, [load(A, waiting=1, workers=3, priority=9), load(B, waiting=1)]) == B


def test_before_anything_was_measured_every_lane_is_worth_a_load() -> None:
    assert pays_for_itself(LaneLoad(A, 0, waiting=1, workers=9))


def test_nothing_waiting_is_nothing_to_do() -> None:
    assert choose(A, []) is None


lane_loads = st.lists(
    st.builds(
        LaneLoad,
        lane=st.sampled_from([A, B, C]),
        priority=st.integers(-2, 2),
        waiting=st.integers(1, 50),
        workers=st.integers(0, 8),
        mean_run_s=st.none() | st.floats(0.1, 100),
        mean_load_s=st.none() | st.floats(0.1, 100),
    ),
    unique_by=lambda each: each.lane,
)
helds = st.sampled_from([None, A, B, C])


@given(helds, lane_loads)
def test_the_choice_is_among_the_waiting_lanes(held: Lane | None, loads: list[LaneLoad]) -> None:
    assert choose(held, loads) in [None, *(each.lane for each in loads)]


@given(helds, lane_loads)
def test_the_order_of_the_lanes_does_not_matter(held: Lane | None, loads: list[LaneLoad]) -> None:
    assert choose(held, loads) == choose(held, list(reversed(loads)))


@given(helds, lane_loads)
def test_no_lane_without_a_worker_is_left_while_its_priority_is_the_highest(
    held: Lane | None, loads: list[LaneLoad]
) -> None:
    unattended = [replace(each, workers=0) for each in loads]
    assert not unattended or choose(held, unattended) is not None
