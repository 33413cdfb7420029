"""What chaos tests start from: settings with a short lease, a store, a tiny model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proctor.catalog.resolve import resolve
from proctor.nouns.models import ModelRef
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests import tiny
from tests.integration.conftest import empty_url, postgres

__all__ = ["empty_url", "postgres"]

LEASE_S = 3.0


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """On SQLite; a Run of a worker that fell silent is claimable again after `LEASE_S`."""
    return Settings(
        home=tmp_path, cache=tmp_path / "cache", database_url=f"sqlite:///{tmp_path / 'proctor.db'}", lease_s=LEASE_S
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened
