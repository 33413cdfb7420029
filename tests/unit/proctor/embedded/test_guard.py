"""Which process groups the guard and the command count as running: what they may kill.

The number of one that ended may be another's by then.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proctor.embedded.command import Embedded
from proctor.embedded.guard import GROUP_ENDS, Guard
from proctor.embedded.reports import Report, ReportKind
from proctor.embedded.valkey import Valkey
from proctor.settings import Settings
from tests.support import wait_until

NEWS = [ReportKind.WORKER_UP, ReportKind.WORKER_SLOW, ReportKind.WORKER_IDLE, ReportKind.WORKER_DRAINED]


def lines(*reports: Report) -> bytes:
    return b"".join(report.to_line() for report in reports)


@pytest.mark.parametrize("end", sorted(GROUP_ENDS))
def test_a_group_that_ended_is_not_killed_later(
    end: ReportKind, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    guard = Guard(Valkey(tmp_path, sys.stderr.buffer), [])
    one, two = Report(ReportKind.STARTED, "one", pid=101), Report(ReportKind.STARTED, "two", pid=102)
    guard._hear_launcher(lines(one, two, *(Report(kind, "one") for kind in NEWS)))
    assert guard.groups == {"one": 101, "two": 102}
    guard._hear_launcher(lines(Report(end, "one")))
    assert guard.groups == {"two": 102}
    guard._hear_launcher(lines(Report(ReportKind.STARTED, "one", pid=103)))
    assert guard.groups == {"one": 103, "two": 102}
    told = [Report.from_line(line.encode()) for line in capfd.readouterr().out.splitlines()]
    assert [report.kind for report in told] == [ReportKind.STARTED] * 2 + NEWS + [end, ReportKind.STARTED]


@pytest.mark.parametrize("end", sorted(GROUP_ENDS))
def test_a_command_forgets_groups_that_ended_too(end: ReportKind, tmp_path: Path) -> None:
    said = lines(
        Report(ReportKind.BROKER_UP, "broker", "redis://:x@127.0.0.1:1/0"),
        Report(ReportKind.STARTED, "one", pid=101),
        Report(ReportKind.WORKER_UP, "one"),
        Report(ReportKind.STARTED, "two", pid=102),
        Report(ReportKind.WORKER_UP, "two"),
        Report(end, "one"),
    )
    guard = subprocess.Popen(  # says what a guard would, and ends with its owner as one does
        [sys.executable, "-c", f"import sys; sys.stdout.buffer.write({said!r}); sys.stdout.flush(); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    crew = Embedded(Settings(tmp_path, tmp_path, "sqlite:///x.db"), guard, tmp_path / "log")
    heard: list[Report] = []

    def all_heard() -> bool:
        heard.extend(crew.news())
        return len(heard) == 5

    wait_until(all_heard, "all was heard")
    assert (crew.broker_url, crew.groups, crew.workers_up) == ("redis://:x@127.0.0.1:1/0", {"two": 102}, {"two"})
    crew.groups.clear()  # numbers made up: nothing of them may be killed
    crew.close()
