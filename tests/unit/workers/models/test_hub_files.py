"""Getting a model's files: one process at a time, signs of life meanwhile, and what a full disk is called."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from safetensors import SafetensorError

from proctor.errors import BadModel, DiskFull, NotHere
from proctor.nouns.models import ModelRef, ModelSource
from tests.support import wait_until
from workers.models import local_files
from workers.models.local_files import alone, full_disk_told, local_folder
from workers.run.liveness import Liveness

FULL = Path("/dev/full")  # every write to it fails for lack of space
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def test_who_waits_its_turn_says_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files, "TURN_S", 0.02)
    beats, entered = [], threading.Event()
    held = FileLock(tmp_path / "models" / "one.lock", thread_local=False)
    (tmp_path / "models").mkdir()
    held.acquire()

    def wait_its_turn() -> None:
        with alone(tmp_path / "models" / "one.lock", lambda: beats.append(1)):
            entered.set()

    waiting = threading.Thread(target=wait_its_turn)
    waiting.start()
    wait_until(lambda: len(beats) > 2, "it beat while another was inside")
    assert not entered.is_set()
    held.release()
    waiting.join(timeout=300)
    assert entered.is_set()


def test_a_beat_is_taken_once() -> None:
    liveness = Liveness()
    assert not liveness.taken()
    liveness.beat()
    liveness.beat()
    assert liveness.taken()
    assert not liveness.taken()


@needs_full
def test_a_full_disk_is_told_as_one_whoever_met_it() -> None:
    with pytest.raises(DiskFull, match="disk of cache is full"), full_disk_told(Path("cache")):
        FULL.write_bytes(b"x")


def convert_onto_a_full_disk() -> None:
    try:
        FULL.write_bytes(b"x")
    except OSError as error:
        raise BadModel("org/x", "it can't be converted") from error


@needs_full
def test_a_full_disk_is_told_as_one_behind_our_own_errors_too() -> None:
    with pytest.raises(DiskFull), full_disk_told(Path("cache")):
        convert_onto_a_full_disk()


def test_a_full_disk_is_told_as_one_by_safetensors_which_gives_the_systems_number_in_words() -> None:
    said = f"Error while serializing: I/O error: No space left on device (os error {errno.ENOSPC})"
    with pytest.raises(DiskFull), full_disk_told(Path("cache")):
        raise SafetensorError(said)


def test_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), full_disk_told(tmp_path):
        (tmp_path / "absent").read_bytes()
    with pytest.raises(BadModel, match="damaged"), full_disk_told(tmp_path):
        raise BadModel("org/x", "it is damaged")


def test_files_that_lie_on_another_machine_only_are_left_to_its_workers(tmp_path: Path) -> None:
    with pytest.raises(NotHere, match="nothing at this path on this machine"):
        local_folder(ModelRef(str(tmp_path / "absent"), ModelSource.FOLDER, "abc"), tmp_path)
