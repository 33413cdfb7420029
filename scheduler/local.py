"""Runs a sweep on this machine: a broker and workers of our own, for as long as it takes.

As a program (`python -m scheduler.local SWEEP [--group=N] [--max-memory=BYTES] [--endpoint=URL ...]`) it is what
`submit-sweep --detach` leaves behind without a fleet.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from proctor import logs, private
from proctor.allotment import Allotment
from proctor.catalog.endpoint import add_arguments, of_arguments
from proctor.embedded.command import embedded
from proctor.nouns.models import Device
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from scheduler.watch.follow import follow
from scheduler.workplace import Workplace


def run(store: Store, settings: Settings, sweep_id: int, place: Workplace, *, verbose: bool = False) -> bool:
    """Work on the sweep until it is over; returns whether a person stopped it. All that was started ends with it.

    Raises
    ------
    BrokerUnavailable, WorkersUnavailable
        where the broker or every worker fails; what was answered until then is kept.
    """
    wanted = {part.lane.device for part in records.progress(store, sweep_id).parts if part.status is RunStatus.PENDING}
    devices = "cpu" if wanted <= {Device.CPU} and place.server is None else "auto"
    with embedded(settings, devices, sweep_id, place.allotment, place.server_arguments) as crew:
        return follow(store, sweep_id, verbose=verbose, crew=crew)


def start(settings: Settings, sweep_id: int, place: Workplace) -> Path:
    """Leave a process behind that works on the sweep; returns the file that it writes its words to."""
    log_path = logs.log_file(settings.home, f"sweep-{sweep_id}")
    with private.append_to(log_path) as log_file:
        subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-P", "-m", "scheduler.local", str(sweep_id), *place.arguments],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            env={**os.environ, **settings.environ()},
            start_new_session=True,
        )
    return log_path


def main() -> None:
    asked = _parser().parse_args()
    settings = Settings.read(os.environ)
    with open_store(settings) as store:
        run(store, settings, asked.sweep, Workplace(Allotment(asked.group, asked.max_memory), of_arguments(asked)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scheduler.local")
    parser.add_argument("sweep", type=int)
    parser.add_argument("--group", type=int, default=Allotment.group)
    parser.add_argument("--max-memory", type=int, metavar="BYTES")
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    main()
