"""What a worker's parent decides twice a second: how often to ring for itself, and when its children are hopeless."""

from __future__ import annotations

from proctor.nouns.models import Device, Lane, Quant
from workers.parent.loop import (
    BARREN_DEATHS,
    DEAF_BELLS,
    HEARTBEAT_S,
    LONGEST_PAUSE_S,
    SICK_S,
    TICK_S,
    Children,
    Noted,
    Schedule,
)


def test_bells_that_lead_to_nothing_come_ever_later_up_to_a_limit() -> None:
    rhythm = Schedule()
    pauses = []
    for _ in range(10):
        rhythm.rang(now=100.0, heard=7)
        pauses.append(rhythm.ring_at - 100.0)
    assert pauses[0] == TICK_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S


def test_after_work_the_next_bell_may_come_at_once() -> None:
    rhythm = Schedule()
    for _ in range(10):
        rhythm.rang(now=100.0, heard=7)
    rhythm.worked()
    assert rhythm.ring_at <= 100.0
    rhythm.rang(now=100.0, heard=7)
    assert rhythm.ring_at == 100.0 + TICK_S


def test_the_database_hears_of_a_worker_now_and_then_and_at_once_when_a_model_is_loaded() -> None:
    rhythm, loading, loaded = Schedule(), Noted(), Noted(Lane(Device.CPU, "m", Quant.NONE))
    assert rhythm.heartbeat_due(100.0, loading)
    rhythm.beat(100.0, loading)
    assert not rhythm.heartbeat_due(100.0 + TICK_S, loading)
    assert rhythm.heartbeat_due(100.0 + TICK_S, loaded)
    rhythm.beat(100.0 + TICK_S, loaded)
    assert not rhythm.heartbeat_due(100.0 + 2 * TICK_S, loaded)
    assert rhythm.heartbeat_due(100.0 + TICK_S + HEARTBEAT_S, loaded)


def test_a_worker_is_deaf_when_several_bells_in_a_row_were_rung_and_none_was_heard() -> None:
    rhythm = Schedule()
    told = []
    for _ in range(DEAF_BELLS + 1):
        rhythm.rang(now=100.0, heard=7)
        told.append(rhythm.deaf)
    assert told == [False] * DEAF_BELLS + [True]


def test_a_worker_that_hears_its_bells_is_never_deaf_however_little_they_lead_to() -> None:
    rhythm = Schedule()
    for heard in range(10 * DEAF_BELLS):
        rhythm.rang(now=100.0, heard=heard)
        assert not rhythm.deaf


def test_children_that_die_before_they_have_their_device_are_given_up_after_some() -> None:
    children = Children()
    told = [children.keeps_dying([pid]) for pid in range(BARREN_DEATHS + 1)]
    assert told == [False] * BARREN_DEATHS + [True]


def test_children_that_had_their_device_may_die_as_often_as_runs_kill_them() -> None:
    children = Children()
    for pid in range(10 * BARREN_DEATHS):
        assert not children.keeps_dying([pid])
        children.look(ready=True)
    assert children.deaths == 0


def test_a_child_that_lives_is_no_death() -> None:
    children = Children()
    assert [children.keeps_dying([7]) for _ in range(10 * BARREN_DEATHS)] == [False] * 10 * BARREN_DEATHS


def test_a_device_that_fails_two_children_in_ten_minutes_is_given_up_with_the_reason() -> None:
    children = Children()
    children.keeps_dying([1])
    children.look(ready=True, broken="CUDA error: uncorrectable ECC error encountered")
    assert children.sick([1], now=100.0) == ""  # it still ends
    assert children.sick([2], now=101.0) == ""
    children.keeps_dying([2])
    children.look(ready=True, broken="CUDA error: GPU has fallen off the bus")
    assert children.sick([3], now=101.0 + SICK_S - 1) == "CUDA error: GPU has fallen off the bus"


def test_a_device_that_failed_long_ago_or_a_child_killed_otherwise_is_not_sick() -> None:
    children = Children()
    children.keeps_dying([1])
    children.look(ready=True, broken="CUDA error")
    children.sick([2], now=0.0)
    children.keeps_dying([2])
    children.look(ready=True)
    assert children.sick([3], now=1.0) == ""
    children.keeps_dying([3])
    children.look(ready=True, broken="CUDA error")
    assert children.sick([4], now=SICK_S + 1) == ""
