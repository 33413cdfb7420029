"""Faults gathered while reading, so that a person sees them all at once, and how what a file holds is shown to them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from proctor.errors import BadExam, BadRow, SeveralFaults

MOST = 20  # kinds of faults that are told of
FEW = 3  # rows of a kind that are told of one by one
_VALUES = re.compile(r"""'(?:[^'\\]|\\.)*…?'?|"(?:[^"\\]|\\.)*…?"?|-?\d[\d.e+]*|\b(?:None|True|False|nan|inf)\b""")


@dataclass
class _Kind:
    """Faults that differ in their place, and in the value found there, alone."""

    first: list[BadExam] = field(default_factory=list)  # up to FEW
    causes: set[str] = field(default_factory=set)  # up to 2
    count: int = 0


class Faults:
    """The faults of up to `MOST` kinds: a row's are of one kind where file, column and cause are, but for the value."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], _Kind] = {}
        self._more = 0
        self._of_file: Counter[str] = Counter()
        self._fit: set[str] = set()

    def __len__(self) -> int:
        return sum(kind.count for kind in self._kinds.values()) + self._more

    def add(self, fault: BadExam) -> None:
        """Keep a fault, or count it where there are enough."""
        self._of_file[fault.file if isinstance(fault, BadRow) else ""] += 1
        key = _key(fault)
        if key not in self._kinds and len(self._kinds) == MOST:
            self._more += 1
            return
        kind = self._kinds.setdefault(key, _Kind())
        kind.count += 1
        if len(kind.first) < FEW:
            kind.first.append(fault)
        if isinstance(fault, BadRow) and len(kind.causes) < 2:
            kind.causes.add(fault.cause)

    def fit(self, file: str) -> None:
        """Note that a file has a row that can be asked: what is wrong isn't wrong with all of it."""
        self._fit.add(file)

    def raise_any(self) -> None:
        """Raise the fault if there is one, `SeveralFaults` if there are several, nothing if there is none.

        More than `FEW` of a kind are one fault, with the first of the rows by name.
        """
        told = [fault for kind in self._kinds.values() for fault in self._told(kind)]
        if self._more:
            told.append(BadExam(f"… and {self._more} more."))
        if len(told) == 1:
            raise told[0]
        if told:
            raise SeveralFaults(told)

    def _told(self, kind: _Kind) -> list[BadExam]:
        first = kind.first[0]
        if kind.count <= FEW or not isinstance(first, BadRow):
            return kind.first
        every = "all " if first.file not in self._fit and self._of_file[first.file] == kind.count else ""
        places = ", ".join(fault.row for fault in kind.first if isinstance(fault, BadRow))
        cause = first.cause if len(kind.causes) == 1 else f"in the first, {first.cause}"
        return [BadRow(first.file, f"{every}{kind.count} rows ({places}, …)", first.column, cause, first.next_step)]


def _key(fault: BadExam) -> tuple[str, ...]:
    if not isinstance(fault, BadRow):
        return (fault.problem,)
    return (fault.file, fault.column, _VALUES.sub("…", fault.cause))


def shown(value: object, most: int = 60) -> str:
    """A value from a file as it may be printed: control characters escaped, long ones cut, lists and such named."""
    if isinstance(value, str | bytes):
        value = value[: most + 1]  # cut before repr as well: a damaged file's text can be hundreds of megabytes
    elif not isinstance(value, int | float | None):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
