"""Bells: what is sent, and what happens where the broker blinks or is gone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from proctor.broker.app import make_app
from proctor.broker.bell import ring
from proctor.embedded.command import embedded
from proctor.errors import BrokerUnavailable
from proctor.nouns.models import Device
from tests.integration.broker_settings import on_sqlite


def test_each_run_gets_one_bell_in_json_on_the_queue_of_its_device(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        ring(make_app(crew.settings), Device.GPU, [7, 8])
        with redis.Redis.from_url(crew.broker_url) as client:
            bells = [json.loads(bell) for bell in cast("list[bytes]", client.lrange("gpu", 0, -1))]
            assert client.llen("cpu") == 0
    assert sorted(_header(bell, "id") for bell in bells) == ["run-7", "run-8"]
    assert {_header(bell, "task") for bell in bells} == {"proctor.work"}
    assert {bell["content-type"] for bell in bells} == {"application/json"}


def test_a_broker_that_blinks_is_waited_for(tmp_path: Path) -> None:
    with embedded(on_sqlite(tmp_path), devices=None) as crew:
        app = make_app(crew.settings)
        ring(app, Device.CPU, [1])
        psutil.Process(crew.groups["broker"]).kill()
        ring(app, Device.CPU, range(2, 12))
        with redis.Redis.from_url(crew.broker_url) as client:
            assert client.llen("cpu") == 10  # the first one went with the broker: workers ring again for it


def test_a_broker_that_stays_away_is_an_error_without_its_password(tmp_path: Path) -> None:
    app = make_app(on_sqlite(tmp_path, "redis://:secret@127.0.0.1:1/0"))
    with pytest.raises(BrokerUnavailable) as caught:
        ring(app, Device.CPU, [1], patience_s=0.5)
    assert "127.0.0.1:1 can't be reached" in caught.value.problem
    assert "PROCTOR_BROKER_URL" in caught.value.next_step
    assert "secret" not in str(caught.value)


class Blinking(Celery):
    """An application whose broker is away at the first two tries of every bell."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.tries: Counter[str] = Counter()

    def send_task(self, *_given: Any, **options: Any) -> Any:
        task_id = options["task_id"]
        self.tries[task_id] += 1
        if self.tries[task_id] < 3:
            raise OperationalError("it blinks")


def test_patience_is_for_all_bells_of_a_ring_not_for_each() -> None:
    app = Blinking(broker="redis://127.0.0.1:1/0", set_as_current=False)
    with pytest.raises(BrokerUnavailable, match="it blinks"):
        ring(app, Device.CPU, range(50), patience_s=0.5)  # enough for any single one
    assert 0 < len(app.tries) < 50


def test_without_a_broker_there_is_no_application(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnavailable, match="No broker is named"):
        make_app(on_sqlite(tmp_path))


def _header(bell: dict[str, Any], name: str) -> str:
    return str(bell["headers"][name])
