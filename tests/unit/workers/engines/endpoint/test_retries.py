"""When a request is tried again, and when no more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from workers.engines.endpoint.retries import PATIENCE, Persistence, Setback, seconds_of, setback_of

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Mon, 30 Nov 2026 12:00:20 GMT", 20.0),
        ("Mon, 30 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header, NOW) == seconds


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_would_be_refused_again_is_not_asked_again(status: int) -> None:
    assert setback_of(status, None, NOW) is None


@pytest.mark.parametrize(("status", "busy"), [(429, True), (503, True), (500, False), (502, False)])
def test_no_room_is_told_from_a_failure(status: int, busy: bool) -> None:
    assert setback_of(status, "3", NOW) == Setback(f"it answers {status}", busy=busy, retry_after_s=3.0)


def test_a_server_is_asked_when_it_said_and_no_sooner() -> None:
    waits = Persistence(0.0)
    assert waits.wait(Setback("", busy=True, retry_after_s=42.0), 1.0) == 42.0
    assert waits.wait(Setback("", busy=True, retry_after_s=0.0), 1.0) == 1.0  # its own is longer


def test_failures_are_tried_so_often_and_no_more() -> None:
    waits = Persistence(0.0)
    told = [waits.wait(Setback("it answers 500"), 0.0) for _ in range(PATIENCE.tries + 1)]
    assert [one is not None for one in told] == [True] * (PATIENCE.tries - 1) + [False, False]


@pytest.mark.parametrize("setback", [Setback("", busy=True), Setback("", outage=True)])
def test_an_outage_is_waited_for_by_the_clock(setback: Setback) -> None:
    waits = Persistence(100.0)
    assert all(waits.wait(setback, 100.0) is not None for _ in range(3 * PATIENCE.tries))
    assert waits.wait(setback, 100.0 + PATIENCE.limit_s - 1) is None


def test_a_server_that_wants_to_be_left_alone_for_longer_than_anybody_waits_is_left() -> None:
    assert Persistence(0.0).wait(Setback("", busy=True, retry_after_s=PATIENCE.limit_s + 1), 0.0) is None
