"""A fleet of real processes: PostgreSQL, broker, and workers that were started as `proctor worker` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from proctor.nouns.models import Device, ModelRef
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import workers
from tests.chaos.scene import (
    ON_POSTGRES,
    Processes,
    assert_every_answer_once,
    is_running,
    recompute,
    recorded_scores,
    runs_of,
    submit,
    wait_for_end,
    wait_for_middle,
)
from tests.chaos.servers import Broker, Database, a_broker, a_database
from tests.support import wait_until
from workers.engines.devices import own_device

LEASE_S = 3.0
# Keys that stay in Redis without an expiry, and why. Everything else must have one.
REASONS = {
    "_kombu.binding": "which queues exist, as kombu notes it: a few a queue, however much is sent",
    "unacked": "bells in the hands of a worker; those of a killed one come back after the visibility timeout",
    "cpu": "bells that wait for a worker: gone when the last is answered",
}


@dataclass
class Member:
    """One `proctor worker` of the fleet: a launcher, its worker's parent, and the child that holds the model."""

    launcher: subprocess.Popen[bytes]
    everything: list[psutil.Process] = field(default_factory=list)  # that was ever seen below it

    @property
    def parent(self) -> psutil.Process:
        """The worker's parent process of now."""
        return self._below(psutil.Process(self.launcher.pid), "the launcher has a worker")

    @property
    def child(self) -> psutil.Process:
        """The worker's child of now; a parent that isn't up yet has none, or other children that come and go."""
        return self._below(self.parent, "the worker has a child")

    def _below(self, above: psutil.Process, description: str) -> psutil.Process:
        found: list[psutil.Process] = []

        def is_there() -> bool:
            assert self.launcher.poll() is None
            found[:] = [process for process in above.children() if is_running(process)]
            self.everything += [process for process in found if process not in self.everything]
            return bool(found)

        wait_until(is_there, description)
        return found[-1]


class Fleet:
    """Servers and workers that outlive many faults, and what must hold after each."""

    def __init__(self, database: Database, broker: Broker, settings: Settings, model: ModelRef) -> None:
        self.database, self.broker, self.settings, self.model = database, broker, settings, model
        self.members: list[Member] = []
        self.store = Store(database.direct_url)

    def start(self, environ: Mapping[str, str] | None = None) -> Member:
        """One more worker; returns at once, without waiting until it is up."""
        with (self.settings.home / "launchers.log").open("ab") as log:
            launcher = subprocess.Popen(
                [sys.executable, "-P", "-m", "workers.launcher.run", "--devices", "cpu"],
                env={**os.environ, **self.settings.environ(), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.members.append(Member(launcher))
        return self.members[-1]

    def wait_until_up(self) -> None:
        """Until every worker was heard of and has its child."""
        wait_until(lambda: self._alive() >= len(self.members), "every worker was up")
        for member in self.members:
            assert is_running(member.child)

    def member_at_work(self, sweep: int) -> Member:
        """One whose worker has a Run of this sweep now."""
        found: list[Member] = []

        def somebody_works() -> bool:
            at = {run.worker for run in runs_of(self.store, sweep) if run.status == RunStatus.RUNNING}
            found[:] = [m for m in self.members if any(f":{m.launcher.pid}-" in (name or "") for name in at)]
            return bool(found)

        wait_until(somebody_works, "a worker was at a Run")
        return found[0]

    def sweep_in_its_middle(self, subjects: int = 3) -> int:
        sweep = submit(self.store, self.model, subjects, questions=ON_POSTGRES)
        wait_for_middle(self.store, sweep)
        return sweep

    def check_end(self, sweep: int) -> None:
        """What must hold, whatever happened meanwhile: every Answer once, and that of an undisturbed run to the bit."""
        wait_for_end(self.store, sweep)
        assert_every_answer_once(self.store, sweep)
        assert recorded_scores(self.store, sweep) == recompute(self.store, sweep, own_device(Device.CPU))
        left = self._keys_for_ever()
        assert left == [], left

    def stop(self) -> None:
        """All workers in order; nothing of them is left."""
        for member in self.members:
            member.launcher.send_signal(signal.SIGTERM)
        for member in list(self.members):
            self._wait_until_gone(member)

    def leave(self, member: Member) -> None:
        """This one in order; nothing of it is left."""
        member.launcher.send_signal(signal.SIGTERM)
        self._wait_until_gone(member)

    def _wait_until_gone(self, member: Member) -> None:
        member.launcher.wait(timeout=300)
        left = Processes(tuple(member.everything))
        wait_until(lambda: left.running == [], "nothing was left running")
        self.members.remove(member)

    def _alive(self) -> int:
        return sum(worker.alive for worker in workers.listing(self.store))

    def _keys_for_ever(self) -> list[str]:
        with self.broker.client() as client:
            return [key for key in client.scan_iter() if client.ttl(key) == -1 and not key.startswith(tuple(REASONS))]


@contextmanager
def a_fleet(folder: Path, model: ModelRef, count: int) -> Iterator[Fleet]:
    """Servers, and so many workers that are up; all of it is gone at the end."""
    with a_database() as database, a_broker(folder) as broker:
        settings = Settings(folder, folder / "cache", database.url, broker.url, lease_s=LEASE_S)
        open_store(settings).close()  # makes the tables
        fleet = Fleet(database, broker, settings, model)
        try:
            for _ in range(count):
                fleet.start()
            fleet.wait_until_up()
            yield fleet
            fleet.stop()
        finally:
            for member in fleet.members:
                for process in member.everything:
                    if process.is_running():
                        process.kill()
                member.launcher.kill()
                member.launcher.wait()
            fleet.store.close()
