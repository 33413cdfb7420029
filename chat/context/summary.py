"""Summaries of what slides out of the window. Pure: one way without any model, and the request for a model's own.

Small models summarise badly, and a summary that invents is worse than none: `extract` copies whole sentences, those
that a person would be asked about later. `docs/experiments.md` has the recall of each way (`bench/recall.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from chat.context.window import Folding, cut_middle

LONGEST_LINE = 240  # characters
NEW_SHARE = 2  # one part in so many of what is new is kept, in tokens
_SENTENCE_ENDS = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")
_SPEAKER = re.compile(r"^- (User|Assistant): ")
_FIRST_PERSON = re.compile(r"\b(I|I'm|I've|my|mine|me|we|our|us)\b", re.IGNORECASE)
_ASKED_TO_KEEP = re.compile(
    r"\b(remember|note|important|always|never|call me|don't forget|must|prefer)\b", re.IGNORECASE
)
_NAME = re.compile(r"(?<=\s)[^\W\d_a-z]\w+")  # a capital letter that begins no sentence
_NUMBER = re.compile(r"\d")
_QUOTED = re.compile("[\"“«„'‘][^\"”»“'’]+[\"”»“'’]")


class Method(StrEnum):
    """How a summary is made; kept with its row."""

    FACTS = "facts"  # sentences with names, numbers, dates, and what the user said of themselves
    LEAD = "lead"  # the beginnings of what the user said
    MODEL = "model"  # the model's own words


@dataclass(frozen=True)
class _Line:
    """A sentence that may be kept. `place` is its order in the conversation."""

    place: int
    speaker: str
    sentence: str

    def __str__(self) -> str:
        return f"- {self.speaker}: {self.sentence}"


def extract(folding: Folding, count: Callable[[str], int], method: Method = Method.FACTS) -> str:
    """A summary made of whole sentences of the source, in their order.

    It has at most the folding's limit in tokens, and of what is new to it at most half: a summary that kept all would
    be longer than its source, and be refused. "" where not even one sentence fits. `count` is the tokens of a text.

    Raises
    ------
    ValueError
        for `Method.MODEL`, which needs one.
    """
    if method is Method.MODEL:
        raise ValueError("a model's summary is asked for with `instruction`")
    score = _fact_score if method is Method.FACTS else _lead_score
    limit = _limit(folding, count)
    ranked = sorted(_distinct(_lines(folding)), key=lambda line: (-score(line), line.place))
    kept: list[_Line] = []
    tokens = 0
    for line in ranked:
        more = count(f"{line}\n")
        if tokens + more <= limit:
            kept, tokens = [*kept, line], tokens + more
    while kept and count(_text(kept)) > limit:  # lines may take more together than one by one
        kept = kept[:-1]
    return _text(kept)


def instruction(folding: Folding) -> str:
    """What to say to a model so that it summarises. Its reply goes through `window.accept` as any other."""
    said = "\n".join(f"User: {each.user}\nAssistant: {each.reply}" for each in folding.exchanges)
    before = f"Summary so far:\n{folding.before.text}\n\n" if folding.before else ""
    return (
        f"{before}Conversation:\n{said}\n\n"
        "Write a short summary of all of the above for the assistant to read later. Keep every name, number and date "
        "that the user gave, word for word. Write only the summary."
    )


def _limit(folding: Folding, count: Callable[[str], int]) -> int:
    before = count(folding.before.text) if folding.before else 0
    return min(folding.limit_tokens, before + (count(folding.source) - before) // NEW_SHARE)


def _text(kept: list[_Line]) -> str:
    return "\n".join(str(line) for line in sorted(kept, key=lambda line: line.place))


def _lines(folding: Folding) -> Iterable[_Line]:
    """The lines of the summary before, then sentence by sentence who said what."""
    place = 0
    for line in folding.before.text.splitlines() if folding.before else ():
        known = _SPEAKER.match(line)
        yield _Line(place, known.group(1) if known else "User", _SPEAKER.sub("", line))
        place += 1
    for exchange in folding.exchanges:
        for speaker, text in (("User", exchange.user), ("Assistant", exchange.reply)):
            for sentence in _SENTENCE_ENDS.split(text):
                if sentence.strip():
                    yield _Line(place, speaker, cut_middle(" ".join(sentence.split()), LONGEST_LINE).replace("\n", " "))
                    place += 1


def _distinct(lines: Iterable[_Line]) -> list[_Line]:
    """Each sentence once, where it came first."""
    first: dict[str, _Line] = {}
    for line in lines:
        first.setdefault(line.sentence.casefold(), line)
    return list(first.values())


def _fact_score(line: _Line) -> float:
    """How likely it is that somebody asks for this later."""
    text = line.sentence
    return (
        4.0 * (line.speaker == "User")
        + 3.0 * bool(_FIRST_PERSON.search(text)) * (line.speaker == "User")
        + 3.0 * bool(_ASKED_TO_KEEP.search(text)) * (line.speaker == "User")
        + 2.0 * bool(_NUMBER.search(text))
        + 1.0 * min(3, len(_NAME.findall(text)))
        + 1.0 * bool(_QUOTED.search(text))
        - 6.0 * text.endswith(("?", "？"))
    )


def _lead_score(line: _Line) -> float:
    """What the user said, the earliest first."""
    return float(line.speaker == "User")
