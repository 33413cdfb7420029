"""Filters by the names that lm-evaluation-harness gives them. None raises, whatever the text, but `PatternTooSlow`.

A filter takes the replies to one question and gives as many or fewer. Where it finds nothing its fallback's text goes
on to the next filter, as there; `found` keeps apart what was read out of a reply and what stands in for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from proctor.errors import BadScores
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.patterns import Pattern
from proctor.exams.judging.references import choices_of
from proctor.nouns.exams import LETTERS, Question

INVALID = "[invalid]"  # the fallback where none is given
GSM8K_ANSWER = r"#### (\-?[0-9\.\,]+)"  # the pattern where none is given


@dataclass(frozen=True)
class Piece:
    """What filters made of one reply so far."""

    text: str
    found: bool = True  # False: a fallback's text

    def or_else(self, text: str | None, fallback: str) -> Piece:
        """What was found in this one, or the fallback for None. What is read out of a fallback isn't found."""
        return Piece(fallback, found=False) if text is None else replace(self, text=text)


Pieces = Sequence[Piece]
Filter = Callable[[Pieces, Question], Pieces]
Extract = Callable[[str, Question], str | None]


def each(extract: Extract, fallback: str = INVALID) -> Filter:
    """The filter that extracts from each reply by itself."""
    return lambda pieces, question: [piece.or_else(extract(piece.text, question), fallback) for piece in pieces]


def select(pattern: re.Pattern[str] | Pattern, text: str, place: int) -> str | None:
    """The match at `place` among all (−1: the last), stripped: of its groups the first that isn't empty, or the whole.

    None where there are fewer matches, or no group has a text.
    """
    matches = pattern.findall(text)
    if not -len(matches) <= place < len(matches):
        return None
    match = matches[place]
    if isinstance(match, tuple):
        match = next((group for group in match if group), None)
    return match if match is None else str(match).strip()


@dataclass(frozen=True)
class Plainer:
    """What is taken off a text before it is searched: expressions, case, punctuation in the sense of Unicode."""

    regexes: tuple[Pattern, ...] = ()
    case: bool = False
    punctuation: bool = False

    def __call__(self, text: str) -> str:
        for regex in self.regexes:
            text = regex.sub("", text)
        if self.case:
            text = text.lower()
        if self.punctuation:
            text = "".join(one for one in text if not unicodedata.category(one).startswith("P"))
        return text


def plainer(read: Reader) -> Plainer:
    """Of the arguments `regexes_to_ignore`, `ignore_case`, `ignore_punctuation`."""
    return Plainer(read.patterns("regexes_to_ignore"), read.flag("ignore_case"), read.flag("ignore_punctuation"))


def regex(read: Reader) -> Filter:
    """`regex`: a match of `regex_pattern`, of all that there are the one at `group_select`, else `fallback`."""
    pattern = read.pattern("regex_pattern", GSM8K_ANSWER)
    place, fallback = read.number("group_select", 0), read.text("fallback", INVALID)
    return each(lambda text, _: select(pattern, text, place), fallback)


def first_of(options: Mapping[str, str], text: str, place: int) -> str | None:
    """Of the options that a text has the one at `place`, as what it stands for; longer ones are looked for first."""
    pattern = re.compile("|".join(re.escape(one) for one in sorted(options, key=len, reverse=True)))
    match = select(pattern, text, place)
    return options.get(match, match) if match else None


def lettered(choices: Sequence[str], text: str, place: int, plain: Plainer) -> str | None:
    """The choice that a text names, as `(A)`: by its own wording, else by its letter behind a colon."""
    if not choices:
        return None
    words: dict[str, str] = {}
    for letter, choice in zip(LETTERS, choices, strict=False):
        words[plain(choice.strip())] = f"({letter})"
    letters = LETTERS[: len(choices)]
    named = first_of(words, plain(text), place)
    if named:
        return named
    by_letter = select(re.compile(rf":[\s]*([{letters}])"), text, place)
    return f"({by_letter})" if by_letter else None


def choice_by(offered: Callable[[Question], Sequence[str]], read: Reader) -> Filter:
    """A match of `regex_pattern`; else the choice that the reply names by its wording or its letter, as `(A)`."""
    pattern = read.pattern("regex_pattern", GSM8K_ANSWER)
    place, fallback = read.number("group_select", 0), read.text("fallback", INVALID)
    plain = plainer(read)

    def extract(text: str, question: Question) -> str | None:
        return select(pattern, text, place) or lettered(offered(question), text, place, plain)

    return each(extract, fallback)


def multi_choice_regex(read: Reader) -> Filter:
    """`multi_choice_regex`, over the question's choices, or `choices` of its reference."""
    return choice_by(choices_of, read)


def mapped(read: Reader) -> Filter:
    """`map`: what `mapping_dict` has for the text, else `default_value`."""
    mapping = read.mapping("mapping_dict")
    return each(lambda text, _: mapping.get(text), read.text("default_value", ""))


def changed(change: Callable[[str], str]) -> Callable[[Reader], Filter]:
    """The filter that changes the text of each reply."""
    return lambda _: each(lambda text, _: change(text))


def take_first(_: Reader) -> Filter:
    """`take_first`: the first reply alone."""
    return lambda pieces, _: pieces[:1]


def take_first_k(read: Reader) -> Filter:
    """`take_first_k`: the first `k` replies; raises `BadScores` where there are fewer."""
    k = read.number("k", 1)

    def take(pieces: Pieces, question: Question) -> Pieces:
        if len(pieces) < k:
            raise BadScores(
                f"Question {question.index} has {len(pieces)} replies, and the first {k} are to be judged.",
                "Ask with more repeats.",
            )
        return pieces[:k]

    return take


def majority_vote(_: Reader) -> Filter:
    """`majority_vote`: the most common text; of equally common ones that which came first."""

    def vote(pieces: Pieces, _: Question) -> Pieces:
        if not pieces:
            return []
        text = Counter(piece.text for piece in pieces).most_common(1)[0][0]
        return [next(piece for piece in pieces if piece.text == text)]

    return vote
