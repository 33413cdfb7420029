"""Files of others, read within limits; and files that a person names."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from proctor import private
from proctor.errors import BadInput
from proctor.files import whole_file

LONGEST_LINE = 16 << 20  # characters
LONGEST_TEXT = 1 << 30  # characters of one file, unpacked


def lines_of(path: Path, newline: str = "\n") -> Iterator[str]:
    """A file's lines, one in memory at a time: ended by a newline alone, as questions may hold Unicode's other ends.

    A file whose name ends in `.gz` is unpacked on the way; `newline` is that of `open`.

    Raises
    ------
    BadInput
        where it can't be read, is no UTF-8, or has a line or a length beyond the limits above.
    """
    length = 0
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline=newline) as file:
            while line := file.readline(LONGEST_LINE + 1):
                length += len(line)
                if len(line) > LONGEST_LINE or length > LONGEST_TEXT:
                    what = "has a line of" if len(line) > LONGEST_LINE else "holds"
                    most = LONGEST_LINE if len(line) > LONGEST_LINE else LONGEST_TEXT
                    raise BadInput(f"{path} {what} more than {most >> 20} Mi characters.", "Split it, or leave it out.")
                yield line
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} can't be read: {error}.",
            "Wanted: text in UTF-8, as it is or packed by gzip with the ending .gz.",
        ) from error


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[Path]:
    """`whole_file` for one that a person names, its folder made where it isn't there.

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
        private.make_folder(path.parent)
        with whole_file(path) as beside:
            yield beside
    except OSError as error:
        raise BadInput(f"{path} can't be written: {error.strerror or error}.") from error


def exists(path: Path) -> BadInput:
    """What to raise where a file stands in the way."""
    return BadInput(f"{path} exists.", "Name another with -o, or write over it with --force.")
