"""Programs that try to get out, to stay, or to take all there is: each is told to have failed, and nothing is left."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from proctor.errors import NoIsolation
from proctor.exams.judging.sandbox import isolation
from proctor.exams.judging.sandbox.isolation import JAIL, LIMITS, Limits, Outcome, run_program
from tests.support import wait_until

WHY_NOT = isolation.isolation()
isolated = pytest.mark.skipif(bool(WHY_NOT), reason=f"programs can't be run in isolation here: {WHY_NOT}")
SHORT = Limits(cpu_s=2, wall_s=3)


def run(source: str, limits: Limits = LIMITS) -> Outcome:
    return run_program(textwrap.dedent(source), limits)


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine on which something listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_where_the_system_s_own_tool_makes_namespaces_there_is_isolation() -> None:
    """Else a fault of ours would skip all that follows."""
    tool = shutil.which("unshare")
    if tool is None:
        pytest.skip("util-linux's unshare isn't here")
    wanted = ["--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork"]
    if subprocess.run([tool, *wanted, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody make namespaces")
    assert WHY_NOT == ""


@isolated
@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("def double(n):\n    return 2 * n\nassert double(2) == 4", Outcome.PASSED),
        ("import math, re, json, typing, heapq, hashlib, datetime, itertools, collections", Outcome.PASSED),
        ("open('/tmp/mine', 'w').write('a')\nassert open('/tmp/mine').read() == 'a'", Outcome.PASSED),
        ("if __name__ == '__main__':\n    raise ValueError", Outcome.PASSED),
        ("print('ü' * 10**6)", Outcome.PASSED),
        ("assert False", Outcome.FAILED),
        ("def (", Outcome.FAILED),
        ("input()", Outcome.FAILED),
        ("def f(): return f()\nf()", Outcome.FAILED),
        ("text = '\ud800'", Outcome.FAILED),
    ],
)
def test_a_program_passes_where_it_runs_to_its_end(source: str, outcome: Outcome) -> None:
    assert run(source) is outcome


@isolated
@pytest.mark.parametrize("leaves", ["exit(0)", "raise SystemExit", "import os; os._exit(0)", "import os; os.abort()"])
def test_a_program_that_leaves_before_its_tests_has_not_passed(leaves: str) -> None:
    assert run(f"{leaves}\nassert False") is Outcome.FAILED


@isolated
def test_no_network_is_reached(listener: int) -> None:
    with socket.create_connection(("127.0.0.1", listener), timeout=5):
        pass  # from here it is
    assert run("import socket\nsocket.socket()") is Outcome.PASSED
    for address in ("127.0.0.1", "10.0.0.1", "1.1.1.1"):
        tried = f"import socket\nsocket.create_connection(({address!r}, {listener}), timeout=1)"
        assert run(tried) is Outcome.FAILED
    assert run("import socket\nassert not [n for _, n in socket.if_nameindex() if n != 'lo']") is Outcome.PASSED


@isolated
def test_no_file_outside_is_read_or_written(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a")
    secret.chmod(0o644)
    paths = (str(secret), "/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/self/environ", str(JAIL))
    for path in (*paths, str(Path.home() / ".ssh"), "/var", "/run", "/sys", "/dev/sda", "/dev/mem", "/home"):
        assert run(f"import os\nassert not os.path.exists({path!r})") is Outcome.PASSED, path
    for path in ("/mine", "/usr/mine", "/dev/mine", f"{sys.base_prefix}/mine"):
        assert run(f"open({path!r}, 'w')") is Outcome.FAILED, path
    assert run("import os\nassert open('/dev/null', 'w').write('a')\nassert os.urandom(4)") is Outcome.PASSED
    assert [*tmp_path.iterdir()] == [secret]


@isolated
def test_no_credential_and_no_descriptor_comes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_DATABASE_URL", "postgresql://me:secret@here/proctor")
    source = """
    import os
    assert set(os.environ) <= {"LC_CTYPE"}, os.environ
    held = []
    for number in range(64):
        try:
            os.fstat(number)
            held.append(number)
        except OSError:
            pass
    assert held == [0, 1, 2], held
    null = os.stat("/dev/null").st_rdev
    assert os.fstat(1).st_rdev == os.fstat(2).st_rdev == null
    assert os.read(0, 9) == b""
    """
    assert run(source) is Outcome.PASSED


@isolated
@pytest.mark.skipif(platform.machine() != "x86_64", reason="keyrings are asked for by the number of x86's call")
def test_no_key_of_the_kernel_s_is_to_be_had() -> None:
    call, add, get_id, session = 250, 248, 0, -3
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    if libc.syscall(call, 1, None) == -1:
        pytest.skip("this machine keeps no keys")
    key = libc.syscall(add, b"user", b"token", b"secret", ctypes.c_size_t(6), session)
    assert key > 0
    ours = libc.syscall(call, get_id, session, 0)
    source = f"""
    import ctypes
    libc = ctypes.CDLL(None)
    libc.syscall.restype = ctypes.c_long
    assert libc.syscall({call}, {get_id}, {session}, 0) != {ours}
    held = ctypes.create_string_buffer(9)
    assert libc.syscall({call}, 11, {key}, held, ctypes.c_size_t(9)) == -1, held.raw
    """
    assert run(source) is Outcome.PASSED


@isolated
def test_no_right_is_left_and_none_can_be_had() -> None:
    source = """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    assert os.getuid() == os.geteuid() == 65534
    held = (ctypes.c_uint32 * 6)()
    assert libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), held) == 0
    assert not any(held[:2]) and not any(held[3:5]), list(held)
    assert libc.unshare(0x10000000) == -1, "a user namespace"
    assert libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None) == -1, "a mount"
    assert libc.ptrace(16, 1, None, None) == -1, "process 1"
    assert libc.chroot(b"/tmp") == -1, "a root"
    for change in (os.setuid, os.setgid):
        try:
            change(0)
        except OSError:
            continue
        raise AssertionError(change)
    """
    assert run(source) is Outcome.PASSED


@isolated
def test_a_fork_bomb_is_held_and_nothing_of_it_is_left() -> None:
    name = f"bomb{os.getpid()}"
    named = f"import ctypes, os, time\nctypes.CDLL(None).prctl(15, b{name!r}, 0, 0, 0)\n"
    bomb = """
    made = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(60)
            made += 1
    except OSError:
        assert 0 < made < 8, made
    """
    assert run(named + textwrap.dedent(bomb)) is Outcome.PASSED
    assert run(f"{named}while True:\n    try: os.fork()\n    except OSError: pass", SHORT) is Outcome.OUT_OF_TIME
    wait_until(lambda: name not in {one.info["name"] for one in psutil.process_iter(["name"])}, "all of it was gone")


@isolated
@pytest.mark.parametrize(
    "source",
    [
        "while True: pass",
        "import time\ntime.sleep(60)",
        "import signal\nsignal.signal(signal.SIGXCPU, lambda *_: 0)\nwhile True: pass",
        "import os\nos.fork() or os.setsid()\nwhile True: pass",
    ],
)
def test_an_endless_program_costs_its_limit_once(source: str) -> None:
    began = time.monotonic()
    assert run(source, SHORT) in {Outcome.OUT_OF_TIME, Outcome.FAILED}
    assert time.monotonic() - began < SHORT.wall_s + isolation.GRACE_S + 5


@isolated
@pytest.mark.parametrize(
    "source",
    [
        "held = bytearray(10 << 30)",
        "held = []\nwhile True: held.append(bytearray(1 << 24))",
        "file = open('/tmp/mine', 'wb')\nfor _ in range(640): file.write(bytes(1 << 24))",
        "for number in range(10**6): open(f'/tmp/{number}', 'w').close()",
    ],
)
def test_ten_gigabytes_are_not_to_be_had(source: str) -> None:
    assert run(source) is Outcome.FAILED


@isolated
def test_what_it_writes_to_its_output_goes_nowhere() -> None:
    assert run("import sys\nfor _ in range(200): sys.stdout.write('a' * 10**6)\nsys.stderr.write('refused')") is (
        Outcome.PASSED
    )


@isolated
def test_no_signal_reaches_its_parents() -> None:
    """Whatever it sends to all that it can name, what holds it goes on; no refusal is taken for the machine's."""
    source = """
    import os, signal
    for target in (os.getppid(), 1, -1):
        for number in set(signal.Signals) - {signal.SIGALRM}:
            try:
                os.kill(target, number)
            except OSError:
                pass
    """
    assert run(source) is Outcome.PASSED
    assert run("import os\nos.kill(0, 9)") is Outcome.FAILED
    assert run("import os, signal\nos.kill(1, signal.SIGALRM)\nimport time\ntime.sleep(9)") is Outcome.OUT_OF_TIME


