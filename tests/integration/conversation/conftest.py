"""A broker, a database, who files requests, and a worker's child."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.client.client import Client
from proctor.embedded.command import embedded
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests import tiny
from tests.integration.broker_settings import on_sqlite
from tests.integration.conversation.desk import Desk
from tests.integration.desks import ME
from workers.parent.requests import ChatRequests


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded(on_sqlite(tmp_path_factory.mktemp("fleet")), devices=None) as crew:
        yield crew.broker_url


@pytest.fixture
def settings(tmp_path: Path, broker: str) -> Settings:
    return on_sqlite(tmp_path, broker)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def client(broker: str, settings: Settings, store: Store) -> Iterator[Client]:
    with Client(broker) as found:
        found.redis.flushdb()
        chat_requests = ChatRequests(broker, store, ME, lambda _: None)
        chat_requests.start()
        yield found
        chat_requests.stop()
        chat_requests.join()


@pytest.fixture
def desk(settings: Settings, store: Store) -> Desk:
    return Desk(settings, store)
