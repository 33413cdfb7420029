"""Where a benchmark's files lie, and what their names say of split and subject.

| a path like | is |
| --- | --- |
| `history.csv` | the test questions of history (or of the subjects in its column `subject`) |
| `test/history.csv`, `dev/history.csv` | test and dev questions of history |
| `test/history_test.csv`, `history_dev.csv` | the same, as in MMLU's own archive |
| `test.jsonl`, `dev.jsonl` | test and dev questions of the subjects in their column |
| `history/test-00000-of-00001.parquet` | as on the hub; a folder `all` beside others is left out: it repeats them |

`val` and `validation` stand in for a test split where there is none; `train` and `auxiliary_train` are never read.
Files of other kinds are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.reading.files import READERS
from proctor.printing import quoted


class Split(StrEnum):
    """What a file's questions are for."""

    TEST = "test"
    DEV = "dev"
    VALIDATION = "validation"
    TRAIN = "train"


SPLITS = {
    "test": Split.TEST,
    "dev": Split.DEV,
    "val": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "train": Split.TRAIN,
    "auxiliary_train": Split.TRAIN,
}
SHARD = re.compile(r"-\d{5}-of-\d{5}$")
NO_SUBJECT = {"data"}  # folders whose name is no subject's
KINDS = ", ".join(READERS)


@dataclass(frozen=True)
class Source:
    """One file: what it is called towards a person, its split, and the subject in its name, "" if there is none."""

    path: Path
    label: str
    split: Split
    subject: str


def find(root: Path) -> tuple[Source, ...]:
    """The files of a benchmark in the order in which they are read; `root` is a file or a folder.

    Raises
    ------
    BadExam
        if there is none.
    """
    if root.is_dir():
        files = _walk(root)
    elif not root.is_file():
        raise BadExam(f"{quoted(str(root))} is neither a file nor a folder.", "Give a file or folder of questions.")
    elif not _is_ours(root):
        raise BadExam(f"{quoted(str(root))} is none of {KINDS}.", "Save it as one of these.")
    else:
        return (_source(root, root.parent),)
    sources = tuple(_source(path, root) for path in files)
    if not sources:
        raise BadExam(f"In the folder {quoted(str(root))} is no file of {KINDS}.", "Give the folder that holds them.")
    return sources


def _walk(root: Path) -> list[Path]:
    """Our files in `root` and in its folders, no deeper: a folder named by mistake is not searched to its end."""
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
        if any(folder.name.casefold() not in {"all", *SPLITS, *NO_SUBJECT} for folder in folders):
            folders = [folder for folder in folders if folder.name != "all"]
        return [path for folder in (root, *folders) for path in sorted(folder.iterdir()) if _is_ours(path)]
    except OSError as error:
        raise BadExam(
            f"The folder {quoted(str(root))} can't be read: {error.strerror or error}.", "Check its permissions."
        ) from error


def _is_ours(path: Path) -> bool:
    return path.suffix.casefold() in READERS and not path.name.startswith(".") and path.is_file()


def _source(path: Path, root: Path) -> Source:
    relative = path.relative_to(root)
    folder = relative.parts[0] if len(relative.parts) > 1 else ""
    split, subject = _named(SHARD.sub("", path.stem), folder)
    return Source(path, quoted(str(relative)), split, subject)


def _named(stem: str, folder: str) -> tuple[Split, str]:
    """Split and subject of a file, by its own name and the name of the folder that it lies in, "" for the root."""
    folder_split = SPLITS.get(folder.casefold())
    if own := SPLITS.get(stem.casefold()):  # test.jsonl: the folder may be the subject
        return own, "" if folder_split or folder.casefold() in NO_SUBJECT else folder
    name, _, ending = stem.rpartition("_")
    own = SPLITS.get(ending.casefold())
    if name and own and folder_split in (None, own):  # history_test.csv
        return own, name
    return folder_split or Split.TEST, stem
