"""Who may ask, and how much: in front of every route of the HTTP API.

- With a token everything but `/health` and the page (which holds nothing) wants `Authorization: Bearer TOKEN`. Digests
  are compared, in constant time.
- Without one the server is on loopback, and only for names of this machine: a page elsewhere that makes its own name
  mean 127.0.0.1 is refused, and so is one that sends a request from another origin.
- A body above its limit is refused before it is read whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from chat.server import errors
from chat.server.errors import Kind
from proctor.broker_url import LOOPBACK

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN = frozenset({"/", "/health"})
MAX_BODY_BYTES = 2 << 20
DRAIN_S = 2.0


class TooLarge(Exception):
    """A body above the limit."""


class Gate:
    """An ASGI application in front of another."""

    def __init__(self, app: App, token: str | None, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.app, self.max_bytes = app, max_bytes
        self._digest = _digest(token.encode()) if token else None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await _drain(receive, self.max_bytes)
            await refusal(scope, receive, send)
            return
        await self._pass(scope, receive, send)

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> Any:
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        name = _host_name(host)
        if name is None:
            return errors.answer(Kind(400, errors.INVALID, "invalid_host"), f"{host[:100]!r} is no name of a host.")
        if self._digest is None and name not in LOOPBACK:
            return errors.answer(Kind(403, "permission_error", "foreign_host"), f"This server is not {host[:100]!r}.")
        if origin and origin.partition("://")[2] != host:
            return errors.answer(
                Kind(403, "permission_error", "foreign_origin"), "Requests from other pages are refused."
            )
        if self._digest is not None and path not in OPEN and not self._knows(headers):
            kind = Kind(401, "authentication_error", "invalid_api_key")
            return errors.answer(kind, "The token is missing or wrong.", headers={"WWW-Authenticate": "Bearer"})
        if _length(headers) > self.max_bytes:
            return _too_large(self.max_bytes)
        return None

    def _knows(self, headers: dict[bytes, bytes]) -> bool:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        assert self._digest is not None
        return hmac.compare_digest(_digest(token.strip()), self._digest) and scheme.lower() == b"bearer"

    async def _pass(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Count what is received; a body without a length can be too large as well.

        The application makes an answer of its own of what `counted` raises: nobody hears it.
        """
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise TooLarge
            return message

        async def told(message: Message) -> None:
            if received <= self.max_bytes:
                await send(message)

        with suppress(TooLarge):
            await self.app(scope, counted, told)
        if received > self.max_bytes:
            await _drain(receive, self.max_bytes)
            await _too_large(self.max_bytes)(scope, receive, send)


async def _drain(receive: Receive, limit: int) -> None:
    """Throw away what still comes, for a moment and up to a few times the limit.

    A client that is sending would not hear the answer. One that sends nothing is not waited for.
    """
    thrown = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while thrown <= 4 * limit:
                message = await receive()
                thrown += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return


def _host_name(host: str) -> str | None:
    """The name in a Host header, without its port; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # such as `[`
        return None


def _too_large(limit: int) -> Any:
    return errors.answer(
        Kind(413, errors.INVALID, "too_large"),
        f"The body has more than {limit >> 20} MiB.",
        headers={"Connection": "close"},
    )


def _length(headers: dict[bytes, bytes]) -> int:
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
