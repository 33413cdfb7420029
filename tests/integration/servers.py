"""Servers of other people's making for tests: Valkey with a password, behind TLS, and under a sentinel."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from proctor.embedded.valkey import binary
from tests.support import wait_until

HOST = "127.0.0.1"
PASSWORD = "p@ss:w/rd"
QUOTED = "p%40ss%3Aw%2Frd"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A running valkey-server."""

    process: subprocess.Popen[bytes]
    port: int


@contextmanager
def valkey(folder: Path, *lines: str, sentinel: bool = False) -> Iterator[Server]:
    """A server of this configuration, which lies in `folder`; killed at the end."""
    port = free_port()
    folder.mkdir()
    file = folder / "server.conf"
    file.write_text("\n".join((f"bind {HOST}", f"port {port}", f'dir "{folder}"', *lines, "")))
    file.chmod(0o600)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary(), file, *(["--sentinel"] if sentinel else [])], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: listens(port), "the server listens")
        yield Server(process, port)
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
        return True
    return False


@dataclass
class Watched:
    """A master, its replica, and the sentinel that will make the one of the other."""

    master: Server
    replica: Server
    sentinel: Server

    @property
    def url(self) -> str:
        return f"sentinel://:{QUOTED}@{HOST}:{self.sentinel.port}/0?master_name=main"


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    """Valkey under a sentinel, both servers with the password."""
    login = (f'requirepass "{PASSWORD}"', f'primaryauth "{PASSWORD}"', 'save ""')
    with ExitStack() as stack:
        master = stack.enter_context(valkey(folder / "master", *login))
        replica = stack.enter_context(valkey(folder / "replica", *login, f"replicaof {HOST} {master.port}"))
        sentinel = stack.enter_context(
            valkey(
                folder / "sentinel",
                f"sentinel monitor main {HOST} {master.port} 1",
                f'sentinel auth-pass main "{PASSWORD}"',
                "sentinel down-after-milliseconds main 500",
                "sentinel failover-timeout main 5000",
                sentinel=True,
            )
        )
        with redis.Redis(HOST, sentinel.port) as asked:
            wait_until(lambda: len(asked.sentinel_slaves("main")) == 1, "the sentinel knows the replica")
        with redis.Redis(HOST, replica.port, password=PASSWORD) as follower:
            wait_until(
                lambda: follower.info("replication")["master_link_status"] == "up", "the replica follows its master"
            )
        yield Watched(master, replica, sentinel)


@dataclass
class Certificate:
    """A self-signed certificate for localhost."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """By the openssl of this machine; skips by name where there is none."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine: no certificate for the TLS test")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", made.key, "-out", made.certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return made


@contextmanager
def tls_in_front_of(port: int, certificate: Certificate) -> Iterator[int]:
    """A port that speaks TLS and hands what it hears to `port`, as stunnel does: the wheel's server speaks none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                socket.create_connection((HOST, port)) as server,
                context.wrap_socket(self.request, server_side=True) as inside,
            ):
                back = threading.Thread(target=pump, args=(server, inside), daemon=True)
                back.start()
                pump(inside, server)
                back.join(timeout=10)

    class Proxy(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that went away is no news."""

    with Proxy((HOST, 0), Handler) as proxy:
        serving = threading.Thread(target=proxy.serve_forever)
        serving.start()
        yield proxy.server_address[1]
        proxy.shutdown()
        serving.join()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes over until either end is closed, then close the other."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
