"""Speed and time left, from what was seen."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.workers import WorkerCard
from proctor.store.reads.fleet import Fleet, LaneSight, WorkerSight
from proctor.store.runs.workers import WorkerRecord
from scheduler.watch.speed import Pace, Speed, duration

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_nothing_is_foretold_before_anything_was_measured() -> None:
    pace = Pace()
    pace.see(0.0, 0)
    assert pace.speed.per_second == 0.0
    assert pace.speed.left_s(100) is None
    assert pace.speed.left_s(0) == 0.0


def test_the_time_left_follows_from_the_speed() -> None:
    pace = Pace()
    pace.see(0.0, 10)
    pace.see(5.0, 30)
    assert pace.speed.per_second == pytest.approx(4.0)
    assert pace.speed.left_s(100) == pytest.approx(25.0)


def test_what_was_answered_before_this_start_does_not_count_as_speed() -> None:
    pace = Pace()
    pace.see(100.0, 5000)
    pace.see(110.0, 5000)
    assert pace.speed.per_second == 0.0


def test_the_speed_is_that_of_the_last_minute() -> None:
    pace = Pace()
    for second in range(601):
        pace.see(float(second), 10 * min(second, 300) + 2 * max(0, second - 300))
    assert pace.speed.per_second == pytest.approx(2.0)


def test_time_in_which_models_are_loaded_does_not_slow_the_answering() -> None:
    pace = Pace()
    pace.see(0.0, 0)
    pace.see(10.0, 20)
    pace.see(40.0, 20, loading=True)
    assert pace.speed.per_second == pytest.approx(2.0)


def test_the_time_left_counts_the_loads_still_to_come() -> None:
    assert Speed(2.0, loads_left_s=30.0).left(100) == "1 min 20 s left"
    assert Speed(2.0, loads_unknown=1).left(100) == "50 s and 1 load of a model left"
    assert Speed(2.0, loads_unknown=2).left(100) == "50 s and 2 loads of a model left"


def test_without_a_worker_no_time_is_foretold() -> None:
    assert Speed(2.0, staffed=False).left_s(100) is None
    assert Speed(2.0, staffed=False).left(100) == ""


def sight(model: str, load_s: float | None, workers: int = 0) -> LaneSight:
    return LaneSight(Lane(Device.CPU, model, Quant.NONE), 1, 0, 10, workers, None, load_s)


def fleet_of(*lanes: LaneSight, workers: int = 1) -> Fleet:
    card = WorkerCard("cpu@host:1", "host", Device.CPU, "two cores", 8)
    record = WorkerRecord(card, None, None, NOW, NOW, None, alive=True)
    return Fleet(NOW, (WorkerSight(record, None, "", 0.0),) * workers, lanes, (), 1.0)


@pytest.mark.parametrize(
    ("lanes", "workers", "seconds", "unknown"),
    [
        ((sight("held", 9.0, workers=1),), 1, 0.0, 0),
        ((sight("held", 9.0, workers=1), sight("b", 20.0)), 1, 20.0, 0),
        ((sight("held", 8.0, workers=1), sight("new", None)), 1, 8.0, 0),  # as long as the others took
        ((sight("b", 20.0), sight("c", 40.0)), 2, 30.0, 0),  # two at once
        ((sight("b", 20.0),), 2, 20.0, 0),
        ((sight("b", None), sight("c", None)), 1, 0.0, 2),
    ],
)
def test_the_loads_to_come_are_those_of_lanes_that_nobody_holds(
    lanes: tuple[LaneSight, ...], workers: int, seconds: float, unknown: int
) -> None:
    now = fleet_of(*lanes, workers=workers)
    assert now.loads_left_s == pytest.approx(seconds)
    assert now.loads_unknown == unknown
    assert now.left_s == pytest.approx(10 * len(lanes) + seconds)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (425, "7 min 5 s"), (11520, "3 h 12 min")]
)
def test_a_duration_is_said_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
