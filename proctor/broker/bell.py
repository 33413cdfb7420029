"""Rings the bell: one message a Run, so that a worker of its device wakes up and looks into the database.

A bell may be lost, doubled or late; none of it matters, since workers claim Runs from the database and ring again
for what they find waiting. Promised here: a broker that blinks is waited for, for so long and no longer
(tests/integration/test_dispatch.py::test_a_broker_that_blinks_is_waited_for).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from proctor.broker.app import WORK
from proctor.errors import BrokerUnavailable
from proctor.nouns.models import Device
from proctor.retry import doubling, jittered

# A client's first call after a cut raises redis-py's own error; kombu wraps the later ones.
BROKER_ERRORS = (OperationalError, RedisError, OSError)
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0


def ring(app: Celery, device: Device, run_ids: Sequence[int], patience_s: float = 20.0) -> None:
    """Send a bell for each Run to the queue of `device`, waiting out a broker that is away for up to `patience_s`.

    Raises
    ------
    BrokerUnavailable
        when patience is at an end. Runs whose bell was not sent are still pending in the database: ring again.
    """
    end = time.monotonic() + patience_s
    for run_id in run_ids:
        _ring_once(app, device, run_id, end)


def wake(app: Celery, device: Device, worker: str) -> None:
    """One bell that a worker rings for itself, once and without waiting. Raises one of `BROKER_ERRORS`."""
    app.send_task(WORK, task_id=f"wake-{worker}", queue=device.value, retry=False)


def _ring_once(app: Celery, device: Device, run_id: int, end: float) -> None:
    for wait_s in doubling(FIRST_WAIT_S, LONGEST_WAIT_S):
        try:
            app.send_task(WORK, task_id=f"run-{run_id}", queue=device.value, retry=False)
        except BROKER_ERRORS as error:
            if time.monotonic() + wait_s > end:
                raise BrokerUnavailable(
                    f"The broker at {address(app)} can't be reached: {error}.",
                    "Check PROCTOR_BROKER_URL and that Redis or Valkey runs there; then submit the same again.",
                ) from error
        else:
            return
        time.sleep(jittered(wait_s))


def address(app: Celery) -> str:
    """Host and port of the broker, or of its sentinels, without the password."""
    places = [urlsplit(part) for part in str(app.conf.broker_url).split(";")]
    return ", ".join(place.netloc.rpartition("@")[2] for place in places)
