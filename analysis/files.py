"""Files that are whole or absent, never half written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proctor.errors import BadInput


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` at the end, and is gone where that fails."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """The same for a file that a person names, its folder made where it isn't there.

    Raises
    ------
    BadInput
        where it exists and `force` isn't set, is a folder, or can't be written.
    """
    if path.exists() and not force:
        raise exists(path)
    if path.is_dir():
        raise BadInput(f"{path} is a folder.", "Name a file with -o.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside:
            yield beside
    except OSError as error:
        raise BadInput(f"{path} can't be written: {error.strerror or error}.") from error


def exists(path: Path) -> BadInput:
    """What to raise where a file stands in the way."""
    return BadInput(f"{path} exists.", "Name another with -o, or write over it with --force.")
