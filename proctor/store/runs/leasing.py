"""A lease's life, which Runs and replies share: taken at an attempt, renewed, left; failures and losses counted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

MAX_FAILURES = 3
RENEWALS = 4  # in a lease's time: three may fail before it is lost
LEASE_RAN_OUT = "its lease ran out"


class Leased(Protocol):
    """A row that one worker at a time works on."""

    attempt: int  # rises at each claim: the fencing number
    worker: str | None
    lease_until: datetime | None
    failures: int
    losses: int  # failures in which the worker was gone


def take(row: Leased, worker: str, now: datetime, lease_s: float) -> None:
    """Begin the next attempt, by this worker."""
    row.worker, row.attempt = worker, row.attempt + 1
    row.lease_until = now + timedelta(seconds=lease_s)


def leave(row: Leased) -> None:
    """End the attempt without a successor."""
    row.worker, row.lease_until = None, None


def silent(row: Leased) -> str:
    """Why a lease that is over was lost."""
    return f"worker {row.worker} fell silent: {LEASE_RAN_OUT}"


def lose(row: Leased, reason: str) -> str:
    """Count a lost worker; returns the reason to file, which says so at the third."""
    row.losses += 1
    return reason if row.losses < MAX_FAILURES else f"killed its worker three times; the last time: {reason}"


def fail(row: Leased, *, final: bool) -> bool:
    """Count a failure; whether it is the last: the third, or one that the next attempt would only repeat."""
    row.failures += 1
    return final or row.failures >= MAX_FAILURES
