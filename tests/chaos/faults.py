"""The faults: each strikes a fleet in the middle of a sweep, and returns when what it broke is whole again."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.chaos.fleet import LEASE_S, Fleet
from tests.chaos.scene import is_running
from tests.support import wait_until

Fault = Callable[[Fleet, int], None]
AWAY_S = 10.0
SHORT_S = 2.0


def child_killed(fleet: Fleet, sweep: int) -> None:
    fleet.member_at_work(sweep).child.kill()


def parent_killed(fleet: Fleet, sweep: int) -> None:
    fleet.member_at_work(sweep).parent.kill()


def launcher_killed(fleet: Fleet, sweep: int) -> None:
    """Its workers die with it; somebody starts another."""
    member = fleet.member_at_work(sweep)
    member.child  # noqa: B018 -- looks below the launcher, while it is there
    member.launcher.kill()
    member.launcher.wait()
    wait_until(lambda: not any(is_running(process) for process in member.everything), "its workers were gone too")
    fleet.members.remove(member)
    fleet.start()


def worker_paused(fleet: Fleet, sweep: int) -> None:
    """For longer than its lease, as a suspended machine is; then it goes on as if nothing had been."""
    member = fleet.member_at_work(sweep)
    stopped = [member.child, member.parent]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    time.sleep(LEASE_S + 1.0)
    for process in stopped:
        process.send_signal(signal.SIGCONT)


def broker_killed(fleet: Fleet, _sweep: int) -> None:
    fleet.broker.kill()
    fleet.broker.start_again()


def broker_emptied(fleet: Fleet, _sweep: int) -> None:
    with fleet.broker.client() as client:
        client.flushall()


def broker_cut(fleet: Fleet, _sweep: int) -> None:
    fleet.broker.proxy.cut()
    time.sleep(SHORT_S)
    fleet.broker.proxy.mend()


def broker_half_open(fleet: Fleet, _sweep: int) -> None:
    fleet.broker.proxy.half_open()
    time.sleep(SHORT_S)
    fleet.broker.proxy.mend()


def broker_slow(fleet: Fleet, _sweep: int) -> None:
    fleet.broker.proxy.delay_s = 0.3
    time.sleep(SHORT_S)
    fleet.broker.proxy.mend()


def database_killed(fleet: Fleet, _sweep: int) -> None:
    fleet.database.kill()
    fleet.database.start_again()


def database_away(fleet: Fleet, _sweep: int) -> None:
    fleet.database.proxy.cut()
    time.sleep(AWAY_S)
    fleet.database.proxy.mend()


def database_half_open(fleet: Fleet, _sweep: int) -> None:
    fleet.database.proxy.half_open()
    time.sleep(SHORT_S)
    fleet.database.proxy.mend()


def database_slow(fleet: Fleet, _sweep: int) -> None:
    fleet.database.proxy.delay_s = 0.1
    time.sleep(SHORT_S)
    fleet.database.proxy.mend()


# Those that no other test of this folder strikes with, a process of their own each.
SELDOM_SEEN: tuple[Fault, ...] = (
    parent_killed,
    broker_emptied,
    broker_half_open,
    database_killed,
    database_away,
    database_half_open,
)
FAULTS: tuple[Fault, ...] = (
    child_killed,
    parent_killed,
    launcher_killed,
    worker_paused,
    broker_killed,
    broker_emptied,
    broker_cut,
    broker_half_open,
    broker_slow,
    database_killed,
    database_away,
    database_half_open,
    database_slow,
)
