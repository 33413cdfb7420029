"""Answer keys: the ways in which files say which option is right, and which of them a file means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proctor.exams.reading.problems import shown
from proctor.nouns.exams import LETTERS


class Style(StrEnum):
    """A way to write a key."""

    INDEX = "index from 0"
    NUMBER = "number from 1"
    LETTER = "letter"
    TEXT = "option's text"
    LABEL = "label"  # one of those that the row itself gives its options, as ARC does


@dataclass(frozen=True)
class Key:
    """What a row's key could mean: an index into its choices for each style in which it can be read."""

    written: object
    readings: Mapping[Style, int]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """The index that a key means, or why it means none."""

    index: int = -1
    cause: str = ""


@dataclass(frozen=True)
class Meant:
    """What each key of a file means, and the place among them of the one by which its numbers count from 1, if so."""

    keys: tuple[Resolved, ...]
    from_one: int | None = None


def read_key(written: object, choices: Sequence[str], labels: Sequence[str] = ()) -> Key:
    """Every reading of a key. Where the row labels its options, the key is one of the labels and nothing else."""
    texts = [written.strip()] if isinstance(written, str) else _texts(written)
    if labels:
        at = next((labels.index(text) for text in texts if text in labels), None)
        return Key(written, {} if at is None else {Style.LABEL: at}, tuple(labels))
    return Key(written, _readings(texts, choices) if texts else {})


def resolve(keys: Sequence[Key], counts: Sequence[int]) -> Meant:
    """What each of a file's keys means; `counts` are the numbers of choices.

    A file writes its keys in one style: the one in which all of them can be read. "2" is then an index in a file of
    indexes although it is also an option of its question. Numbers count from 0, unless one of them is the number of its
    row's options and none is 0: then all count from 1. Where other keys stand among them (letters, texts) they need
    such a sign for either. Where several readings are left and differ, or none, the row gets a cause, never a guess.
    """
    readable = [key for key in keys if key.readings.keys() - {Style.LABEL}]
    bases = _bases(readable)
    settled = [_without(key, {Style.INDEX, Style.NUMBER} - bases) for key in keys]
    left = [key for key in settled if key.readings.keys() - {Style.LABEL}]
    styles = {style for style in Style if all(style in key.readings for key in left)}
    found = tuple(_resolve(key, styles, count) for key, count in zip(settled, counts, strict=True))
    sign = next((at for at, key in enumerate(keys) if _only(key, Style.NUMBER)), None)
    return Meant(found, sign if bases == {Style.NUMBER} else None)


def _bases(keys: Iterable[Key]) -> set[Style]:
    """Where this file's numbers can count from, as keys that can be nothing but numbers show."""
    keys = list(keys)
    zero = any(_only(key, Style.INDEX) for key in keys)
    last = any(_only(key, Style.NUMBER) for key in keys)
    all_numbers = all({Style.INDEX, Style.NUMBER} & key.readings.keys() for key in keys)
    if last and not zero:
        return {Style.NUMBER}
    return {Style.INDEX} if zero or all_numbers else {Style.INDEX, Style.NUMBER}


def _only(key: Key, style: Style) -> bool:
    return key.readings.keys() == {style}


def _without(key: Key, styles: set[Style]) -> Key:
    return Key(key.written, {style: at for style, at in key.readings.items() if style not in styles}, key.labels)


def _texts(written: object) -> list[str]:
    """The ways to write a number of JSON or Parquet, the shortest first; none for what is no number.

    Spreadsheets and data frames turn whole numbers into floats; True and False are no numbers here.
    """
    if isinstance(written, bool) or not isinstance(written, int | float):
        return []
    whole = isinstance(written, float) and written.is_integer()
    return [*([str(int(written))] if whole else []), str(written)]


def _readings(texts: Sequence[str], choices: Sequence[str]) -> dict[Style, int]:
    text = texts[0]
    readings: dict[Style, int] = {}
    if text.isascii() and text.isdigit() and len(text) < 3:
        numbers = {Style.INDEX: int(text), Style.NUMBER: int(text) - 1}
        readings |= {style: at for style, at in numbers.items() if at in range(len(choices))}
    if len(text) == 1 and text.upper() in LETTERS[: len(choices)]:
        readings[Style.LETTER] = LETTERS.index(text.upper())
    same = [index for index, choice in enumerate(choices) if choice.strip() in texts]
    if text and len(same) == 1:
        readings[Style.TEXT] = same[0]
    return readings


def _resolve(key: Key, styles: set[Style], count: int) -> Resolved:
    if not key.readings:
        counted = f"an index from 0 to {count - 1}, a letter from A to {LETTERS[count - 1]}, or the text of one option"
        if key.labels:
            counted = f"one of the labels {', '.join(map(shown, key.labels))}"
        return Resolved(cause=f"{shown(key.written)} is not {counted}")
    common = styles & key.readings.keys() or key.readings.keys()
    meant = {key.readings[style] for style in common}
    if len(meant) == 1:
        return Resolved(meant.pop())
    ways = " and ".join(f"{style} ({LETTERS[key.readings[style]]})" for style in Style if style in common)
    return Resolved(cause=f"{shown(key.written)} can be read as {ways}")
