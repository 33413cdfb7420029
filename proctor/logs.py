"""Logging, set up once by whoever starts a process, and the files that it goes to.

One line a record, as text or as a JSON object: time (UTC), level, what it is about (a Run or nothing), logger, message.
Control characters of whatever is logged are escaped, so neither a model's words nor a traceback can forge a line or
drive a terminal. What is about one Run says so in every process, so its way can be followed by its id:
`jq 'select(.run_id == 7)' PROCTOR_HOME/logs/*.log` (tests/chaos/test_one_run_in_the_logs.py).
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from proctor import private
from proctor.printing import printable

# C0, DEL and C1 controls, and the characters that Unicode lets break lines or reorder text.
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
NOTHING = "-"
ATTEMPT = re.compile(r"(?P<kind>[a-z]+)-(?P<id>\d+)(?:\.(?P<attempt>\d+))?")  # run-7.2; run-7 before it is claimed

_about: ContextVar[str] = ContextVar("about", default=NOTHING)


class OneLine(logging.Formatter):
    """A record as one line; a traceback's lines follow the message, divided by ` | `."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info).replace("\n", " | ")
        return f"{_time(record)} {record.levelname:<7} {_about.get()} {record.name}: {printable(text)}"


class OneObject(logging.Formatter):
    """A record as one line of JSON.

    Always `time` (ISO 8601, UTC), `level`, `logger`, `message`, `host`, `pid`, and `worker`, which is null in processes
    that are none. Of a record about a Run: `run` ("run-7.2"), `run_id` (7) and `attempt` (2), or null where it isn't
    claimed; of other things that are numbered, the same under their name. With an exception: `traceback`.
    """

    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self.worker = worker
        self.host = socket.gethostname()

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": printable(record.getMessage()),
            "worker": getattr(record, "worker", self.worker) or None,
            "host": self.host,
            "pid": record.process,
        }
        about = ATTEMPT.fullmatch(_about.get())
        if about is not None:
            kind, attempt = about["kind"], about["attempt"]
            fields |= {
                kind: about.group(),
                f"{kind}_id": int(about["id"]),
                "attempt": int(attempt) if attempt else None,
            }
        if record.exc_info:
            fields["traceback"] = "\n".join(
                printable(line) for line in self.formatException(record.exc_info).split("\n")
            )
        return json.dumps(fields)  # ASCII only: whatever is beyond it is escaped


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def formatter(log_format: str, worker: str = "") -> logging.Formatter:
    """The formatter of `Settings.log_format`, for a process that is this worker, or none."""
    return OneObject(worker) if log_format == "json" else OneLine()


def configure(level: str, stream: TextIO | None = None, *, log_format: str = "text", worker: str = "") -> None:
    """Send this process's log to `stream` (standard error by default), from `level` on. Replaces what was set.

    `log_format` is text or json; `worker` names the worker that this process belongs to, if any.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter(log_format, worker))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


@contextmanager
def recorded(path: Path, level: str, log_format: str) -> Iterator[None]:
    """Within this block the log goes to a file too, from `level` on: for commands whose terminal is a person's."""
    root = logging.getLogger()
    before = root.level
    with private.make_file(path).open("a", encoding="utf-8") as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(formatter(log_format))
        root.addHandler(handler)
        root.setLevel(level)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(before)


@contextmanager
def about(what: str) -> Iterator[None]:
    """Within this block (of this thread), records say that they are about `what`, such as `run-7.2` or `run-7`."""
    token = _about.set(what)
    try:
        yield
    finally:
        _about.reset(token)


def log_file(home: Path, name: str) -> Path:
    """The log file of the process `name`, its folder made and old files there removed; nothing is opened."""
    folder = private.make_own_folder(home / "logs")
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
