"""`python -m bench.device_check`: a table as it goes, and a results file that is whole after every check."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from bench.device_check import results
from bench.device_check.results import Result, Verdict
from bench.device_check.supervise import Order, Stopped, supervise
from bench.device_check.work import work

_WIDEST = 120


def main() -> int:
    """Exit code: 0 where nothing failed, 1 where a check did, 2 where none could be tried, 130 where it was stopped."""
    asked = _arguments()
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    found: list[Result] = []

    def tell(result: Result) -> None:
        found.append(result)
        results.write(asked.json, asked.device, found, complete=False)
        print("\n".join(results.lines(result, width)), flush=True)

    code = 0
    with TemporaryDirectory(prefix="device-check-") as scratch:
        ends_at = time.monotonic() + 60 * asked.minutes
        try:
            supervise(work, Order(asked.device, tuple(asked.only), str(asked.cache), scratch, ends_at), tell)
        except Stopped as stop:
            print(f"Error: the checks could not be begun: {stop}.", file=sys.stderr)
            code = 2
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            code = 130
    if not found and not code:
        print(f"Error: no check is named {' or '.join(asked.only)}.", file=sys.stderr)
        code = 2
    if found:
        results.write(asked.json, asked.device, found, complete=not code)
        print(f"{results.summary(found)}\nAll figures: {asked.json}")
    return code or int(any(one.verdict is Verdict.FAILED for one in found))


def leave(code: int) -> NoReturn:
    """End with this exit code, without waiting for a process that a driver holds and no signal ends."""
    if multiprocessing.active_children():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.device_check",
        description="Check scoring and replies on this machine's device, and measure their speed (see docs/gpu.md).",
    )
    add = parser.add_argument
    add("--device", choices=["cuda", "cpu"], default="cuda", help="default: cuda; cpu is a rehearsal")
    add("--minutes", type=float, default=8, help="no check begins after so many (default: 8)")
    add("--json", type=Path, default=Path("device-check.json"), help="results, whole after every check")
    add("--only", nargs="+", default=[], metavar="NAME", help="checks of these names, such as 'scores-*'")
    cache = Path(os.environ.get("PROCTOR_CACHE") or ".cache")
    add("--cache", type=Path, default=cache, help="where the demo model may lie (default: PROCTOR_CACHE, or .cache)")
    return parser.parse_args()


if __name__ == "__main__":
    leave(main())
