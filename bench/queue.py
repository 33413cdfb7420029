"""What the queue costs, with an engine that only sleeps: real processes, real claims, a real database.

python -m bench.queue --models 8 --subjects 10 --workers 4 --load-s 2 --run-s 0.1 --packs 5
python -m bench.queue --database postgresql --models 20 --quants 4 --subjects 57 --workers 8 --load-s 1 --run-s 0.2

A JSON line: how long it took against the lower bound (all that is slept, shared out evenly), how many loads against
the fewest, how long a claim takes in each tenth of the sweep, and what database and broker grew to.
"""  # noqa: A005 -- it is run by its full name, and imported by nobody

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import psutil

from bench.sleeping import QUESTION_TOKENS, Pace, Sleeper, work
from proctor.broker import bell
from proctor.broker.app import make_app
from proctor.broker.clients import client
from proctor.embedded.command import embedded
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import RunSpec, RunStatus, SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import exams, sweeps
from tests.chaos.servers import a_database
from tests.sweeps import exam

TENTHS = 10
LIMIT_S = 550.0


@dataclass(frozen=True)
class Trial:
    """One sweep and those who work on it."""

    models: int
    quants: int  # more than there are quantizations: further models stand in for them, a lane is a lane
    subjects: int
    workers: int
    load_s: float
    run_s: float
    packs: int

    @property
    def lanes(self) -> int:
        return self.models * self.quants

    @property
    def runs(self) -> int:
        return self.lanes * self.subjects

    @property
    def bound_s(self) -> float:
        """Each lane loaded once, every Run slept, and all of it shared out evenly."""
        return (self.lanes * self.load_s + self.runs * self.run_s) / self.workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    for name, default in (("models", 8), ("quants", 1), ("subjects", 10), ("workers", 4), ("packs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, seconds in (("load-s", 2.0), ("run-s", 0.1)):
        parser.add_argument(f"--{name}", type=float, default=seconds)
    options = vars(parser.parse_args())
    with a_url(options.pop("database")) as url:
        print(json.dumps(measure(url, Trial(**options))))


def measure(url: str, trial: Trial) -> dict[str, object]:
    """Submit, work, and look at what it came to."""
    with tempfile.TemporaryDirectory() as home, open_store(Settings(Path(home), Path(home), url)) as store:
        began = time.monotonic()
        sweep = submit(store, trial)
        submit_s = time.monotonic() - began
        bells = ring(Path(home), records.progress(store, sweep))
        took_s, sleepers = crew(url, store, sweep, trial)
        progress = records.progress(store, sweep)
        assert progress.count(RunStatus.DONE) == trial.runs, "not every Run was done in time"
        loads = sum(
            record.measures is not None and record.measures.load.wall_s > 0 for record in records.runs(store, [sweep])
        )
    claims = sorted(claim for sleeper in sleepers for claim in sleeper.claims)
    return {
        "bench": "queue", "database": url.partition(":")[0], **asdict(trial), "runs": trial.runs,
        "makespan_s": round(took_s, 2), "bound_s": round(trial.bound_s, 2), "ratio": round(took_s / trial.bound_s, 3),
        "loads": loads, "fewest_loads": trial.lanes, "submit_s": round(submit_s, 2), **bells,
        "claim_median_ms_by_tenth": medians([took for _, took in claims]),
        "claim_p99_ms": round(1000 * sorted(took for _, took in claims)[int(0.99 * len(claims))], 1),
        "worker_cpu_ms_a_run": round(1000 * sum(sleeper.cpu_s for sleeper in sleepers) / trial.runs, 1),
        "database_rss_mb": database_rss_mb(url),
    }  # fmt: skip


def submit(store: Store, trial: Trial) -> int:
    """The sweep as `submit-sweep` writes it down: exams, then all Runs in one transaction."""
    asked = [exam("bench", f"subject_{number:02d}", 2 * trial.packs) for number in range(trial.subjects)]
    for each in asked:
        exams.save_exam(store, each)
    conditions = Conditions(shots=0, pack_tokens=2 * QUESTION_TOKENS)
    specs = [
        RunSpec(
            ModelRef(f"org/Model-{lane:03d}", ModelSource.HUB, "abc"), Quant.NONE, Device.CPU, DType.FLOAT32, "bench",
            each.subject, each.content_hash, len(each.questions), conditions,
        )
        for lane in range(trial.lanes)
        for each in asked
    ]  # fmt: skip
    names = tuple(each.subject for each in asked)
    request = SweepRequest(("org/*",), (Quant.NONE,), "bench", names, "cpu", DType.FLOAT32, conditions)
    return sweeps.submit(store, request, specs).sweep_id


def ring(home: Path, progress: records.SweepProgress) -> dict[str, float]:
    """All bells of the sweep, into a Valkey that nobody listens at: how long, and what they weigh."""
    settings = Settings(home, home, f"sqlite:///{home / 'unused.db'}")
    with embedded(settings, devices=None) as held, client(held.broker_url) as redis:
        before = redis.info("memory")["used_memory"]
        began = time.monotonic()
        bell.ring(make_app(held.settings), Device.CPU, [run.run_id for run in progress.runs])
        took_s = time.monotonic() - began
        after = redis.info("memory")["used_memory"]
    return {"ring_s": round(took_s, 2), "broker_mb": round((after - before) / 1e6, 2)}


def crew(url: str, store: Store, sweep: int, trial: Trial) -> tuple[float, list[Sleeper]]:
    """So many worker processes; the seconds from when all are up until every Run is over."""
    context = multiprocessing.get_context("fork")  # torch is imported once
    over, told, up = context.Event(), context.SimpleQueue(), context.Barrier(trial.workers + 1)
    pace = Pace(trial.load_s, trial.run_s / trial.packs)
    processes = [
        context.Process(target=be_worker, args=(url, number, pace, up, over, told)) for number in range(trial.workers)
    ]
    for process in processes:
        process.start()
    up.wait()
    began = time.monotonic()
    end = began + LIMIT_S
    while time.monotonic() < end and not records.progress(store, sweep).over:
        time.sleep(0.05 if trial.runs < 1000 else 0.5)
    took_s = time.monotonic() - began
    over.set()
    sleepers = [told.get() for _ in processes]
    for process in processes:
        process.join()
    return took_s, sleepers


def be_worker(url: str, number: int, pace: Pace, up: Barrier, over: Event, told: SimpleQueue[Sleeper]) -> None:
    told.put(work(url, number, pace, up.wait, over.is_set))


def medians(took_s: list[float]) -> list[float]:
    """Of each tenth of the claims, in the order in which they were made, milliseconds."""
    step = math.ceil(len(took_s) / TENTHS)
    return [round(1000 * statistics.median(took_s[start : start + step]), 2) for start in range(0, len(took_s), step)]


def database_rss_mb(url: str) -> float | None:
    """Private memory of all processes of PostgreSQL that serve us; None for SQLite, which is in the workers."""
    if url.startswith("sqlite"):
        return None
    found = [p.memory_full_info().uss for p in psutil.Process().children(recursive=True) if p.name() == "postgres"]
    found = found or [p.memory_full_info().uss for p in psutil.process_iter(["name"]) if p.info["name"] == "postgres"]
    return round(sum(found) / 1e6, 1)


@contextmanager
def a_url(database: str) -> Iterator[str]:
    """The URL of a new database."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/proctor.db"
        return
    with a_database() as server:
        yield server.direct_url


if __name__ == "__main__":
    main()
