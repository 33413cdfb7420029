"""From `submit-sweep` to the first Answer, and how much of a sweep is forward passes. One JSON line.

    python -m bench.first_answer --benchmark ../shared/data/mmlu --limit 40

It runs the real command on a fresh database, with a warm cache, and watches the database. `forward_share` is what the
Runs measured of prefix and packs over their workers' time, from the first Run's start to the last one's end;
`forward_share_of_command` the same over the command's whole life, with its start, the broker's and the load.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from bench.scoring import TEN
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records

_LOOK_S = 0.02


def main() -> None:
    asked = _arguments()
    with TemporaryDirectory() as home:
        environ = {**os.environ, "PROCTOR_HOME": home, "PROCTOR_CACHE": str(asked.cache.resolve())}
        environ["HF_HUB_OFFLINE"] = "1"
        settings = Settings.read(environ)
        with open_store(settings):
            pass  # an empty database, so that looking needs no waiting
        command = [str(Path(sys.executable).with_name("submit-sweep")), *_words(asked)]
        began = monotonic()
        with (
            Store(settings.database_url) as store,
            subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process,
        ):
            first_s = None
            while process.poll() is None:
                if first_s is None and any(run.answered for run in records.runs(store, [1])):
                    first_s = monotonic() - began
                sleep(_LOOK_S)
            whole_s = monotonic() - began
            _say(store, first_s, whole_s, process.returncode)


def _say(store: Store, first_s: float | None, whole_s: float, code: int) -> None:
    found = records.runs(store, [1])
    measured = [run.measures for run in found if run.measures is not None]
    forward_s = sum(one.prefix.wall_s + one.score.wall_s for one in measured)
    attempts = [attempt for run in found for attempt in run.attempts]
    ended = [attempt.ended_at for attempt in attempts if attempt.ended_at is not None]
    load_s = sum(one.load.wall_s for one in measured)
    sat_s = (max(ended) - min(attempt.started_at for attempt in attempts)).total_seconds() - load_s
    line = {
        "bench": "first_answer",
        "exit_code": code,
        "runs": len(found),
        "answers": sum(run.answered for run in found),
        "first_answer_s": first_s and round(first_s, 2),
        "command_s": round(whole_s, 2),
        "load_s": round(load_s, 2),
        "forward_s": round(forward_s, 2),
        "tokenize_s": round(sum(one.tokenize.wall_s for one in measured), 2),
        "write_s": round(sum(one.write.wall_s for one in measured), 2),
        "forward_share": round(forward_s / sat_s, 3),
        "forward_share_of_command": round(forward_s / whole_s, 3),
    }
    print(json.dumps(line), flush=True)


def _words(asked: argparse.Namespace) -> list[str]:
    words = ["-m", asked.model, "-q", asked.quant, "--dtype", asked.dtype, "--limit", str(asked.limit)]
    words += ["--shots", str(asked.shots), "--device", "cpu", "--benchmark", str(asked.benchmark or "demo")]
    return words + [word for subject in asked.subjects for word in ("-s", subject)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--quant", default="none")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--benchmark", type=Path, help="a folder in MMLU's layout; without it the demo exam")
    parser.add_argument("--subjects", nargs="*", default=[])
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    asked = parser.parse_args()
    if asked.benchmark is not None and not asked.subjects:
        asked.subjects = list(TEN)
    return asked


if __name__ == "__main__":
    main()
