"""A command that owns an embedded broker and workers until its sweep is over, for tests that kill it.

python -m tests.chaos.owner SWEEP
"""

from __future__ import annotations

import os
import sys
import time

from proctor.broker.app import make_app
from proctor.broker.dispatch import ring
from proctor.broker.embedded import embedded
from proctor.nouns import Device
from proctor.settings import Settings
from proctor.store import reads
from proctor.store.session import open_store


def main(sweep: int) -> None:
    settings = Settings.read(os.environ)
    with open_store(settings) as store, embedded(settings, "cpu") as crew:
        ring(make_app(crew.settings), Device.CPU, [run.run_id for run in reads.progress(store, sweep).runs])
        while not reads.progress(store, sweep).over:
            crew.check()
            time.sleep(0.1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
