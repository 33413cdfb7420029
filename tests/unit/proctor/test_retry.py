"""What is away for a while is waited for, for so long and no longer, and the wait is shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from proctor.errors import LeaseLost, StoreUnavailable
from proctor.retry import LONGEST_WAIT_S, OutageRetry


class Away:
    """A piece of work that finds the database away so many times, and then succeeds."""

    def __init__(self, times: int) -> None:
        self.left, self.tries = times, 0

    def __call__(self) -> str:
        self.tries += 1
        if self.left:
            self.left -= 1
            raise StoreUnavailable("The database is away.")
        return "written"


def test_work_is_tried_again_until_the_database_is_back() -> None:
    waits: list[float] = []
    retry = OutageRetry(lambda wait_s: bool(waits.append(wait_s)), limit_s=3600.0)  # type: ignore[func-returns-value]
    work = Away(times=12)
    assert retry(work) == "written"
    assert work.tries == 13
    assert max(waits) <= LONGEST_WAIT_S
    assert waits[0] < waits[-1]


def test_patience_comes_to_an_end() -> None:
    work = Away(times=10**9)
    with pytest.raises(StoreUnavailable):
        OutageRetry(lambda _: False, limit_s=0.0)(work)
    assert work.tries == 1


def test_a_worker_that_is_to_stop_waits_no_longer() -> None:
    told: Iterator[bool] = iter([False, True])
    work = Away(times=10**9)
    with pytest.raises(StoreUnavailable):
        OutageRetry(lambda _: next(told), limit_s=3600.0)(work)
    assert work.tries == 2


def test_other_failures_are_not_waited_out() -> None:
    def lost() -> None:
        raise LeaseLost(7, 2)

    with pytest.raises(LeaseLost):
        OutageRetry(lambda _: False, limit_s=3600.0)(lost)


def test_what_is_waited_for_is_told_at_each_wait_and_that_it_is_over() -> None:
    told: list[str] = []
    OutageRetry(lambda _: False, 3600.0, told.append)(Away(times=2))
    assert told == ["The database is away.", "The database is away.", ""]


def test_work_that_waited_for_nothing_tells_nothing() -> None:
    told: list[str] = []
    OutageRetry(lambda _: False, 3600.0, told.append)(Away(times=0))
    assert told == []
