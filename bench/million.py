"""A database with a million Answers: how fast they are written, what they weigh, how long it takes to look at them.

python -m bench.million [--database postgresql] [--models 20] [--quants 4] [--subjects 57] [--questions 241]

A JSON line. Four processes write packs of 16 Answers, each pack a transaction, as workers do; then one process reads
what `proctor status`, `proctor metrics` and `proctor report` read.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.queue import a_url
from proctor.nouns.exams import Answer, Conditions
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Measures, Provenance, RunSpec, SweepRequest
from proctor.nouns.workers import WorkerCard
from proctor.prometheus import metrics_text
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import columns, fleet, records
from proctor.store.runs import exams, runs, sweeps
from scheduler.choose import choose
from tests.sweeps import exam

T = TypeVar("T")
WRITERS = 4
PACK = 16
PROVENANCE = Provenance(DType.BFLOAT16, "shared", "a GPU", "bench", {"torch": "2.13"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    for name, default in (("models", 20), ("quants", 4), ("subjects", 57), ("questions", 241)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with a_url(options.database) as url, tempfile.TemporaryDirectory() as home:
        print(json.dumps(measure(url, Path(home), options)))


def measure(url: str, home: Path, options: argparse.Namespace) -> dict[str, object]:
    """Write everything, then look at it."""
    with open_store(Settings(home, home, url)) as store:
        lanes = options.models * options.quants
        submit_s, sweep = timed(lambda: submit(store, lanes, options.subjects, options.questions))
        write_s, _ = timed(lambda: write(url))
        answers = fleet.totals(store).answers
        return {
            "bench": "million", "database": options.database, "runs": lanes * options.subjects, "answers": answers,
            "submit_s": round(submit_s, 2), "write_s": round(write_s, 1), "answers_per_s": round(answers / write_s),
            "bytes_per_answer": round(size(store) / answers), "megabytes": round(size(store) / 1e6),
            **looks(store, sweep),
        }  # fmt: skip


def looks(store: Store, sweep: int) -> dict[str, float]:
    """Seconds for each kind of look, the second of two."""
    run_ids = [run.run_id for run in records.progress(store, sweep).runs]
    kinds: dict[str, Callable[[], object]] = {
        "status_all_s": lambda: (fleet.look(store), records.overview(store)),
        "status_sweep_s": lambda: (fleet.look(store, sweep), records.progress(store, sweep)),
        "metrics_s": lambda: metrics_text(store),
        "report_reads_s": lambda: columns.answer_columns(store, run_ids, options_logprob=True, prompt=True),
    }
    found = {}
    for name, kind in kinds.items():
        kind()
        found[name] = round(timed(kind)[0], 3)
    return found


def submit(store: Store, lanes: int, subjects: int, questions: int) -> int:
    asked = [exam("bench", f"subject_{number:02d}", questions) for number in range(subjects)]
    for each in asked:
        exams.save_exam(store, each)
    specs = [
        RunSpec(
            ModelRef(f"org/Model-{lane:03d}", ModelSource.HUB, "abc"), Quant.NONE, Device.CPU, DType.AUTO, "bench",
            each.subject, each.content_hash, questions, Conditions(),
        )
        for lane in range(lanes)
        for each in asked
    ]  # fmt: skip
    names = tuple(each.subject for each in asked)
    request = SweepRequest(("org/*",), (Quant.NONE,), "bench", names, "cpu", DType.AUTO, Conditions())
    return sweeps.submit(store, request, specs).sweep_id


def write(url: str) -> None:
    """All Runs of the database, by several writers at once."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_runs, args=(url, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0


def write_runs(url: str, number: int) -> None:
    me = WorkerCard(f"cpu@bench:{number}", "bench", Device.CPU, "a CPU", 1 << 34)
    known: dict[str, list[str]] = {}
    held = None
    with Store(url) as store:
        while claim := runs.claim_best(store, me, held, choose, 600.0):
            held, spec = claim.spec.lane, claim.spec
            if spec.subject not in known:
                loaded = exams.load_exam(store, spec.benchmark, spec.subject, spec.exam_hash)
                known[spec.subject] = [question.id for question in loaded.questions]
            runs.begin(store, claim, PROVENANCE)
            ids = known[spec.subject]
            for index, start in enumerate(range(0, len(ids), PACK)):
                answers = [
                    Answer(id_, "ab" * 32, 5, (-0.1, -2.5, -3.5, -4.5), 0, correct=True)
                    for id_ in ids[start : start + PACK]
                ]
                runs.record(store, claim, index, answers, Cost(0.5, 0.5, 0.5))
            runs.finish(store, claim, Measures(score=Cost(8.0)))


def size(store: Store) -> int:
    """Bytes of the whole database: its files, or what PostgreSQL says."""
    if not store.is_postgresql:
        file = Path(str(store.url.database))
        return sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))
    with store.read() as session:
        told = session.connection().exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        return int(told)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    done = work()
    return time.perf_counter() - began, done


if __name__ == "__main__":
    main()
