"""The marks between which models think before they reply, and where in a reply a thought ends. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Of DeepSeek-R1, Qwen3, SmolLM3, GLM and most others; of Magistral, Command A, Seed-OSS, gpt-oss.
PAIRS = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)


@dataclass(frozen=True)
class ThinkingMarks:
    """What a thought begins and ends with."""

    begin: str
    end: str
    specials: frozenset[int] = frozenset()  # tokens of the marks that texts are decoded without, unless they are kept


NONE = ThinkingMarks("", "")  # a model that has no marks of its own


class ThoughtWatch:
    """Follows one reply: whether the model thinks, and from where on it speaks."""

    def __init__(self, marks: ThinkingMarks, prompt: str) -> None:
        self._marks = marks
        self.thinks = bool(marks.begin) and prompt.rstrip().endswith(marks.begin)  # a template may open the thought

    def spoken(self, text: str) -> int | None:
        """Where what the model says begins in the reply's text so far; None while it thinks, or may be about to."""
        if not self.thinks:
            begun = text.lstrip()
            if begun.startswith(self._marks.begin) and self._marks.begin:
                self.thinks = True
            else:
                return None if self._marks.begin.startswith(begun) and self._marks.begin else 0
        place = text.find(self._marks.end)
        return None if place < 0 else place + len(self._marks.end)

    @property
    def end(self) -> str:
        """The mark that ends the thought; "" where there is none."""
        return self._marks.end if self.thinks else ""


def mark_in(text: str) -> str:
    """The mark that ends the thought of a reply whose model isn't known: "" where it shows no thought.

    It has one where it begins with the first mark of a pair; of a thought that a chat template opened, the end shows.
    """
    return next((end for begin, end in PAIRS if text.lstrip().startswith(begin) or end in text), "")
