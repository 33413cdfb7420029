"""From a raw reply to the text that filters are given: the thought is split off first, then stop strings are cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Written


class Standing(StrEnum):
    """How a reply fared in a filter chain."""

    EXTRACTED = "extracted"
    NOTHING = "nothing extracted"  # the reply ended by itself, and no filter found an answer in it
    EMPTY = "empty"  # white space at most, once thought and stop strings are off
    CUT = "cut by the limit"  # ended by length, before anything could be extracted
    THINKING = "thinking unfinished"  # ended within the thought: there is no reply


@dataclass(frozen=True)
class ReadReply:
    """A reply as filters see it."""

    text: str
    cut: bool = False  # ended by length, and not at a stop string
    thinking: bool = False  # the thought has no end; `text` is then empty

    def standing(self, found: bool) -> Standing:
        """How it fared, `found` saying whether a filter chain extracted something."""
        if self.thinking:
            return Standing.THINKING
        if not self.text.strip():
            return Standing.EMPTY
        if found:
            return Standing.EXTRACTED
        return Standing.CUT if self.cut else Standing.NOTHING


def read(reply: Written, until: Sequence[str] = (), think_end: str = "") -> ReadReply:
    """Split off what the model thought, then cut at each stop string, one after the other in their order.

    A model that thought by its own marks (`Written.think_end`) has said what stands behind the last closing one, white
    space before it left out; without one it never came to say anything. The same holds for a form's `think_end`, but
    that without that mark nothing is split off, unless the reply was ended by length: it is then taken to have ended
    within the thought.

    Cutting in order is lm-evaluation-harness's: `abXYc` is `abX` with the stops `Y, XY`, and `ab` with `XY, Y`.
    """
    by_length = reply.finish is Finish.LENGTH
    text = reply.text
    if reply.think_end:
        _, mark, behind = text.rpartition(reply.think_end)
        if not mark:
            return ReadReply("", cut=by_length, thinking=True)
        text = behind.lstrip()
    elif think_end:
        _, mark, behind = text.rpartition(think_end)
        if mark:
            text = behind.lstrip()
        elif by_length:
            return ReadReply("", cut=True, thinking=True)
    kept = cut_at(text, until)
    return ReadReply(kept, cut=by_length and len(kept) == len(text))


def cut_at(text: str, until: Sequence[str]) -> str:
    """The text before each stop string, one after the other in their order; empty ones cut nothing."""
    for stop in until:
        if stop:
            text = text.partition(stop)[0]
    return text
