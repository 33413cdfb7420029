"""What the guard and the launcher tell whoever started them: one JSON line a report, on a pipe of their own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from proctor.errors import BrokerUnavailable


class ReportKind(StrEnum):
    """What happened. Only FAILED is the end: the others are news."""

    STARTED = "started"  # a process group is there: the broker, the launcher or a worker; it can't work yet
    BROKER_UP = "broker up"  # detail: its URL with the password, for the owner's eyes only
    BROKER_BACK = "broker back"  # it had died and was started again, empty, at the same address
    WORKER_UP = "worker up"
    WORKER_SLOW = "worker not up yet"  # detail: what its log said last
    # Three that are for the launcher only:
    WORKER_UNFIT = "worker unfit"  # it can't work, and starting it again would change nothing
    WORKER_IDLE = "worker idle"  # told to stop, and it holds nothing: it may be killed
    WORKER_DRAINED = "worker drained"  # told to stop, and its child holds nothing any more: a moment, then it may
    WORKER_DIED = "worker died"  # and is started again
    WORKER_ENDED = "worker ended"
    WORKER_GIVEN_UP = "worker given up"  # it died too often
    FAILED = "failed"  # nothing is left to work; detail is the problem


@dataclass(frozen=True)
class Report:
    """One piece of news about `subject`: "broker", "launcher" or a worker's name. `log` is the file that knows more."""

    kind: ReportKind
    subject: str
    detail: str = ""
    log: str = ""
    pid: int = 0  # of the process group that STARTED

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Report:
        """Read a line of `to_line` back.

        Raises
        ------
        BrokerUnavailable
            for anything else: the process at the other end isn't ours, or is broken.
        """
        try:
            fields = json.loads(line)
            return cls(
                kind=ReportKind(fields["kind"]),
                subject=str(fields["subject"]),
                detail=str(fields["detail"]),
                log=str(fields["log"]),
                pid=int(fields["pid"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BrokerUnavailable(f"The guard process said {line[:200]!r}, which is no report.") from error


class LineReader:
    """Whole lines out of pieces that arrive as they like."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes, without their ends."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return lines
