"""Task files of lm-evaluation-harness as plain data: YAML with `include` and `!function`, of which none is ever run.

Read as its loader of 0.4.13 does: `include` is a path or a list of paths, relative to the file; later ones win, own
keys win over all; a mapping is replaced whole; `task_list` isn't handed on. A file that includes itself is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from proctor.errors import BadExam, first_line
from proctor.exams.reading.problems import shown

Config = dict[str, Any]  # as YAML has it; a `!function` is a Reference
_LARGEST = 8 << 20  # bytes of a task file
_MOST_VALUES = 200_000
_DEEPEST = 20  # includes of includes


@dataclass(frozen=True)
class Reference:
    """A `!function`: a function of Python that the file names, as `utils.process_docs`, and the folder of the file."""

    name: str
    folder: Path

    @property
    def file(self) -> Path:
        """The file that defines it, if it is one beside the task's."""
        return self.folder / f"{self.name.rpartition('.')[0].replace('.', '/')}.py"

    @property
    def sha256(self) -> str:
        """Of the file that defines it, 64 hex digits; "" where there is none."""
        return sha256_of(self.file)


@cache
def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, 64 hex digits; "" for one that can't be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # either
    """YAML's safe loader, with `!function` as text."""


@dataclass(frozen=True)
class _Named:
    name: str


_Loader.add_constructor("!function", lambda loader, node: _Named(loader.construct_scalar(node)))


def read_file(path: Path, within: tuple[Path, ...] = ()) -> Config:
    """The keys of a task file, with those that it includes.

    Raises
    ------
    BadExam
        for what is no YAML, no mapping, or can't be read; for an include that leads to itself.
    """
    path = path.resolve()
    if path in within:
        raise BadExam(f"{path.name} includes itself, by {' and '.join(one.name for one in within)}.")
    if len(within) > _DEEPEST:
        raise BadExam(f"{path.name} is included more than {_DEEPEST} files deep.")
    own = dict(_own_keys(path))
    merged: Config = {}
    for name in _as_list(own.pop("include", [])):
        included = dict(read_file(path.parent / str(name), (*within, path)))
        included.pop("task_list", None)
        merged.update(included)
    return {**merged, **own}


def files_of(path: Path) -> Iterator[Path]:
    """A task file and all that it includes, in the order in which they are read; errors as of `read_file`."""
    yield path
    for name in _as_list(_own_keys(path.resolve()).get("include", [])):
        yield from files_of(path.parent / str(name))


def digest(path: Path) -> str:
    """sha256 over the bytes of a task file and of all that it includes, 64 hex digits; errors as of `read_file`."""
    return hashlib.sha256("".join(sha256_of(one.resolve()) for one in files_of(path)).encode()).hexdigest()


def references(value: object) -> Iterator[Reference]:
    """Every `!function` in a value, in order."""
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


@lru_cache(maxsize=20_000)
def _own_keys(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise BadExam(f"{path.name} has more than {_LARGEST >> 20} MiB, which no task file has.")
        value = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 -- a subclass of the safe one
    except OSError as error:
        raise BadExam(f"{path} can't be read: {error.strerror}.", "Check its include and its permissions.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadExam(f"{path.name} is no YAML: {shown(first_line(error), 200)}.") from error
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise BadExam(f"{path.name} is no task file: a mapping of names is needed.")
    placing = _Placing(path)
    return {key: placing.placed(one) for key, one in value.items()}


class _Placing:
    """Gives each `!function` the folder of its file. Counts values, for aliases of YAML repeat what they name."""

    def __init__(self, path: Path) -> None:
        self.path, self.left = path, _MOST_VALUES

    def placed(self, value: object) -> object:
        self.left -= 1
        if self.left < 0:
            raise BadExam(f"{self.path.name} holds more than {_MOST_VALUES:,} values, which no task file does.")
        if isinstance(value, _Named):
            return Reference(value.name, self.path.parent)
        if isinstance(value, dict):
            return {key: self.placed(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.placed(one) for one in value]
        return value


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
