"""Arguments of filters and metrics, read by name and type; one that nobody asks for is an error, not overlooked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from proctor.errors import BadExam
from proctor.exams.judging.patterns import Pattern, pattern_of


class Reader:
    """Reads the arguments of one filter or metric. Every read raises `BadExam` for a value of another type."""

    def __init__(self, owner: str, arguments: Mapping[str, object], *, probes: bool = False) -> None:
        """`probes`: regular expressions are also tried, and those that explode raise `PatternTooSlow`."""
        self._owner, self._arguments, self._asked, self._probes = owner, arguments, set[str](), probes

    def _get(self, name: str) -> object:
        self._asked.add(name)
        return self._arguments.get(name)

    def _bad(self, name: str, value: object, wanted: str) -> BadExam:
        return BadExam(f"{self._owner} has {name} = {value!r}: {wanted} is needed.", "Mend the task's file.")

    def flag(self, name: str) -> bool:
        """True or False; False where it isn't given."""
        value = self._get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self._bad(name, value, "true or false")

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._bad(name, value, "a whole number")

    def text(self, name: str, default: str) -> str:
        """A text; numbers are written as one."""
        value = self._get(name)
        if value is None:
            return default
        if isinstance(value, str | int | float):
            return str(value)
        raise self._bad(name, value, "a text")

    def pattern(self, name: str, default: str) -> Pattern:
        """A regular expression."""
        return self.compiled(name, self.text(name, default))

    def patterns(self, name: str) -> tuple[Pattern, ...]:
        """Several regular expressions; one alone is taken as a list of it."""
        value = self._get(name)
        if value is None:
            return ()
        if isinstance(value, str):
            value = [value]
        if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
            return tuple(self.compiled(name, one) for one in value)
        raise self._bad(name, value, "a list of expressions")

    def mapping(self, name: str) -> dict[str, str]:
        """Texts by text, in order; nothing where it isn't given."""
        value = self._get(name)
        if value is None:
            return {}
        if isinstance(value, Mapping):
            return {str(key): str(one) for key, one in value.items()}
        raise self._bad(name, value, "a mapping of texts")

    def compiled(self, name: str, pattern: str) -> Pattern:
        """A regular expression of the argument `name`, compiled."""
        try:
            found = pattern_of(pattern)
        except re.error as error:
            raise self._bad(name, pattern, f"a regular expression ({error})") from error
        if self._probes:
            found.probe()
        return found

    def check_all_read(self) -> None:
        """Raise `BadExam` for arguments that were not asked for."""
        if unknown := sorted(set(self._arguments) - self._asked):
            raise BadExam(f"{self._owner} knows no argument {', '.join(unknown)}.", "Mend the task's file.")
