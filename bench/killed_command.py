"""How long anything lives on after `submit-sweep` was killed with SIGKILL in mid-sweep: a JSON line.

python -m bench.killed_command [--times 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.reads import records

LIMIT_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    took = [round(seconds_until_gone(), 3) for _ in range(parser.parse_args().times)]
    print(json.dumps({"bench": "killed_command", "seconds": took, "median_s": statistics.median(took)}))


def seconds_until_gone() -> float:
    """Start a sweep, kill its command in the middle, and watch every process that it had started."""
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "PROCTOR_HOME": home}
        program = Path(sys.executable).with_name("submit-sweep")
        command = subprocess.Popen(
            [program, "-m", "smollm2", "--benchmark", "demo"], env=environ, stderr=subprocess.DEVNULL
        )
        wait_for_answers(environ)
        started = psutil.Process(command.pid).children(recursive=True)
        command.kill()
        killed = time.monotonic()
        command.wait()
        while any(is_running(process) for process in started):
            time.sleep(0.01)
        return time.monotonic() - killed


def wait_for_answers(environ: dict[str, str]) -> None:
    """Until the first pack of the sweep is recorded."""
    end = time.monotonic() + LIMIT_S
    with open_store(Settings.read(environ)) as store:
        while not any(summary.answered for summary in records.overview(store)):
            if time.monotonic() > end:
                raise TimeoutError(f"no answer in {LIMIT_S:.0f} s")
            time.sleep(0.1)


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main()
