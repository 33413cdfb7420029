"""Log lines can't be forged, and log files don't grow for ever."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proctor import logs, printing


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes for one test; what pytest had set up is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    heard = io.StringIO()
    logs.configure("INFO", heard)
    yield heard
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_a_record_is_one_line_with_time_level_and_what_it_is_about(stream: io.StringIO) -> None:
    with logs.about("run-7.2"):
        logging.getLogger("workers.sit").warning("left after %.1f s", 3.25)
    line = stream.getvalue()
    assert line.endswith("Z WARNING run-7.2 workers.sit: left after 3.2 s\n")
    assert line.count("\n") == 1


def test_outside_of_a_run_records_are_about_nothing(stream: io.StringIO) -> None:
    logging.getLogger("a").info("begin")
    assert " INFO    - a: begin" in stream.getvalue()


def test_a_traceback_stays_on_the_line_of_its_record(stream: io.StringIO) -> None:
    try:
        int("of this\nvalue")
    except ValueError:
        logging.getLogger("a").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "failed | Traceback" in line
    assert r"'of this\nvalue'" in line


@given(st.text())
def test_whatever_is_said_stays_one_printable_line(text: str) -> None:
    shown = printing.printable(text)
    assert len(shown.splitlines()) <= 1
    assert all(ord(character) >= 32 and not 127 <= ord(character) < 160 for character in shown)


def test_escape_sequences_are_written_out() -> None:
    assert printing.printable("a\x1b[2Jb\r\n") == "a\\x1b[2Jb\\r\\n"


def test_a_log_file_that_outgrew_its_limit_keeps_its_newest_part(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab") as writer:
        writer.write(b"old\n" * 500)
        writer.flush()
        logs.bound(path, limit_bytes=1000)
        writer.write(b"new\n")
    assert path.stat().st_size == 104
    assert path.read_bytes().endswith(b"old\nnew\n")


def test_a_log_file_within_its_limit_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * 1000)
    logs.bound(path, limit_bytes=1000)
    assert path.stat().st_size == 1000


def test_a_file_that_is_not_there_has_no_tail_and_needs_no_bound(tmp_path: Path) -> None:
    logs.bound(tmp_path / "none.log")
    assert logs.tail(tmp_path / "none.log") == ""


def test_the_tail_is_the_last_lines_with_controls_written_out(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\ntwo\nth\x07ree\n")
    assert logs.tail(path, lines=2) == "two\nth\\x07ree"


def test_a_log_file_is_named_for_its_process_and_old_ones_go(tmp_path: Path) -> None:
    for number in range(logs.LOGS_KEPT + 5):
        logs.log_file(tmp_path, f"old-{number}").touch()
    path = logs.log_file(tmp_path, "cpu@host:7/../x")
    assert path == tmp_path / "logs" / "cpu-host-7-..-x.log"
    assert len(list(path.parent.iterdir())) == logs.LOGS_KEPT - 1


@pytest.fixture
def objects(stream: io.StringIO) -> io.StringIO:
    """Where a worker's log goes as JSON."""
    logs.configure("INFO", stream, log_format="json", worker="cpu@here:1")
    return stream


def test_a_record_is_one_object_with_the_run_that_it_is_about(objects: io.StringIO) -> None:
    with logs.about("run-7.2"):
        logging.getLogger("workers.sit").warning("left after %.1f s", 3.25)
    told = json.loads(objects.getvalue())
    assert datetime.fromisoformat(told.pop("time")).utcoffset() == timedelta(0)
    assert told == {
        "level": "WARNING", "logger": "workers.sit", "message": "left after 3.2 s", "worker": "cpu@here:1",
        "host": socket.gethostname(), "pid": os.getpid(), "run": "run-7.2", "run_id": 7, "attempt": 2,
    }  # fmt: skip


def test_an_object_says_so_where_a_run_is_not_claimed_yet_and_where_there_is_none(objects: io.StringIO) -> None:
    with logs.about("run-7"):
        logging.getLogger("a").info("submitted")
    logging.getLogger("a").info("begin")
    waiting, other = (json.loads(line) for line in objects.getvalue().splitlines())
    assert (waiting["run"], waiting["run_id"], waiting["attempt"]) == ("run-7", 7, None)
    assert "run" not in other


def test_what_a_launcher_says_of_a_worker_names_it(objects: io.StringIO) -> None:
    logging.getLogger("a").info("died", extra={"worker": "gpu0@there:2"})
    assert json.loads(objects.getvalue())["worker"] == "gpu0@there:2"


def test_an_object_holds_no_control_character_before_or_after_it_is_read(objects: io.StringIO) -> None:
    try:
        int("of\x1b[2Jthis\nvalue\u202e")
    except ValueError:
        logging.getLogger("a").exception("bad \x1b]0;title\x07 \x7f words\nforged")
    (line,) = objects.getvalue().splitlines()
    told = json.loads(line)
    assert printing.printable(line) == line
    assert printing.printable(told["message"]) == told["message"]
    assert not printing.CONTROLS.search(told["traceback"].replace("\n", ""))
    assert r"of\x1b[2Jthis" in told["traceback"]


def test_a_command_keeps_its_log_in_a_file_and_leaves_logging_as_it_was(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    with logs.recorded(tmp_path / "submit.log", "INFO", "json"):
        logging.getLogger("scheduler.submit").info("submitted")
    assert (root.handlers, root.level) == before
    assert json.loads((tmp_path / "submit.log").read_text())["message"] == "submitted"
