"""Opening the settings' database: its folder, its file's mode, its tables."""

from __future__ import annotations

import contextlib
from pathlib import Path

from proctor import private
from proctor.errors import StoreUnavailable
from proctor.settings import Settings, default_home
from proctor.store.database.session import Clock, Store


def open_store(settings: Settings, *, clock: Clock | None = None, timeout_s: float = 30.0) -> Store:
    """The store of these settings: its folder made, its tables brought up to date. Close it, or use it in a `with`.

    Several processes may do this at once.

    Raises
    ------
    StoreUnavailable
        where it can't be made, opened or brought up to date, or a newer Proctor made it.
    """
    from proctor.store.database import schema

    store = Store(settings.database_url, clock=clock, timeout_s=timeout_s)
    if not store.is_postgresql and store.url.database is not None:
        folder = Path(store.url.database).parent
        try:
            (private.make_own_folder if folder == default_home() else private.make_folder)(folder)
        except OSError as error:
            raise StoreUnavailable(
                f"Folder {folder} can't be made: {error.strerror}.", "Set PROCTOR_HOME to a folder that may be written."
            ) from error
        _close_to_others(Path(store.url.database))
    try:
        schema.upgrade(store)
    except BaseException:
        store.close()
        raise
    return store


def _close_to_others(file: Path) -> None:
    """Let the owner alone read a SQLite database, made here where it isn't there: what SQLite makes beside it
    (`-wal`, `-shm`) gets its mode."""
    with contextlib.suppress(OSError):  # SQLite says why it can't be opened
        private.make_file(file)
    for ending in ("-wal", "-shm"):
        private.tighten(file.with_name(f"{file.name}{ending}"))
