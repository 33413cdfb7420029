"""The broker dies in the middle of a sweep, and comes back empty."""

from __future__ import annotations

import psutil
import redis

from proctor.embedded.command import embedded
from proctor.embedded.reports import ReportKind
from proctor.nouns.models import ModelRef
from proctor.settings import Settings
from proctor.store.database.session import Store
from tests.chaos.scene import (
    assert_every_answer_once,
    outcomes,
    submit,
    wait_for_end,
    wait_for_middle,
)
from tests.support import wait_until

# Which queues exist, as Celery's transport notes it: as many as there are queues, however much is sent.
STAYS = "_kombu.binding"


def test_a_sweep_whose_broker_is_killed_ends_with_every_answer_once(
    settings: Settings, store: Store, model: ModelRef
) -> None:
    sweep = submit(store, model, subjects=3)
    with embedded(settings, "cpu") as crew:
        wait_for_middle(store, sweep)
        before = crew.broker_url
        psutil.Process(crew.groups["broker"]).kill()
        wait_until(lambda: ReportKind.BROKER_BACK in {report.kind for report in crew.news()}, "the broker was back")
        wait_for_end(store, sweep)
        later = submit(store, model, subjects=1)  # no bell is rung for it: the worker must have found back
        wait_for_end(store, later)
        assert crew.broker_url == before
        crew.check()
    assert_every_answer_once(store, sweep)
    assert_every_answer_once(store, later)
    assert outcomes(store, sweep) == ["done"] * 3  # nothing was lost, nothing begun anew


def test_after_a_sweep_no_key_stays_in_redis_for_ever(settings: Settings, store: Store, model: ModelRef) -> None:
    sweep = submit(store, model, subjects=1)
    with embedded(settings, "cpu") as crew:
        wait_for_end(store, sweep)
        with redis.Redis.from_url(crew.broker_url, decode_responses=True) as client:

            def for_ever() -> list[str]:
                return [key for key in client.scan_iter() if client.ttl(key) == -1 and not key.startswith(STAYS)]

            wait_until(lambda: for_ever() == [], "only Celery's own bindings stayed")
