"""The keys of one task file, read by name and type; functions that no piece of ours stands for are gathered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from proctor.errors import BadExam
from proctor.exams.reading.problems import shown
from proctor.exams.tasks.definition import Field
from proctor.exams.tasks.known_functions import piece_of
from proctor.exams.tasks.pieces import Piece
from proctor.exams.tasks.task_files import Config, Reference
from proctor.exams.tasks.templates import read_template

T = TypeVar("T")


class Keys:
    """The keys of a task. Reads raise `BadExam` for a value of another type, naming task and key."""

    def __init__(self, config: Config) -> None:
        name = config.get("task")
        if not isinstance(name, str) or not name:
            raise BadExam("A task file has no name under `task`.", "Give the file of a task or of a group.")
        self.name, self.config = name, config
        self._missing: list[str] = []

    def bad(self, key: str, wanted: str) -> BadExam:
        """The error for the value at a key."""
        return BadExam(f"{self.name!r} has {key} = {shown(self.config.get(key))}: {wanted}.", "Mend the task's file.")

    def text(self, key: str, otherwise: str = "") -> str:
        """A text."""
        value = self.config.get(key)
        if value is None:
            return otherwise
        if not isinstance(value, str):
            raise self.bad(key, "a text is needed")
        return value

    def flag(self, key: str) -> bool:
        """True or False; False where it isn't given."""
        value = self.config.get(key, False)
        if not isinstance(value, bool):
            raise self.bad(key, "true or false is needed")
        return value

    def count(self, key: str) -> int | None:
        """A number from 0; None where it isn't given."""
        value = self.config.get(key)
        if value is None or (type(value) is int and value >= 0):
            return value
        raise self.bad(key, "a number from 0 is needed")

    def mapping(self, key: str) -> Mapping[str, object]:
        """A mapping; an empty one where it isn't given."""
        value = self.config.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise self.bad(key, "a mapping is needed")
        return value or {}

    def listed(self, key: str) -> list[object] | None:
        """A list; None where it isn't given."""
        value = self.config.get(key)
        if value is not None and not isinstance(value, list):
            raise self.bad(key, "a list is needed")
        return value

    def piece(self, key: str, value: object, part: Callable[[Piece], T]) -> T | None:
        """The part of the piece that stands for a function; None where there is none, see `raise_missing`."""
        if not isinstance(value, Reference):
            raise self.bad(key, "a !function is needed")
        piece = self.known(value)
        found = part(piece) if piece else None
        if not found:
            self._missing.append(f"{value.name} for {key} (sha256 {value.sha256[:12] or 'of no file'})")
        return found or None

    def known(self, value: object) -> Piece | None:
        """The piece that stands for a function; None for what is none, or isn't known."""
        return piece_of(value) if isinstance(value, Reference) else None

    def field(self, key: str, value: object) -> Field:
        """A field of the task: a template is looked at, a function is a piece of ours."""
        if isinstance(value, Reference):
            return self.piece(key, value, lambda piece: piece.column)
        if isinstance(value, str):
            read_template(value, f"{key} of {self.name!r}")
            return value
        if value is None or isinstance(value, int | list | Mapping):
            return value
        raise self.bad(key, "a text, a number, a list or a !function is needed")

    def raise_missing(self) -> None:
        """Raise `BadExam` where functions have no piece, naming them."""
        if self._missing:
            raise BadExam(
                f"{self.name!r} needs code that no piece of ours stands for: {'; '.join(self._missing)}.",
                "No Python of a task file is ever run; take another task.",
            )
