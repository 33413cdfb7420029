"""Connections that send no request don't keep others out: uvicorn's protocol, with a time limit and a share.

uvicorn counts every connection against its limit, and waits for a request for ever. Here a request has to arrive whole,
headers and body, within `REQUEST_S`; and of one client's connections that are still without a whole request the oldest
is closed where they are more than `SHARE`. Replies under way are never counted.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

REQUEST_S = 30.0  # for a whole request, from the first moment at which it could be sent
SHARE = 64  # connections of one address that may wait for a request at once
LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class PatientProtocol(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether the server waits for a request, or for the rest of one."""
        cycle = self._request
        return cycle is None or cycle.response_complete or cycle.more_body

    @property
    def _request(self) -> RequestResponseCycle | None:
        """The last request, whose headers have come; uvicorn's type leaves None away."""
        return cast("RequestResponseCycle | None", self.cycle)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._look()
        self._keep_to_the_share()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def give_up(self) -> None:
        """Close the connection; a request that has begun to arrive is answered where it wasn't yet."""
        if self.transport.is_closing():
            return
        request = self._request
        if request is not None and request.more_body and not request.response_started:
            self.transport.write(LATE)
        self.transport.close()

    def _look(self) -> None:
        """Have the clock run while the server waits; what comes in the meantime doesn't set it back."""
        if not self.waits or self.transport.is_closing():
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_S, self.give_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _keep_to_the_share(self) -> None:
        """Close the oldest connection of this client that waits, where there are too many."""
        waiting = [each for each in self.connections if isinstance(each, PatientProtocol) and each.is_of(self.client)]
        if len(waiting) > SHARE:
            min(waiting, key=_since).give_up()

    def is_of(self, client: Any) -> bool:
        """Whether this connection waits, and comes from the address of that client."""
        ours = self.client[0] if self.client else None
        return self.waits and not self.transport.is_closing() and ours == (client[0] if client else None)

    @property
    def since(self) -> float:
        """When the wait began, on the loop's clock."""
        return self._deadline.when() if self._deadline is not None else float("inf")


def _since(connection: PatientProtocol) -> float:
    return connection.since
