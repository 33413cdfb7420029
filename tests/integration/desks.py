"""A worker's desk in this process, without a broker: events about the work are dropped, the work isn't."""

from __future__ import annotations

from collections.abc import Callable

from proctor.broker.app import make_app
from proctor.nouns.models import Device
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.database.session import Store
from tests.models import on_cpu
from workers.channel import Channel
from workers.context import WorkerContext
from workers.models.held import Models
from workers.run.task_events import TaskEvents

ME = WorkerCard("cpu@here:1", "here", Device.CPU, "test CPU", 1 << 40)


class CountedLink(Channel):
    """Does something at the nth time that a child looks whether it is to stop; it looks before each pack."""

    def __init__(self, at: int, then: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.left, self.then = at, then or self.stop

    @property
    def stopped(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.then()
        return super().stopped


def make_desk(
    store: Store, settings: Settings, channel: Channel | None = None, models: Models | None = None
) -> WorkerContext:
    """A child's desk, on the test CPU unless `models` are elsewhere."""
    app = make_app(Settings(settings.home, settings.cache, settings.database_url, "redis://127.0.0.1:1/0"))
    channel, models = channel or Channel(), models or on_cpu(settings.cache)
    return WorkerContext(
        me=ME,
        device=models.device,
        models=models,
        store=store,
        channel=channel,
        retry=OutageRetry(channel.wait, 5.0, channel.wait_for),
        events=TaskEvents(app, ME.name),
        lease_s=60.0,
    )
