"""Logging, set up once by whoever starts a process, and the files that it goes to.

One line a record: time (UTC), level, what it is about (a Run, or "-"), logger, message. Control characters of
whatever is logged are escaped, so neither a model's words nor a traceback can forge a line or drive a terminal.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

# C0, DEL and C1 controls, and the characters that Unicode lets break lines or reorder text.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Libraries that say at INFO what no operator asks for.
CHATTY = (
    "alembic",
    "celery.app.trace",
    "celery.worker.strategy",
    "httpx",
    "kombu",
    "matplotlib",
    "sqlalchemy",
    "urllib3",
)
LOG_BYTES = 10_000_000  # a log file above this is cut to its newest tenth
LOGS_KEPT = 60  # files in the folder of logs; the oldest go

_about: ContextVar[str] = ContextVar("about", default="-")


class OneLine(logging.Formatter):
    """A record as one line; a traceback's lines follow the message, divided by ` | `."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = record.getMessage()
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info).replace("\n", " | ")
        return f"{at} {record.levelname:<7} {_about.get()} {record.name}: {printable(text)}"


def printable(text: str) -> str:
    """`text` with every control character written out, such as `\\x1b`: safe for a terminal and for one line."""
    return CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (standard error by default), from `level` on. Replaces what was set."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


@contextmanager
def about(what: str) -> Iterator[None]:
    """Within this block (of this thread), records say that they are about `what`, such as `run-7.2`."""
    token = _about.set(what)
    try:
        yield
    finally:
        _about.reset(token)


def log_file(home: Path, name: str) -> Path:
    """The log file of the process `name`, its folder made and old files there removed; nothing is opened."""
    folder = home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^A-Za-z0-9._-]+", "-", name) + ".log")
    by_age = sorted((_modified(old), old) for old in folder.glob("*.log") if old != path)
    for _, old in by_age[: max(0, len(by_age) + 1 - LOGS_KEPT)]:
        old.unlink(missing_ok=True)
    return path


def bound(path: Path, limit_bytes: int = LOG_BYTES) -> None:
    """Cut a log file that outgrew its limit to its newest tenth.

    Whoever writes to it must have opened it for appending; what is written during the cut may be lost.
    """
    if not path.exists() or path.stat().st_size <= limit_bytes:
        return
    with path.open("r+b") as log:
        log.seek(-limit_bytes // 10, os.SEEK_END)
        newest = log.read()
        log.truncate(0)
        log.seek(0)
        log.write(newest)


def tail(path: Path, lines: int = 5) -> str:
    """The last lines of a log file, controls escaped; "" where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 16_384))
        text = log.read().decode("utf-8", errors="replace")
    return "\n".join(printable(line) for line in text.splitlines()[-lines:])


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process tidied up first
        return 0.0
