"""How long the report of a large sweep takes: 27 models × 3 quantizations × 57 subjects, 1.1 million answers, made up.

    python -m bench.report_size [--models 27] [--subjects 57] [--questions 246]

Prints one JSON line: seconds to read and to write, peak memory of the process, size of the page, and seconds of
`proctor compare` as a command of its own. The database is made in a process of its own first, so that the peak is the
report's.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from analysis.data.results import read_results
from analysis.report.write import Options, write_report
from proctor.settings import Settings
from proctor.store.database.open import open_store


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=27)
    parser.add_argument("--subjects", type=int, default=57)
    parser.add_argument("--questions", type=int, default=246)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        sizes = [str(arguments.models), str(arguments.subjects), str(arguments.questions)]
        subprocess.run([sys.executable, "-m", "bench.large_sweep", folder, *sizes], check=True)
        started = time.perf_counter()
        with open_store(Settings(made, made, f"sqlite:///{made / 'proctor.db'}")) as store:
            results = read_results(store, [1])
        read = time.perf_counter()
        written = write_report(results, made / "report", Options(), datetime.now(UTC))
        ended = time.perf_counter()
        assert written.page is not None
        line = {
            "bench": "report_size",
            "runs": len(results.records),
            "answers": int(sum(panel.asked.sum() for panel in results.panels)),
            "read_s": round(read - started, 1),
            "write_s": round(ended - read, 1),
            "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "html_mb": round(written.page.stat().st_size / 1e6, 2),
            "compare_s": round(min(compare_s(made) for _ in range(3)), 2),
        }
        print(json.dumps(line))


def compare_s(home: Path) -> float:
    """Wall seconds of `proctor compare` of two of the models, from its start to its end."""
    command = [sys.executable, "-m", "proctor.cli", "compare", "Model-00-Instruct", "Model-01-Instruct"]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PROCTOR_HOME": str(home)})
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
