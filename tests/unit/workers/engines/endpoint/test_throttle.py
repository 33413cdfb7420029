"""How many requests are under way: more while a server keeps up, half as many when it pushes back."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from workers.engines.endpoint.throttle import FIRST, Throttle


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def round_of(throttle: Throttle, clock: Clock, count: int) -> None:
    """So many requests, one after the other, that end well."""
    for _ in range(count):
        clock.now += 1
        with throttle.turn():
            pass


def test_a_round_that_ends_well_makes_room_for_one_more_up_to_the_most() -> None:
    clock = Clock()
    throttle = Throttle(6, clock=clock)
    assert throttle.limit == FIRST
    round_of(throttle, clock, FIRST + 1)
    assert FIRST + 1 < throttle.limit < FIRST + 2
    round_of(throttle, clock, 100)
    assert throttle.limit == 6


def test_a_server_without_room_is_asked_half_as_much_once_for_all_that_it_turned_away() -> None:
    clock = Clock(10.0)
    throttle = Throttle(32, clock=clock)
    throttle.limit = 16.0
    for _ in range(5):  # in the same moment
        throttle.push_back()
    assert throttle.limit == 8
    for _ in range(10):
        clock.now += 1
        throttle.push_back()
    assert throttle.limit == 1


def test_what_began_before_the_server_pushed_back_makes_no_room() -> None:
    clock = Clock()
    throttle = Throttle(32, clock=clock)
    with throttle.turn():
        clock.now = 1.0
        throttle.push_back()
    assert throttle.limit == FIRST / 2


def test_no_more_are_under_way_than_the_limit_says() -> None:
    throttle = Throttle(2)
    together, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(2, timeout=60)

    def work() -> None:
        nonlocal together, most
        with throttle.turn():
            with lock:
                together += 1
                most = max(most, together)
            gate.wait()  # two are within
            with lock:
                together -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


class Stopped(Exception):
    """The worker is to stop."""


def test_who_waits_for_a_turn_gives_up_where_the_worker_is_to_stop() -> None:
    def check() -> None:
        raise Stopped

    throttle = Throttle(1, check)
    throttle.push_back(retry_after_s=1e6)
    with pytest.raises(Stopped), throttle.turn():
        pass
    assert throttle.under_way == 0
