"""What the HTTP API stands on: the client, what was last heard of the fleet, and which models can be asked for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chat.client.aio import AsyncClient
from chat.client.client import new_id
from chat.protocol.inquiries import Answer, HeldLane, Inquiry, InquiryKind, load_answer
from chat.server.requests import join_name
from proctor.nouns.models import Lane

HEALTH_S = 5.0  # an answer about the fleet is good for so long
MOST_ANSWERED = 100  # names of models that are remembered because they answered


@dataclass(frozen=True)
class Service:
    """What a server was started with. `metrics` is None where it has no database."""

    broker_url: str
    token: str | None = None
    metrics: Callable[[], str] | None = None
    ask: Callable[[Inquiry], Answer] | None = None  # None: inquiries go to the fleet
    patience_s: float = 60.0
    named: tuple[str, ...] = ()  # models that the operator named, as a completion takes them
    cached: Callable[[], list[str]] | None = None  # models whose files lie here; None: only the workers know


class FleetClient:
    """The client, and what was last heard of the fleet."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.client = AsyncClient(service.broker_url, service.patience_s)
        self.health_client = AsyncClient(service.broker_url, HEALTH_S)
        self._held: tuple[HeldLane, ...] = ()
        self._heard_at = float("-inf")
        self._answered: dict[str, None] = {}  # those that answered last are last
        self._lock = asyncio.Lock()

    async def inquire(self, inquiry: Inquiry) -> Answer:
        if self.service.ask is not None:
            return await asyncio.to_thread(self.service.ask, inquiry)
        return load_answer(await self.client.inquire(inquiry))

    async def held(self, *, now: bool = False) -> tuple[HeldLane, ...]:
        """Workers that answer, and what they hold: asked anew after a while, or `now`. Raises `ProctorError`."""
        async with self._lock:
            time = asyncio.get_running_loop().time()
            if now or time - self._heard_at > HEALTH_S:
                inquiry = Inquiry(new_id(), InquiryKind.LANES)
                await self.health_client.redis.ping()
                self._held = (
                    (await self.inquire(inquiry)).held
                    if self.service.ask
                    else load_answer(await self.health_client.inquire(inquiry)).held
                )
                self._heard_at = time
            return self._held

    async def models(self, *, now: bool = False) -> list[str]:
        """Names that a completion takes: what workers hold, what the operator named, what answered, what lies here.

        Raises `ProctorError` where nobody knows what is held.
        """
        held = lane_names([each.lane for each in await self.held(now=now) if each.lane])
        cached = await asyncio.to_thread(self.service.cached) if self.service.cached else []
        return sorted({*held, *self.service.named, *self._answered, *cached})

    def answered(self, name: str) -> None:
        """Take note of a model that has just answered."""
        self._answered.pop(name, None)
        self._answered[name] = None
        while len(self._answered) > MOST_ANSWERED:
            del self._answered[next(iter(self._answered))]

    async def close(self) -> None:
        await self.client.close()
        await self.health_client.close()


def lane_names(lanes: Sequence[str]) -> list[str]:
    """Each lane by a name that a completion takes: `cpu/smollm2@rev/4bit` as `smollm2:4bit`.

    Where several revisions of a model are held, each has its own behind its name. A folder's name may hold an `@` too:
    the last one is the revision's.
    """
    held = [Lane.parse(lane) for lane in lanes]
    revisions: dict[str, set[str]] = defaultdict(set)
    for lane in held:
        revisions[_bare(lane.model)].add(lane.model)
    several = {name for name, models in revisions.items() if len(models) > 1}
    return [join_name(one.model if _bare(one.model) in several else _bare(one.model), one.quant) for one in held]


def _bare(model: str) -> str:
    """A model without its revision."""
    name, _, revision = model.rpartition("@")
    return name or revision
