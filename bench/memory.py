"""Whether a worker's memory stays flat over many Runs. A JSON line a Run.

    python -m bench.memory --quant 8bit --benchmark ../shared/data/mmlu --limit 10

Each Run is a subject of its own, so that no two packs have the same number of tokens: that is what oneDNN's cache of
shapes grows by. `resident` is what the process holds after the Run, `peak` the most within it, in MiB.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import psutil

from bench.scoring import TEN, timed
from proctor.catalog.resolve import resolve
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Quant
from workers.engines.base import LoadRequest
from workers.engines.devices import own_device
from workers.engines.hf.engine import load_engine
from workers.engines.measure import PeakMemory
from workers.models.local_files import local_folder


def main() -> None:
    asked = _arguments()
    benchmark = str(asked.benchmark or "demo")
    exams = load_benchmark(benchmark, list(TEN) if asked.benchmark else []).exams
    device = own_device(Device.CPU)
    ref = resolve(asked.model)
    request = LoadRequest(ref, Quant(asked.quant), DType.AUTO)
    model = load_engine(request, lambda: local_folder(ref, asked.cache), device)
    for number, exam in enumerate(exams.values(), start=1):
        with PeakMemory(device) as peak:
            done = timed(model, model.scorer, exam, Conditions(shots=asked.shots, limit=asked.limit))
        line = {
            "bench": "memory",
            "quant": asked.quant,
            "run": number,
            "subject": exam.subject,
            "seconds": round(done.seconds, 2),
            "tokens": done.tokens,
            "resident": psutil.Process().memory_info().rss >> 20,
            "peak": peak.rss_bytes >> 20,
        }
        print(json.dumps(line), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--quant", default="8bit")
    parser.add_argument("--benchmark", type=Path, help="a folder in MMLU's layout; without it the demo exam")
    parser.add_argument("--shots", type=int, default=2)
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
