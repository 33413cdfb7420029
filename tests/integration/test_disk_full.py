"""A disk that fills up under SQLite is waited out like any other absence, and nothing is half written."""

from __future__ import annotations

from pathlib import Path

from proctor.nouns.runs import Cost
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import runs
from tests.integration.store_world import claim, pack_of, spec, submit

PLENTY = 1_000_000


def allow_pages(store: Store, pages: int) -> None:
    """SQLite says SQLITE_FULL beyond so many pages, as it does when the disk is full; 1 is as many as there are."""
    with store.read() as session:
        session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_waited_out_and_what_was_to_be_written_is_written_once(tmp_path: Path) -> None:
    told: list[str] = []

    def pause(_seconds: float) -> bool:
        if len(told) == 3:
            allow_pages(store, PLENTY)  # somebody has made room
        return False

    with open_store(Settings.read({"PROCTOR_HOME": str(tmp_path)})) as store:
        made = submit(store, *(spec(size=6, subject=subject) for subject in "abc"))
        held = claim(store)
        allow_pages(store, 1)
        reason = "x" * 100_000  # more than fits into a free page
        OutageRetry(pause, 3600.0, told.append)(lambda: runs.fail(store, held, "full", reason))
        assert ["the disk is full" in each for each in told] == [True, True, True, False]
        again = claim(store)
        assert runs.record(store, again, 0, pack_of(again, 0), Cost())
        failures = {run.run_id: run.failures for run in records.runs(store, [made.sweep_id])}
        assert failures[held.run_id] == 1
