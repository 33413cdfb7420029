"""A folder of task files of lm-evaluation-harness: its tasks, groups and tags, and the Tasks that they mean.

A tag is the set of all tasks that bear it; a group is a list of tasks, groups and tags, whose other keys override those
of its members. Where a name is given twice the first file counts, in the order of their paths.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from proctor.errors import BadExam, UnknownName
from proctor.exams.reading.problems import Faults
from proctor.exams.tasks.definition import Task
from proctor.exams.tasks.installed import release_of
from proctor.exams.tasks.task_files import Config, digest, read_file
from proctor.exams.tasks.task_keys import task_of

OF_GROUPS = frozenset({"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"})
_DEEPEST = 10  # groups in groups
_IGNORED = frozenset({"__pycache__", ".ipynb_checkpoints"})


@dataclass(frozen=True)
class Entry:
    """A task or group by its file, or by its keys where it stands in a group's."""

    config: Config
    path: Path | None


@dataclass
class TaskFolder:
    """What a folder holds, by name."""

    folder: Path
    release: str
    entries: dict[str, Entry] = field(default_factory=dict)
    tags: dict[str, set[str]] = field(default_factory=dict)
    unread: dict[Path, BadExam] = field(default_factory=dict)  # files that are none of tasks, or can't be read

    @property
    def names(self) -> list[str]:
        """Names of tasks, groups and tags."""
        return sorted({*self.entries, *self.tags})

    def add(self, path: Path) -> None:
        """Enter a file."""
        try:
            config = read_file(path)
        except BadExam as fault:
            self.unread[path] = fault
            return
        name = config.get("task") if "class" in config else config.get("group", config.get("task"))
        if not isinstance(name, str):
            self.unread[path] = BadExam(f"{path.name} names neither a task nor a group.")
            return
        if name in self.entries:
            return
        self.entries[name] = Entry(config, path)
        if not _is_group(config):
            tags = config.get("tag") or []
            for tag in [tags] if isinstance(tags, str) else tags:
                self.tags.setdefault(str(tag), set()).add(name)

    def tasks(self, name: str) -> list[Task]:
        """The tasks that a name stands for, each once, in order.

        Raises
        ------
        UnknownName
            for a name that isn't here.
        BadExam
            for tasks that can't be read, `SeveralFaults` for several.
        """
        faults = Faults()
        found: dict[str, Task] = {}
        for entry, overrides in self._members(name, {}, 0):
            try:
                task = self._task(entry, overrides)
                found.setdefault(task.name, task)
            except BadExam as fault:
                faults.add(fault)
        faults.raise_any()
        return list(found.values())

    def _task(self, entry: Entry, overrides: Config) -> Task:
        config = {**entry.config, **overrides, "task": entry.config.get("task")}
        sha256 = digest(entry.path) if entry.path else ""
        if overrides or not entry.path:
            sha256 = hashlib.sha256((sha256 + json.dumps(overrides or config, default=str)).encode()).hexdigest()
        return task_of(config, release=self.release, sha256=sha256)

    def _members(self, name: str, overrides: Config, depth: int) -> Iterator[tuple[Entry, Config]]:
        if depth > _DEEPEST:
            raise BadExam(f"Groups stand in groups more than {_DEEPEST} deep, by {name!r}: does one contain itself?")
        entry = self.entries.get(name)
        if entry and _is_group(entry.config):
            yield from self._of_group(entry.config, overrides, depth)
        elif entry:
            yield entry, overrides
        elif name in self.tags:
            for task in sorted(self.tags[name]):
                yield self.entries[task], overrides
        else:
            near = difflib.get_close_matches(name, self.names)
            raise UnknownName("task", name, near, f"{self.folder} has {len(self.names):,} tasks, groups and tags.")

    def _of_group(self, config: Config, overrides: Config, depth: int) -> Iterator[tuple[Entry, Config]]:
        own = {key: value for key, value in config.items() if key not in OF_GROUPS}
        overrides = {**own, **overrides}
        members = config.get("task") or []
        for member in [members] if isinstance(members, str) else members:
            if isinstance(member, str):
                yield from self._members(member, overrides, depth + 1)
            elif not isinstance(member, Mapping):
                raise BadExam(f"A member of the group {config.get('group')!r} is no name and no mapping.")
            elif "group" in member and member["group"] not in self.entries:
                yield from self._of_group(dict(member), overrides, depth + 1)
            else:
                yield from self._of_mapping(dict(member), overrides, depth)

    def _of_mapping(self, member: Config, overrides: Config, depth: int) -> Iterator[tuple[Entry, Config]]:
        name = str(member.get("group", member.get("task")))
        changed = {**overrides, **{key: value for key, value in member.items() if key not in ("group", "task")}}
        if name in self.entries or name in self.tags:
            yield from self._members(name, changed, depth + 1)
        else:
            yield Entry({**changed, "task": member.get("task")}, None), {}


@lru_cache(maxsize=4)
def open_folder(folder: Path) -> TaskFolder:
    """Read all task files (*.yaml) of a folder and of those in it; takes seconds for thousands. Raises `BadExam`."""
    if not folder.is_dir():
        raise BadExam(f"{folder} is no folder of task files.", "Give --tasks a folder.")
    found = TaskFolder(folder, release_of(folder))
    for path in sorted(folder.glob("**/*.yaml"), key=lambda path: path.as_posix()):
        if not _IGNORED & set(path.parts):
            found.add(path)
    return found


def tasks_of_file(path: Path, folder: Path | None = None) -> list[Task]:
    """The tasks of one file: of a task, or of a group, whose members are looked for in `folder`, else beside the file.

    Errors as of `TaskFolder.tasks`.
    """
    if not _is_group(config := read_file(path)):
        return [task_of(config, release=release_of(path.parent), sha256=digest(path))]
    beside = open_folder(folder or path.parent)
    alone = TaskFolder(beside.folder, beside.release, {**beside.entries}, beside.tags)
    alone.entries[str(config["group"])] = Entry(config, path)
    return alone.tasks(str(config["group"]))


def _is_group(config: Config) -> bool:
    return "group" in config and "class" not in config
