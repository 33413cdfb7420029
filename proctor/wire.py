"""Frozen dataclasses as JSON, and back with every field's type checked: what arrives is believed in nothing."""

from __future__ import annotations

import collections.abc
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from proctor.errors import BadInput

T = TypeVar("T")
UNSAID = "unsaid"  # in a field's metadata: it doesn't travel in its dataclass's JSON


class BadMessage(BadInput):
    """Something that arrived and isn't what it should be."""


def to_json(value: object, *, terse: bool = False) -> str:
    """A dataclass as one line of JSON; -Infinity, the logarithm of 0, stands as Python writes and reads it.

    Left out are fields that are marked `UNSAID`, and with `terse` those at their defaults: so what a release adds to a
    message is unknown to earlier ones only where use is made of it.
    """
    assert is_dataclass(value)
    assert not isinstance(value, type)
    return json.dumps(_plain(value, terse=terse), ensure_ascii=False, separators=(",", ":"), default=_time)


def from_json(wanted: type[T], text: str | bytes) -> T:
    """A `wanted` from JSON.

    Raises
    ------
    BadMessage
        for what is no JSON, a field that is missing, unknown or of another type; what the dataclass itself refuses
        passes on as the `BadInput` that it raises.
    """
    try:
        said = json.loads(text)
    except RecursionError:
        raise BadMessage(f"A {wanted.__name__} can't be read: it is nested too deep.") from None
    except ValueError as error:
        raise BadMessage(f"A {wanted.__name__} that is no JSON: {error}.") from None
    read: T = _dataclass(wanted, said, wanted.__name__)
    return read


def _plain(value: Any, *, terse: bool) -> Any:
    """A value as JSON has it, but for moments."""
    if isinstance(value, tuple):
        return [_plain(one, terse=terse) for one in value]
    if not is_dataclass(value):
        return value
    said = [(one, getattr(value, one.name)) for one in fields(value) if UNSAID not in one.metadata]
    return {one.name: _plain(part, terse=terse) for one, part in said if not (terse and part == one.default)}


def _dataclass(wanted: Any, said: object, place: str) -> Any:
    if not isinstance(said, dict):
        raise BadMessage(f"{place} is {_kind(said)} instead of an object.")
    known = _types(wanted)
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise BadMessage(f"{place} has the unknown field {str(unknown[0])[:80]!r}.")
    missing = [name for name in _needed(wanted) if name not in said]
    if missing:
        raise BadMessage(f"{place} lacks the field {missing[0]!r}.")
    return wanted(**{name: _value(known[name], value, f"{place}.{name}") for name, value in said.items()})


def _value(wanted: Any, said: object, place: str) -> Any:
    origin = typing.get_origin(wanted)
    if origin is types.UnionType:
        (some,) = [kind for kind in typing.get_args(wanted) if kind is not types.NoneType]
        return None if said is None else _value(some, said, place)
    if origin in (tuple, collections.abc.Mapping):
        return _many(wanted, said, place)
    if is_dataclass(wanted):
        return _dataclass(wanted, said, place)
    if wanted is datetime:
        return _moment(said, place)
    if issubclass(wanted, Enum):
        return _choice(wanted, said, place)
    return _scalar(wanted, said, place)


def _many(wanted: Any, said: object, place: str) -> Any:
    """A tuple of values from a list, or a mapping of them by name from an object."""
    if typing.get_origin(wanted) is tuple:
        if not isinstance(said, list):
            raise BadMessage(f"{place} is {_kind(said)} instead of a list.")
        each = typing.get_args(wanted)[0]
        return tuple(_value(each, one, f"{place}[{n}]") for n, one in enumerate(said))
    if not isinstance(said, dict):
        raise BadMessage(f"{place} is {_kind(said)} instead of an object.")
    each = typing.get_args(wanted)[1]
    return {name: _value(each, one, f"{place}.{name}") for name, one in said.items()}


def _choice(wanted: type[Enum], said: object, place: str) -> Enum:
    for member in wanted:
        if member.value == said:
            return member
    raise BadMessage(f"{place} is {said!r:.80}.", f"It is one of {', '.join(str(m.value) for m in wanted)}.")


def _time(value: object) -> str:
    """A moment in ISO 8601, for what JSON has no way to write."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a message")
    return value.isoformat()


def _moment(said: object, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadMessage(f"{place} is {said!r:.80} instead of a moment with its time zone.")
    return moment


def _scalar(wanted: type[Any], said: object, place: str) -> Any:
    if wanted is float and type(said) is int and abs(said) < 1 << 53:
        return float(said)
    if not isinstance(said, wanted) or (wanted is int and isinstance(said, bool)):
        raise BadMessage(f"{place} is {_kind(said)} instead of {wanted.__name__}.")
    if wanted is str and _unstorable(said):
        raise BadMessage(f"{place} holds a character that is none (a NUL or half of a surrogate pair).")
    return said


def _unstorable(text: Any) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _kind(said: object) -> str:
    return {dict: "an object", list: "a list", types.NoneType: "null"}.get(type(said), f"of type {type(said).__name__}")


@cache
def _types(wanted: type[Any]) -> Mapping[str, Any]:
    return typing.get_type_hints(wanted)


@cache
def _needed(wanted: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(wanted) if f.default is MISSING and f.default_factory is MISSING)
