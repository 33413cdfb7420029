"""What an instruction demands, read out of its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proctor.errors import BadExam


@dataclass(frozen=True)
class Given:
    """The arguments of one instruction. What isn't there, or is null, was not demanded."""

    arguments: Mapping[str, object]

    def number(self, name: str) -> int:
        """A number; 0 where it isn't given."""
        value = self.arguments.get(name) or 0
        if isinstance(value, int | float):
            return int(value)
        raise self._bad(name, "a number")

    def text(self, name: str) -> str:
        """A text."""
        value = self.arguments.get(name)
        if isinstance(value, str) and value:
            return value
        raise self._bad(name, "a text")

    def texts(self, name: str) -> tuple[str, ...]:
        """Several texts."""
        value = self.arguments.get(name)
        if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise self._bad(name, "a list of texts")

    def holds(self, relation: str, count: int, bound: str) -> bool:
        """Whether the count is, by the argument `relation`, `less than` the number `bound` or `at least` it."""
        value = self.arguments.get(relation) or "at least"
        if value not in {"less than", "at least"}:
            raise self._bad(relation, "`less than` or `at least`")
        return (count < self.number(bound)) == (value == "less than")

    def _bad(self, name: str, wanted: str) -> BadExam:
        return BadExam(f"An instruction of IFEval has {name} = {self.arguments.get(name)!r}: {wanted} is needed.")
