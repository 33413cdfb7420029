"""One check: its name, its expectation and what it needs; and a list of them run one after the other."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bench.device_check.results import Began, Found, Result, Verdict
from bench.device_check.workshop import Need, TooSmall, Workshop
from proctor.errors import first_line

TIME_IS_OVER = "the time was over"


@dataclass(frozen=True)
class Check:
    """A check. `run` raises whatever goes wrong: that is its result; `TooSmall` where it can't be tried here."""

    name: str
    expects: str
    run: Callable[[Workshop], Found]
    needs: tuple[Need, ...] = ()


def chosen(checks: Sequence[Check], patterns: Sequence[str]) -> list[Check]:
    """The checks with a name that one of the patterns fits (`*` is any text); all where there are no patterns."""
    return [one for one in checks if not patterns or any(fnmatchcase(one.name, pattern) for pattern in patterns)]


def run_all(checks: Sequence[Check], shop: Workshop, ends_at: float, tell: Callable[[Began | Result], None]) -> bool:
    """Run checks and tell of each. None begins after `ends_at` on the monotonic clock; the rest are told as not tried.

    Returns False where a check left the device unusable in this process; of those behind it nothing is told then.
    """
    for check in checks:
        if time.monotonic() >= ends_at:
            tell(not_tried(check, TIME_IS_OVER))
            continue
        tell(Began(check.name, check.expects))
        result, sick = tried(check, shop)
        tell(result)
        if sick:
            return False
    return True


def tried(check: Check, shop: Workshop) -> tuple[Result, bool]:
    """A check's result, and whether the device can't be used any more in this process."""
    lacking = [need for need in check.needs if shop.lacks(need)]
    if lacking:
        return not_tried(check, f"needs {', '.join(lacking)}"), False
    began = time.perf_counter()
    try:
        found = check.run(shop)
    except TooSmall as error:
        return not_tried(check, str(error)), False
    except Exception as error:  # noqa: BLE001 -- whatever it is, it is this check's result and not the next one's
        found = Found(f"{type(error).__name__}: {first_line(error)} ({_where(error)})", good=False)
    seconds = round(time.perf_counter() - began, 2)
    verdict = {True: Verdict.OK, False: Verdict.FAILED, None: Verdict.FIGURE}[found.good]
    result = Result(check.name, check.expects, found.said, verdict, seconds, found.figures)
    return result, not shop.recovers()


def not_tried(check: Check, why: str) -> Result:
    """The result of a check that wasn't run."""
    return Result(check.name, check.expects, why, Verdict.NOT_TRIED, 0.0)


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