@isolated
def test_a_judge_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    source = f"from {isolation.__name__} import *\nrun_program('import time; time.sleep(50)', Limits(wall_s=50))"
    judge = subprocess.Popen([sys.executable, "-c", source], cwd=tmp_path)
    held: list[psutil.Process] = []

    def is_whole() -> bool:
        held[:] = psutil.Process(judge.pid).children(recursive=True)
        return len(held) == 3

    wait_until(is_whole, "the program ran")
    judge.kill()
    judge.wait()
    wait_until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in held), "all went")


def test_where_there_is_no_isolation_the_reason_is_told_and_nothing_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "jail.py"
    broken.write_text("import os\nos.write(2, b'unshare: Operation not permitted')\nos._exit(125)\n")
    monkeypatch.setattr(isolation, "JAIL", broken)
    with pytest.raises(NoIsolation, match=r"on this machine: unshare: Operation not permitted\."):
        run_program("assert True")
    isolation.isolation.cache_clear()
    assert isolation.isolation() == "unshare: Operation not permitted"
    with pytest.raises(NoIsolation, match="not permitted"):
        isolation.require_isolation()
    isolation.isolation.cache_clear()


def test_a_program_on_trial_that_isn_t_alone_is_reason_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_door = tmp_path / "jail.py"
    open_door.write_text("import sys\nexec(sys.stdin.read())\nsys.exit(int(sys.argv[-1]))\n")
    monkeypatch.setattr(isolation, "JAIL", open_door)
    isolation.isolation.cache_clear()
    assert isolation.isolation()
    isolation.isolation.cache_clear()
