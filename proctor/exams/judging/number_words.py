"""Numbers in English words, found in a text and read."""

from __future__ import annotations

import re

_UNITS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_TEENS = {"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16}
_TEENS |= {"seventeen": 17, "eighteen": 18, "nineteen": 19}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_SMALL = _UNITS | _TEENS | _TENS
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

# What lm-evaluation-harness 0.4.13 takes for a number in words (task bbh): anywhere, within other words too, and not
# `six`, `seven`, `eight` or `nine` at the end of one. Figures would differ from its own if it were mended here.
_STEM = "(?:twen|thir|for|fif|six|seven|nine)"
_PLAIN_WORDS = "zero|one|two|three|four|five"
_MORE_WORDS = "ten|eleven|twelve|fourteen|hundred|thousand|(?:m|b|tr)illion"
_OPENS = f"(?:{_PLAIN_WORDS}|{_STEM}(?:teen|ty)|eight(?:|een|y)|{_MORE_WORDS})"
_GOES_ON = f"(?:{_PLAIN_WORDS}|{_STEM}(?:|teen|ty)|eight(?:een|y)|{_MORE_WORDS}|[^\\S\\r\\n]|,|and|&)+"
_ENDS = f"(?:{_PLAIN_WORDS}|{_STEM}(?:teen|ty)|eight(?:een|y)|{_MORE_WORDS})"
PHRASE = re.compile(f"((?:{_OPENS}{_GOES_ON})?{_ENDS})")


def value_of(phrase: str) -> int | None:
    """The number that a phrase such as `two hundred and forty one` says; words that are no numbers are passed over.

    None where it has no number word, or says thousand, million, billion or trillion twice.
    """
    words = [word for word in re.split(r"[\s,&-]+", phrase) if word in _SMALL or word in _SCALES or word == "hundred"]
    if not words or any(words.count(scale) > 1 for scale in _SCALES):
        return None
    total = current = 0
    for word in words:
        if word in _SCALES:
            total, current = total + max(current, 1) * _SCALES[word], 0
        elif word == "hundred":
            current = max(current, 1) * 100
        else:
            current += _SMALL[word]
    return total + current
