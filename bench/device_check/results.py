"""What a check found, as a line of the table and as an entry of the results file."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

Figure = float | int | str | bool | None

_VERDICT, _NAME = 11, 28  # columns of the table, in characters
_WORDS = _VERDICT + 10


class Verdict(StrEnum):
    """What a check's result means."""

    OK = "ok"
    FAILED = "FAILED"
    FIGURE = "figure"  # a time, a rate or a size: neither right nor wrong
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Found:
    """What a check found. `good` is None for a figure."""

    said: str
    good: bool | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """One check's line."""

    check: str
    expected: str
    found: str
    verdict: Verdict
    seconds: float
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Began:
    """A check has begun."""

    check: str
    expected: str


def lines(result: Result, width: int) -> list[str]:
    """A result in lines of at most `width` characters: verdict, check and seconds, then what was expected and found."""
    seconds = "" if result.verdict is Verdict.NOT_TRIED else f"{result.seconds:6.1f} s"
    told = {"expected": result.expected, "found": result.found}
    words = [
        textwrap.fill(
            text, width, initial_indent=f"{'':{_VERDICT}}{name:{_WORDS - _VERDICT}}", subsequent_indent=" " * _WORDS
        )
        for name, text in told.items()
    ]
    return [f"{result.verdict:{_VERDICT}}{result.check:{_NAME}}{seconds}".rstrip(), *"\n".join(words).splitlines()]


def summary(results: Sequence[Result]) -> str:
    """The last line: how many of each verdict, and which failed or weren't tried."""
    named = {verdict: [one.check for one in results if one.verdict is verdict] for verdict in Verdict}
    counts = [f"{len(names)} {verdict}" for verdict, names in named.items()]
    listed = [f"{one}: {', '.join(named[one])}" for one in (Verdict.FAILED, Verdict.NOT_TRIED) if named[one]]
    return "; ".join([", ".join(counts), *listed])


def write(file: Path, device: str, results: Sequence[Result], *, complete: bool) -> None:
    """Write all results so far; the file is whole at any moment. `complete` says that no more are to come."""
    said = {"device": device, "complete": complete, "results": [asdict(one) for one in results]}
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    part.replace(file)
