"""How long a Run waits after something was killed: real processes, PostgreSQL, a broker and a tiny model.

python -m bench.recovery [--times 3] [--kind child]

A JSON line for each kind. Two workers, one at a Run and one idle; what is killed is the worker's child, its parent, its
launcher, all of it at once (a machine that lost power; the lease is 3 s), the broker or the database.
`claimed_again_s` is from each kill to the next attempt at that Run, whoever makes it; null where the attempt outlived
the kill. `stood_still_s` is the longest time without a finished pack from the kill on, the model's load included.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil
from sqlmodel import col, select

from proctor.catalog.resolve import resolve
from proctor.store.runs.tables import PackRow
from tests import tiny
from tests.chaos.faults import broker_killed, child_killed, database_killed, parent_killed
from tests.chaos.fleet import LEASE_S, Fleet, Member, a_fleet
from tests.chaos.scene import is_running, runs_of, wait_for_end
from tests.support import wait_until

WORKERS = 2
SETTLE_S = 12.0  # a worker that is up imports torch before it looks for Runs, and nothing outside it shows when


@dataclass(frozen=True)
class Recovery:
    """What followed one kill, seconds."""

    claimed_again_s: float | None  # None: the attempt outlived it
    stood_still_s: float


def launcher_alone(fleet: Fleet, sweep: int) -> None:
    member = fleet.member_at_work(sweep)
    member.child  # noqa: B018 -- looks below the launcher, while it is there
    member.launcher.kill()


def machine(fleet: Fleet, sweep: int) -> None:
    """Nobody is left who could say that the Run is free: its lease has to run out."""
    member = fleet.member_at_work(sweep)
    below = [member.parent, member.child]  # looked up while the launcher is there
    member.launcher.kill()
    for process in below:
        process.kill()


KINDS: dict[str, Callable[[Fleet, int], None]] = {
    "child": child_killed,
    "parent": parent_killed,
    "launcher": launcher_alone,
    "machine": machine,
    "broker": broker_killed,
    "database": database_killed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="kills of each kind")
    parser.add_argument("--kind", choices=list(KINDS), action="append", help="only this kind; may be repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = resolve(str(tiny.make(folder / "tiny-llama")))
        with a_fleet(folder, model, count=WORKERS) as fleet:
            for kind in options.kind or KINDS:
                found = [strike(fleet, KINDS[kind]) for _ in range(options.times)]
                print(json.dumps(line(kind, found)), flush=True)


def strike(fleet: Fleet, kill: Callable[[Fleet, int], None]) -> Recovery:
    """Kill in the middle of a Run, see that Run to its end, and make the fleet whole again."""
    sweep = fleet.sweep_in_its_middle(subjects=1)
    struck = datetime.now(UTC)
    kill(fleet, sweep)
    wait_for_end(fleet.store, sweep)
    (run,) = runs_of(fleet.store, sweep)
    later = [attempt.started_at for attempt in run.attempts if attempt.started_at > struck]
    with fleet.store.read() as session:
        recorded = session.exec(select(PackRow.recorded_at).where(col(PackRow.sweep_id) == sweep)).all()
    moments = [struck, *sorted(moment for moment in recorded if moment > struck)]
    make_whole(fleet)
    return Recovery(
        (min(later) - struck).total_seconds() if later else None,
        max((after - before).total_seconds() for before, after in pairwise(moments)),
    )


def make_whole(fleet: Fleet) -> None:
    """Two workers that look for Runs: new ones for those that are gone."""
    fleet.members[:] = [member for member in fleet.members if member.launcher.poll() is None]
    while len(fleet.members) < WORKERS:
        fleet.start()
    wait_until(lambda: all(has_child(member) for member in fleet.members), "every worker had a child")
    time.sleep(SETTLE_S)


def has_child(member: Member) -> bool:
    try:
        return is_running(member.child)
    except psutil.NoSuchProcess:  # its parent went meanwhile, or was only asked for the devices
        return False


def line(kind: str, found: Sequence[Recovery]) -> dict[str, object]:
    again = [None if one.claimed_again_s is None else round(one.claimed_again_s, 2) for one in found]
    return {
        "bench": "recovery", "killed": kind, "lease_s": LEASE_S, "claimed_again_s": again,
        "stood_still_s": [round(one.stood_still_s, 2) for one in found],
    }  # fmt: skip


if __name__ == "__main__":
    main()
