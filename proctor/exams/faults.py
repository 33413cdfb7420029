"""Faults gathered while reading, so that a person sees them all at once, and how what a file holds is shown to them."""

from __future__ import annotations

from proctor.errors import BadExam, SeveralFaults

MOST = 20


class Faults:
    """The first `MOST` faults, and how many more there were."""

    def __init__(self) -> None:
        self._first: list[BadExam] = []
        self._more = 0

    def __len__(self) -> int:
        return len(self._first) + self._more

    def add(self, fault: BadExam) -> None:
        """Keep a fault, or count it where there are enough."""
        if len(self._first) < MOST:
            self._first.append(fault)
        else:
            self._more += 1

    def raise_any(self) -> None:
        """Raise the fault if there is one, `SeveralFaults` if there are several, nothing if there is none."""
        if not self._first:
            return
        if len(self._first) == 1:
            raise self._first[0]
        rest = [BadExam(f"… and {self._more} more.")] if self._more else []
        raise SeveralFaults([*self._first, *rest])


def shown(value: object, most: int = 60) -> str:
    """A value from a file as it may be printed: control characters escaped, long ones cut, lists and such named."""
    if isinstance(value, str | bytes):
        value = value[: most + 1]  # cut before repr as well: a damaged file's text can be hundreds of megabytes
    elif not isinstance(value, int | float | None):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def printable(name: str) -> str:
    """A file's name as it may be printed: as it is, or quoted and escaped where it holds control characters."""
    return name if name.isprintable() else repr(name)
