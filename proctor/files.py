"""Files that are there whole or not at all, and their owner's alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proctor import private


@contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """A private file beside `path` to write to. At the end it is on the disk and takes the place of `path`, or is gone.

    Raises
    ------
    FileExistsError
        without `replace`, if `path` is there by then.
    OSError
        where it can't be written.
    """
    beside = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        yield private.make_file(beside)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        if replace:
            beside.replace(path)
        else:
            os.link(beside, path)  # unlike a rename, it fails where the name is taken
    finally:
        beside.unlink(missing_ok=True)
