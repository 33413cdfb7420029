"""Tests in a forked process: the libraries are loaded once, our own modules anew each time."""

from __future__ import annotations

import ast
import ctypes
import importlib
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import psutil

from bench.covering import ROOMS, WITHOUT

OURS = {*ROOMS, "tests", "bench"}
LOADED_AHEAD = "ignore::pytest.PytestAssertRewriteWarning"  # the asserts of a library loaded ahead aren't rewritten
PR_SET_CHILD_SUBREAPER = 36
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?\.py(?:::.*?)?)(?: - .*)?$", re.MULTILINE)
COLLECTION = "collection"  # stands for tests that couldn't even be read
GRACE_S = 20.0


@dataclass(frozen=True)
class Ended:
    """How a run of tests ended: the first that failed or hung, none if all passed."""

    failed: str
    hung: bool = False


@dataclass(frozen=True)
class Names:
    """A plugin of pytest: writes down which test begins."""

    file: Path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.file.write_text(nodeid, encoding="utf-8")


class Forked:
    """Runs tests of `tree` in children of this process."""

    def __init__(self, tree: Path, environment: Mapping[str, str], tests: Sequence[str]) -> None:
        self.tree, self.environment = tree, dict(environment)
        self.said, self.begun = tree.parent / "said.txt", tree.parent / "begun.txt"
        _adopt_orphans()
        _load(_libraries(tree, tests))

    def run(self, tests: Sequence[str], limit_s: Callable[[str], float]) -> Ended:
        """Run these tests up to the first that fails or hangs; whatever they left running is ended."""
        sys.stdout.flush()
        sys.stderr.flush()
        self.begun.write_text(tests[0], encoding="utf-8")
        child = os.fork()
        if child == 0:
            self._be_pytest(tests)
        try:
            code = _wait(child, self.begun, limit_s)
        finally:
            stop_children()
        if code is None:
            return Ended(self.begun.read_text("utf-8"), hung=True)
        if code == 0:
            return Ended("")
        found = FAILED.search(self.said.read_text("utf-8", "replace"))
        return Ended(found[1] if found else COLLECTION)

    def tail(self) -> str:
        """The end of what the last run printed."""
        return self.said.read_text("utf-8", "replace")[-3000:]

    def _be_pytest(self, tests: Sequence[str]) -> None:
        code = 70
        try:
            os.setsid()
            os.chdir(self.tree)
            os.environ.clear()
            os.environ.update(self.environment)
            out = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(out, stream)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            sys.path[:] = [str(self.tree), *(one for one in sys.path if one not in {"", str(self.tree)})]
            for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
                del sys.modules[name]
            import pytest

            code = int(pytest.main(["-x", *WITHOUT, "-W", LOADED_AHEAD, *tests], plugins=[Names(self.begun)]))
        except BaseException:  # noqa: BLE001 -- a forked child must never return into its parent's code
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)


def stop_children() -> None:
    """End all that this process or its children started: asked first, then killed."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        _ignore_gone(process.terminate)
    _, alive = psutil.wait_procs(left, timeout=GRACE_S)
    for process in alive:
        _ignore_gone(process.kill)
    psutil.wait_procs(alive, timeout=GRACE_S)


def _ignore_gone(act: object) -> None:
    try:
        assert callable(act)
        act()
    except psutil.NoSuchProcess:
        pass


def _wait(child: int, begun: Path, limit_s: Callable[[str], float]) -> int | None:
    """The child's exit code; none where it was still at work on a test after the limit of that one."""
    test, since, pause = "", time.monotonic(), 0.01
    while time.monotonic() < since + limit_s(test):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if (now := begun.read_text("utf-8")) and now != test:
            test, since = now, time.monotonic()
        time.sleep(pause)
        pause = min(0.1, pause * 1.5)
    os.kill(child, signal.SIGINT)  # pytest tears its fixtures down
    for _ in range(int(GRACE_S / 0.1)):
        if os.waitpid(child, os.WNOHANG)[0]:
            break
        time.sleep(0.1)
    return None


def _adopt_orphans() -> None:
    """What a test's process leaves behind becomes our child, to be ended (Linux; elsewhere it is the system's)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _libraries(tree: Path, tests: Sequence[str]) -> set[str]:
    """Modules of others that the tests and all rooms import at their top."""
    paths = [tree / path for path in tests]
    sources = [*paths, *tree.glob("tests/*.py"), *(path for room in ROOMS for path in (tree / room).rglob("*.py"))]
    names: set[str] = set()
    for path in sources:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    names |= {plugin.module for plugin in entry_points(group="pytest11")}
    return {name for name in names if name.partition(".")[0] not in OURS}


def _load(names: Iterable[str]) -> None:
    for name in sorted(names):
        try:
            importlib.import_module(name)
        except Exception as problem:  # noqa: BLE001 -- the tests that want it will say so themselves
            print(f"{name} isn't loaded ahead: {problem}", file=sys.stderr)
