"""Programs in isolation: whether it can be had on this machine, and what becomes of a program in it.

Nothing of the process that judges reaches the program: it is told apart by its exit status alone. `jail` says how.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from proctor.errors import NoIsolation

JAIL = Path(__file__).with_name("jail.py")
_STATUSES = range(64, 120)  # of which one is drawn for each program: what it exits with where it ran to its end
GRACE_S = 5.0  # for the isolation to end what it is told to
_OUT_OF_TIME = {128 + signal.SIGXCPU, 128 + signal.SIGALRM}
# A program that passes where it stands alone: no process, no network, no environment, nothing that it could write to.
_ALONE = """
import os, socket
assert os.getpid() == 2 and os.getppid() == 1, "processes"
assert {name for _, name in socket.if_nameindex()} <= {"lo"}, "network"
assert set(os.environ) <= {"LC_CTYPE"}, "environment"
assert not any(os.access(path, os.W_OK) for path in ("/", "/usr", "/dev")), "root"
assert not any(os.path.exists(path) for path in ("/proc/1", "/etc/passwd", "/home")), "files"
"""


class Outcome(StrEnum):
    """What became of a program."""

    PASSED = "passed"
    FAILED = "failed"
    OUT_OF_TIME = "out of time"


@dataclass(frozen=True)
class Limits:
    """What a program may use; memory is each process's."""

    cpu_s: int = 5
    wall_s: int = 10
    memory_bytes: int = 512 << 20
    processes: int = 8
    disk_bytes: int = 16 << 20


LIMITS = Limits()


def run_program(source: str, limits: Limits = LIMITS) -> Outcome:
    """Run a program of Python in isolation. It passes where it runs to its end, within the limits.

    Raises
    ------
    NoIsolation
        where there is none on this machine, with the cause; nothing was run then.
    """
    status = secrets.choice(_STATUSES)
    numbers = (limits.cpu_s, limits.wall_s, limits.memory_bytes, limits.processes, limits.disk_bytes, status)
    python = str(getattr(sys, "_base_executable", sys.executable))  # a virtual environment has nothing that it needs
    with subprocess.Popen(  # noqa: S603 -- the jail is our own, and the program is nobody's argument
        [python, "-I", "-S", str(JAIL), *map(str, numbers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={},
        cwd="/",
        start_new_session=True,
    ) as jail:
        try:
            _, refusal = jail.communicate(source.encode("utf-8", "surrogatepass"), limits.wall_s + GRACE_S)
        except subprocess.TimeoutExpired:
            return Outcome.OUT_OF_TIME
        finally:
            jail.kill()  # with it goes all that it began
    if refusal:
        raise NoIsolation(refusal.decode(errors="replace"))
    if jail.returncode in _OUT_OF_TIME:
        return Outcome.OUT_OF_TIME
    return Outcome.PASSED if jail.returncode == status else Outcome.FAILED


@lru_cache
def isolation() -> str:
    """Why programs can't be run in isolation on this machine; "" where they can: one was, and found itself alone."""
    if sys.platform != "linux":
        return f"{sys.platform} has no namespaces, which Linux has"
    try:
        outcome = run_program(_ALONE, replace(LIMITS, wall_s=60))  # the machine may have much to do
    except NoIsolation as error:
        return error.reason
    return "" if outcome is Outcome.PASSED else "a program that was run on trial did not find itself alone"


def require_isolation() -> None:
    """Raise `NoIsolation` where `isolation` gives a reason."""
    if reason := isolation():
        raise NoIsolation(reason)
