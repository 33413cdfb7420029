"""A network between two programs that can be made bad: a TCP proxy that drops, delays and half-opens connections."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

PIECE_BYTES = 65_536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: closing sends RST, as a host that forgot the connection does


@dataclass
class _Link:
    """One connection through the proxy. Silent: bytes are taken and never passed on, and neither end is told."""

    client: socket.socket
    server: socket.socket
    silent: bool = False

    def reset(self) -> None:
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):  # the other thread closed it
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Passes what arrives on `port` of this machine to whatever `connect` opens, until told otherwise."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        self.delay_s = 0.0  # of each piece, in each direction
        self._connect = connect
        self._links: list[_Link] = []
        self._refusing = self._swallowing = False
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name=f"proxy-{self.port}", daemon=True).start()

    def cut(self) -> None:
        """Reset every connection, and every new one at once, until `mend`."""
        with self._lock:
            self._refusing = True
        self._reset_all()

    def half_open(self) -> None:
        """Connections of now stay open and are never heard of again; so do new ones, until `mend`."""
        with self._lock:
            self._swallowing = True
            for link in self._links:
                link.silent = True

    def mend(self) -> None:
        """New connections work; what was half open stays so."""
        with self._lock:
            self._refusing = self._swallowing = False
            self.delay_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._reset_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the end
                return
            with self._lock:
                refusing, silent = self._refusing, self._swallowing
            try:
                server = self._connect()
            except OSError:
                refusing, server = True, socket.socket()
            link = _Link(client, server, silent)
            if refusing:
                link.reset()
                continue
            with self._lock:
                self._links.append(link)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(link, source, sink), daemon=True).start()

    def _pass_on(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(PIECE_BYTES):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if not link.silent:
                    sink.sendall(piece)
        except OSError:  # reset, by an end or by us
            pass
        finally:
            if not link.silent:  # else the other end is not to hear of it
                with self._lock:
                    if link in self._links:
                        self._links.remove(link)
                link.reset()

    def _reset_all(self) -> None:
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.reset()
