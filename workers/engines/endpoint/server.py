"""One server: requests to it, so many at a time, tried again where that may help.

Whatever goes wrong comes out as one of our errors: `EndpointAway` where it may be otherwise later, `Refused` where the
server says no to what was asked.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx2

from proctor.catalog.endpoint import EndpointAway, refused_key
from proctor.errors import ProctorError, first_line
from proctor.retry import jittered
from workers.engines.endpoint.retries import PATIENCE, Patience, Persistence, Setback, setback_of
from workers.engines.endpoint.throttle import LOOK_S, Throttle

Body = Mapping[str, Any]
T = TypeVar("T")
Item = TypeVar("Item")
_DONE = "[DONE]"
_LONGEST_WORDS = 300  # of a server's refusal


class Refused(ProctorError):
    """The server says no to a request, and would again."""

    def __init__(self, url: str, status: int, said: str) -> None:
        self.status, self.said = status, said
        super().__init__(f"The server at {url} refuses this ({status}): {said}")


class Interrupted(Exception):
    """A request that went wrong in a way that may go well another time."""

    def __init__(self, setback: Setback) -> None:
        super().__init__(setback.cause)
        self.setback = setback


class Server:
    """`url` up to /v1. `moved` is called as work goes on; `stopped` says whether to give up waiting."""

    def __init__(
        self,
        url: str,
        http: httpx2.Client,
        in_flight: int,
        *,
        patience: Patience = PATIENCE,
        moved: Callable[[], None] = lambda: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.url, self.http, self._patience = url, http, patience
        self._moved, self._stopped = moved, stopped
        self.in_flight = in_flight
        self.throttle = Throttle(in_flight, self._check_stopped)

    @property
    def root(self) -> str:
        """The address without its /v1, below which servers have what is their own."""
        return self.url.removesuffix("/v1")

    def get(self, address: str) -> Any:
        """What lies at an address of the server, as JSON; None where it has nothing there, in one try."""
        try:
            answer = self.http.get(address, timeout=10.0)
            return answer.json() if answer.status_code == 200 else None
        except (httpx2.HTTPError, ValueError):
            return None

    def post(self, path: str, body: Body) -> Any:
        """The answer to a request, as JSON. Raises `EndpointAway` and `Refused`."""

        def once() -> Any:
            answer = self.http.post(self.url + path, json=body)
            self._check(answer)
            return answer.json()

        return self.persist(once)

    def events(self, path: str, body: Body) -> Iterator[Any]:
        """The events of a stream, one try: `Interrupted` where it ends before its end. To be called by `persist`."""
        with self._heard(), self.http.stream("POST", self.url + path, json=body) as answer:
            if answer.status_code != 200:
                answer.read()
            self._check(answer)
            for line in answer.iter_lines():
                self._moved()
                if not line.startswith("data:"):
                    continue
                told = line.removeprefix("data:").strip()
                if told == _DONE:
                    return
                event = json.loads(told)
                if "error" in event and not event.get("choices"):
                    raise Interrupted(Setback(f"it broke off: {_words(event)}"))
                yield event
        raise Interrupted(Setback("its stream ended in the middle"))

    def persist(self, once: Callable[[], T]) -> T:
        """`once()`, in its turn, again and again while that may help.

        Raises
        ------
        EndpointAway
            where the server stays away, or the worker is to stop meanwhile.
        Refused
            where it says no.
        """
        persistence = Persistence(time.monotonic(), self._patience)
        while True:
            try:
                with self.throttle.turn(), self._heard():
                    return once()
            except Interrupted as error:
                setback = error.setback
            if setback.busy:
                self.throttle.push_back(setback.retry_after_s)
            wait_s = persistence.wait(setback, time.monotonic())
            if wait_s is None:
                raise EndpointAway(
                    f"The server at {self.url} stays away: {setback.cause}.", "See its log; the Run can be retried."
                )
            self._pause(jittered(wait_s) if setback.retry_after_s is None else wait_s)

    def each(self, work: Callable[[Item], T], items: Sequence[Item]) -> list[T]:
        """`work` of all items, many at a time, in their order. Raises what the first that failed raises."""
        results: dict[int, T] = {}
        errors: list[Exception] = []
        waiting = iter(range(len(items)))
        lock = threading.Lock()

        def run() -> None:
            while not errors:
                with lock:
                    place = next(waiting, None)
                if place is None:
                    return
                try:
                    results[place] = work(items[place])
                except Exception as error:  # noqa: BLE001 -- raised again below, in the caller's thread
                    errors.append(error)
                self._moved()

        join([daemon(run, "endpoint") for _ in range(min(self.in_flight, len(items)))])
        if errors:
            raise errors[0]
        return [results[place] for place in range(len(items))]

    def close(self) -> None:
        self.http.close()

    def _check(self, answer: httpx2.Response) -> None:
        if answer.status_code == 200:
            return
        setback = setback_of(answer.status_code, answer.headers.get("Retry-After"), datetime.now(UTC))
        if setback is not None:
            raise Interrupted(setback)
        if answer.status_code in (401, 403):
            raise refused_key(self.url, answer.status_code)
        raise Refused(self.url, answer.status_code, _said(answer))

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Around a request: what the network does to it is a setback."""
        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Interrupted(Setback(f"it can't be reached ({first_line(error)})", outage=True)) from error
        except httpx2.TimeoutException as error:
            raise Interrupted(Setback("it said nothing for too long")) from error
        except (httpx2.TransportError, httpx2.StreamError) as error:
            raise Interrupted(Setback(f"it broke off ({first_line(error)})")) from error
        except ValueError as error:  # JSON that is none
            raise Interrupted(Setback(f"it answers what can't be read ({first_line(error)})")) from error

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check_stopped()
            self._moved()
            time.sleep(min(left, LOOK_S))

    def _check_stopped(self) -> None:
        if self._stopped():
            raise EndpointAway(f"The server at {self.url} was waited for, and the worker is to stop.")


def daemon(work: Callable[[], None], name: str) -> threading.Thread:
    """A thread that no end of the process waits for, at work."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def join(threads: Iterable[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _said(answer: httpx2.Response) -> str:
    """A server's own words of why not."""
    try:
        return _words(answer.json())
    except ValueError:
        return " ".join(answer.text.split())[:_LONGEST_WORDS] or "without a word"


def _words(told: Any) -> str:
    """The message of an error: OpenAI's `error.message`, FastAPI's `detail`, or all of it."""
    error = told.get("error", told) if isinstance(told, Mapping) else told
    said = (error.get("message") or error.get("detail")) if isinstance(error, Mapping) else error
    return " ".join(str(said or error).split())[:_LONGEST_WORDS]
