"""Folders and files that their owner alone can read (0700, 0600), whatever the umask.

Databases, logs, conversations and reports hold what people asked and what models answered. Models in the cache hold
neither, and keep the umask's mode.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

FOLDER = 0o700
FILE = 0o600
_OTHERS = 0o077


def make_folder(folder: Path) -> Path:
    """Make a folder, and those above it that are missing; one that exists keeps its mode. Raises `OSError`."""
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(FOLDER, exist_ok=True)
    if not folder.is_dir():
        folder.mkdir(FOLDER)  # raises, with the path
    return folder


def make_own_folder(folder: Path) -> Path:
    """The same for a folder that is ours alone: one of an earlier release is closed to others. Raises `OSError`."""
    make_folder(folder)
    tighten(folder)
    return folder


def make_file(path: Path) -> Path:
    """Make an empty file; one that exists keeps what it holds, and is closed to others. Raises `OSError`.

    An existing file isn't opened: closing it would let go the locks that this process has on it through SQLite
    (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE))
    except FileExistsError:
        tighten(path)
    return path


def append_to(path: Path) -> BinaryIO:
    """Open a file for appending, made where it isn't there. Raises `OSError`."""
    return make_file(path).open("ab")


def tighten(path: Path) -> None:
    """Take what others may do with a file or folder of this user's from it; left as it is where that can't be done.

    Links and what is neither file nor folder, such as `/dev/null`, are left alone.
    """
    with contextlib.suppress(OSError):  # it is gone, or the file system can't be written or has no modes
        found = path.lstat()
        ours = found.st_uid == os.geteuid() and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        if ours and found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
