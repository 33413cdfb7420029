"""The folder of a report: the files of an earlier report go, everybody else's stay as they are.

A list of the report's own files, with the SHA-256 of each, lies beside them as `.proctor-report.json`. Earlier releases
wrote none: their report is known by its page, and their files by their names and by not having changed after it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from analysis.data.phrases import counted, listed
from proctor import private
from proctor.errors import BadInput

LIST = ".proctor-report.json"
PAGES = ("report.html", "report.md")  # gone first and back last: a page that is there is whole, with its files
KINDS = {".html", ".md", ".png", ".svg", ".csv"}
SLACK_S = 2.0  # by which a file may seem younger than the page that was written after it: file systems round
_WRITTEN = re.compile(r"Written on \d{4}-\d\d-\d\d at [^\n<]* by Proctor ")
_BESIDE = ".proctor-report.{}.part"

Owned = Mapping[str, Sequence[str]]  # file name -> SHA-256 of each content that is ours


@contextmanager
def report_folder(folder: Path, names: Sequence[str] = ()) -> Iterator[Path]:
    """An empty folder to write a report to; at the end its files take the place of the earlier report's in `folder`.

    Whoever is killed before the end leaves the earlier report whole; whoever is killed in the exchange of the files
    leaves no page, and the next report finishes the work. `names` are files that are known to be written: where one
    is in the way, that is found before the work and not after it.

    Raises
    ------
    BadInput
        where a file that isn't an earlier report's, or was changed since, has the name of one to be written.
    """
    private.make_folder(folder)
    _refuse_foreign(folder, names, _owned(folder, names))
    beside = folder / _BESIDE.format(os.getpid())
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(private.FOLDER)
    try:
        with _locked(beside):
            yield beside
            with _locked(folder):
                _exchange(folder, beside)
                _forget_the_killed(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _exchange(folder: Path, beside: Path) -> None:
    new = {path.name: [_content(path)] for path in beside.iterdir()}
    owned = _owned(folder, list(new))
    _refuse_foreign(folder, list(new), owned)
    old = {name: hashes for name, hashes in owned.items() if _is_ours(folder / name, hashes)}
    _write_list(
        beside, folder, {name: [*old.get(name, ()), *new.get(name, ())] for name in {**old, **new}}, whole=False
    )
    for name in sorted(old, key=lambda name: name not in PAGES):
        (folder / name).unlink(missing_ok=True)
    for name in sorted(new, key=lambda name: name in PAGES):
        private.tighten(beside / name)
        (beside / name).replace(folder / name)
    _write_list(beside, folder, new, whole=True)


def _refuse_foreign(folder: Path, names: Sequence[str], owned: Owned) -> None:
    foreign = [
        name
        for name in sorted(names)
        if os.path.lexists(folder / name) and not _is_ours(folder / name, owned.get(name, ()))
    ]
    if foreign:
        raise BadInput(
            f"{folder} holds {counted(len(foreign), 'file')} that a report would overwrite and that no report wrote "
            f"there, or that {'was' if len(foreign) == 1 else 'were'} changed since: {listed(foreign)}.",
            "Name another folder with -o, or move them away.",
        )


def _owned(folder: Path, names: Sequence[str]) -> Owned:
    path = folder / LIST
    if not path.exists():
        return _without_a_list(folder, names)
    try:
        files = json.loads(path.read_text("utf-8"))["files"]
        return {str(name): [str(one) for one in hashes] for name, hashes in files.items() if Path(name).name == name}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no list of a report's files.", "Name another folder with -o.") from error


def _without_a_list(folder: Path, names: Sequence[str]) -> Owned:
    """What an earlier release wrote there, of files with these names or those of further sets (`accuracy_2.csv`)."""
    written_s = [page.stat().st_mtime for name in PAGES if _is_page(page := folder / name)]
    if not written_s:
        return {}
    stems = {_stem(name) for name in names}
    return {
        path.name: [_content(path)]
        for path in folder.iterdir()
        if path.suffix in KINDS
        and _stem(path.name) in stems
        and path.is_file()
        and not path.is_symlink()
        and path.stat().st_mtime <= max(written_s) + SLACK_S
    }


def _is_page(path: Path) -> bool:
    """Whether a file says that a report was written by us, before its first section."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return _WRITTEN.search(file.read(1 << 16)) is not None


def _stem(name: str) -> str:
    return re.sub(r"_\d+$", "", Path(name).stem)


def _write_list(beside: Path, folder: Path, files: Owned, *, whole: bool) -> None:
    text = json.dumps({"whole": whole, "files": files}, indent=1) + "\n"
    private.make_file(beside / LIST).write_text(text, encoding="utf-8")
    (beside / LIST).replace(folder / LIST)


def _is_ours(path: Path, hashes: Sequence[str]) -> bool:
    return path.is_file() and not path.is_symlink() and _content(path) in hashes


def _content(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def _forget_the_killed(folder: Path) -> None:
    """Remove what reports that were killed have left half written; one that still writes holds its lock."""
    for left in folder.glob(_BESIDE.format("*")):
        with suppress(OSError), _locked(left, wait=False):
            shutil.rmtree(left)


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process. OSError where another has it and `wait` is False."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
