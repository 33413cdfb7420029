"""From a model's name to a folder of safetensors on this machine; a GGUF file is converted once and kept.

`python -m workers.models.local_files NAME` does it in a process of its own; `proctor models fetch` calls
`local_folder`.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError

from proctor.catalog import demo, hub, resolve
from proctor.catalog.conversion import converted_path, is_checked
from proctor.errors import DiskFull, HubUnavailable, ProctorError, UnknownName
from proctor.nouns.models import ModelRef, ModelSource
from proctor.settings import Settings
from workers.engines.hf.gguf import unpack
from workers.models.held import Progress

TURN_S = 5.0  # how often a process that waits its turn says that it lives


def local_folder(
    ref: ModelRef, cache: Path, progress: Progress = lambda _: None, moved: Callable[[], None] = lambda: None
) -> Path:
    """A folder with the model's config, tokenizer and safetensors, fetched and converted where needed.

    Files that lie on this machine are compared with the revision first: a sweep never mixes two states of a model.
    Of several processes of one host one downloads or converts a model and the others wait for it. `moved` is called
    again and again while that goes on.

    Raises
    ------
    BadModel
        where the files have changed, are damaged or refused.
    NotHere
        where this machine can't have them, and another may.
    HubUnavailable, DiskFull
        where they can't be had now.
    """
    with full_disk_told(cache):
        if ref.source is ModelSource.HUB:
            return _from_hub(ref, cache, progress, moved)
        if ref.source is ModelSource.DEMO:
            return _demo_folder(ref, cache, progress, moved)
        resolve.check_unchanged(ref)
        path = Path(ref.name)
        return path if ref.source is ModelSource.FOLDER else converted(lambda: path, ref, cache, progress, moved)


def converted(
    fetched: Callable[[], Path],
    ref: ModelRef,
    cache: Path,
    progress: Progress = lambda _: None,
    moved: Callable[[], None] = lambda: None,
) -> Path:
    """The GGUF file that `fetched` gives as a folder of safetensors, in plain numbers of `GgufHeader.dtype`.

    Takes some twenty seconds the first time. Safe to call from several processes at once: one converts, the others
    wait for it; the folder gets its name when it is whole and checked. What an earlier release converted with fewer
    checks is thrown away and made again.

    Raises
    ------
    BadModel
        as `hf.gguf.unpack` does. Nothing is kept then.
    """
    folder = converted_path(ref, cache)
    if is_checked(folder):
        return folder
    with alone(folder.parent / f"{folder.name}.lock", moved):
        if not is_checked(folder):
            path = fetched()
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="convert-") as scratch:
                why = "once"
                if folder.is_dir():
                    folder.replace(Path(scratch) / "before")
                    why = "once more: an earlier release didn't check what came out"
                progress(f"{ref.label}: converting the GGUF file to safetensors, {why}")
                whole = Path(scratch) / folder.name
                unpack(path, whole, ref.name)
                whole.replace(folder)
    return folder


@contextmanager
def alone(lock_path: Path, moved: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Only one process of this host is in the block at a time; `moved` is called while this one waits its turn.

    The one inside is looked after by its own launcher: a hung one is killed, and the kernel lets its lock go.
    """
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_path)
    while True:
        try:
            lock.acquire(timeout=TURN_S)
        except Timeout:
            moved()
        else:
            break
    try:
        yield
    finally:
        lock.release()


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Turn whatever a full disk makes of the work in the block into `DiskFull`."""
    try:
        yield
    except (OSError, ProctorError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        raise DiskFull(f"The disk of {folder} is full.", "Free some space there, or set PROCTOR_CACHE.") from error


def is_disk_full(error: BaseException | None) -> bool:
    """Whether this error, or one that it came from, is that of a full disk."""
    if error is None:
        return False
    number = error.errno if isinstance(error, OSError) else None
    # safetensors has no number of its own: it says that of the system in words.
    said = isinstance(error, SafetensorError) and f"os error {errno.ENOSPC})" in str(error)
    return number in (errno.ENOSPC, errno.EDQUOT) or said or is_disk_full(error.__cause__)


def _from_hub(ref: ModelRef, cache: Path, progress: Progress, moved: Callable[[], None]) -> Path:
    folder = hub.cached(ref.name, ref.revision)
    if folder is not None:
        return folder
    name = f"{ref.name.replace('/', '--')}-{ref.revision}"
    with alone(cache / "models" / f"hub-{name}.lock", moved):
        folder = hub.cached(ref.name, ref.revision)
        if folder is not None:
            return folder
        progress(f"{ref.label}: downloading from the hub, once for this machine")
        try:
            return hub.download(ref.name, ref.revision, moved)
        except hub.OutOfReach as error:
            if error.offline:
                raise
            raise HubUnavailable(f"The hub can't be reached for {ref.name}.", error.next_step) from error


def _demo_folder(ref: ModelRef, cache: Path, progress: Progress, moved: Callable[[], None]) -> Path:
    model = demo.demo_model(ref.name)
    if model is None or model.revision != ref.revision:
        known = [f"{one.name}@{one.revision}" for one in demo.DEMO_MODELS]
        raise UnknownName("demo model", str(ref), known, "This worker is of another release of Proctor.")
    return converted(lambda: demo.fetch(model, cache, progress), ref, cache, progress, moved)


def main(arguments: list[str]) -> int:
    """Fetch and convert each named model; a line a step on stderr, the folder on stdout."""
    cache = Settings.read(os.environ).cache
    for name in arguments:
        try:
            folder = local_folder(resolve.resolve(name), cache, _tell)
        except ProctorError as error:
            _tell(str(error))
            return error.exit_code
        sys.stdout.write(f"{folder}\n")
    return 0


def _tell(step: str) -> None:
    sys.stderr.write(f"{step}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
