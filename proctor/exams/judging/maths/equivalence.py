"""Equality by computer algebra, in a process of its own: it may run for ever or need all memory, on a hostile reply.

Libraries stop themselves by a signal's handler, which neither a thread nor a long product obeys. The process here is
ended by the kernel, and the next question starts another. It has no environment, and so no credentials.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
from threading import Lock

from proctor.errors import BadInput
from proctor.exams.judging.libraries import check_installed

CHILD = "proctor.exams.judging.maths.child"
MODULES = ("math_verify", "sympy", "antlr4")
LIMIT_S = 10  # for one question, after which the kernel ends the process


class Algebra:
    """One such process, for as long as it lives; calls take turns. A fork of ours starts its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        """Leave the process to whom it belongs, and the lock to whoever holds it there."""
        self._lock, self._process = Lock(), None

    def equal(self, how: str, given: str, right: str) -> bool:
        """Whether `given` equals `right`, `how` being `difference` or `verify`; not where the limits came first.

        Raises `BadInput` where the libraries aren't installed.
        """
        with self._lock:
            if self._process and self._process.poll() is not None:  # it was ended while it had nothing to do
                self._end()
            process = self._process = self._process or _started()
            answer = _asked(process, json.dumps([how, given, right, LIMIT_S]))
            if not answer:
                self._end()
            return answer.strip() == "true"

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.communicate()


def _started() -> subprocess.Popen[str]:
    for name in MODULES:
        check_installed(name)
    command = [sys.executable, "-I", "-m", CHILD]
    process = subprocess.Popen(  # noqa: S603 -- our own module, nothing of a reply in the command
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        errors="surrogatepass",
        env={},
        cwd="/",
    )
    if _line(process) != "ready\n":
        process.kill()
        process.communicate()
        raise BadInput(f"The process for computer algebra doesn't start: {' '.join(command)}.", "Run it to see why.")
    return process


def _asked(process: subprocess.Popen[str], request: str) -> str:
    try:
        assert process.stdin
        process.stdin.write(request + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return ""
    return _line(process)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


_algebra = Algebra()
equal = _algebra.equal
atexit.register(_algebra.close)
