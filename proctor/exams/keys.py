"""Answer keys: the ways in which files say which option is right, and which of them a file means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proctor.exams.faults import shown
from proctor.nouns import LETTERS


class Style(StrEnum):
    """A way to write a key."""

    INDEX = "index"  # counts from 0
    LETTER = "letter"
    TEXT = "option's text"


@dataclass(frozen=True)
class Key:
    """What a row's key could mean: an index into its choices for each style in which it can be read."""

    written: object
    readings: Mapping[Style, int]


@dataclass(frozen=True)
class Resolved:
    """The index that a key means, or why it means none."""

    index: int = -1
    cause: str = ""


def read_key(written: object, choices: Sequence[str]) -> Key:
    """Every reading of a key. A number is an index only; a text can be an index, a letter or an option."""
    if isinstance(written, str):
        return Key(written, _readings(written.strip(), choices))
    # Spreadsheets and data frames turn whole numbers into floats; True and False are no numbers here.
    is_index = isinstance(written, int | float) and not isinstance(written, bool) and written in range(len(choices))
    return Key(written, {Style.INDEX: int(written)} if is_index and isinstance(written, int | float) else {})


def resolve(keys: Sequence[Key], counts: Sequence[int]) -> list[Resolved]:
    """What each of a file's keys means; `counts` are the numbers of choices, for the words.

    A file writes its keys in one style: the one in which all of them can be read. "2" is then an index in a file of
    indexes although it is also an option of its question. Where several styles would do and differ, or none, the row
    gets a cause instead of a guess.
    """
    readable = [key for key in keys if key.readings]
    styles = {style for style in Style if all(style in key.readings for key in readable)}
    return [_resolve(key, styles, count) for key, count in zip(keys, counts, strict=True)]


def _readings(text: str, choices: Sequence[str]) -> dict[Style, int]:
    readings: dict[Style, int] = {}
    if text.isascii() and text.isdigit() and len(text) < 3 and int(text) < len(choices):
        readings[Style.INDEX] = int(text)
    if len(text) == 1 and text.upper() in LETTERS[: len(choices)]:
        readings[Style.LETTER] = LETTERS.index(text.upper())
    same = [index for index, choice in enumerate(choices) if choice.strip() == text]
    if len(same) == 1:
        readings[Style.TEXT] = same[0]
    return readings


def _resolve(key: Key, styles: set[Style], count: int) -> Resolved:
    if not key.readings:
        counted = f"an index from 0 to {count - 1}, a letter from A to {LETTERS[count - 1]}, or the text of one option"
        return Resolved(cause=f"{shown(key.written)} is not {counted}")
    common = styles & key.readings.keys() or key.readings.keys()
    meant = {key.readings[style] for style in common}
    if len(meant) == 1:
        return Resolved(meant.pop())
    ways = " and ".join(f"{style} ({LETTERS[key.readings[style]]})" for style in Style if style in common)
    return Resolved(cause=f"{shown(key.written)} can be read as {ways}")
