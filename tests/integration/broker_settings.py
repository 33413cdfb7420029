"""Settings for tests of the broker and the workers, for which one kind of database is enough."""

from __future__ import annotations

from pathlib import Path

from proctor.settings import Settings


def on_sqlite(folder: Path, broker_url: str | None = None) -> Settings:
    return Settings(folder, folder / "cache", f"sqlite:///{folder / 'proctor.db'}", broker_url)
