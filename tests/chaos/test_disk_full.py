"""The disk runs full in the middle of a sweep: a real file system of a few megabytes, filled to its last byte."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.embedded.command import embedded
from proctor.nouns.models import Device, ModelRef
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import workers
from tests.chaos.scene import (
    assert_every_answer_once,
    outcomes,
    recompute,
    recorded_scores,
    runs_of,
    submit,
    wait_for_end,
    wait_for_middle,
)
from tests.support import wait_until
from workers.engines.devices import own_device

SIZE = "24m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own for the database; skips where mounting isn't permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small file system is not permitted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes what is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


def test_a_full_disk_is_waited_out_and_no_answer_is_lost(small_disk: Path, settings: Settings, model: ModelRef) -> None:
    settings = replace(settings, database_url=f"sqlite:///{small_disk / 'proctor.db'}", lease_s=300.0)
    with open_store(settings) as store:
        sweep = submit(store, model, subjects=2)
        with embedded(settings, "cpu"):
            wait_for_middle(store, sweep)
            ballast = fill(small_disk)
            log = next((settings.home / "logs").glob("cpu-*.log"))
            wait_until(lambda: "full" in log.read_text(), "the worker said that the disk is full")
            stuck = answered(store, sweep)
            assert RunStatus.FAILED not in {run.status for run in runs_of(store, sweep)}
            ballast.unlink()
            wait_for_end(store, sweep)
            assert answered(store, sweep) > stuck
        assert_every_answer_once(store, sweep)
        assert outcomes(store, sweep) == ["done"] * 2
        assert recorded_scores(store, sweep) == recompute(store, sweep, own_device(Device.CPU))
        assert all(worker.run_id is None for worker in workers.listing(store))


def answered(store: Store, sweep: int) -> int:
    return sum(run.answered for run in runs_of(store, sweep))
