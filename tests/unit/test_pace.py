"""Speed and time left, from what was seen."""

from __future__ import annotations

import pytest

from scheduler.pace import Pace, duration


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (425, "7 min 5 s"), (11520, "3 h 12 min")]
)
def test_a_duration_is_said_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
