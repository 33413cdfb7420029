"""Proctor's words, a line each: the end of every `--help` defines those that it uses, docs/glossary.md says more."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """A word, its meaning in a line of help, and the classes or modules of the code that are named for it."""

    name: str
    means: str  # a line of help: with the name no wider than a terminal of 80 columns
    code: tuple[str, ...]  # `module:Class`, or `module`

    def used_in(self, text: str) -> bool:
        """Whether a text has the word, its plural, or the name of an argument made of it."""
        forms = {self.name, self.name.upper()} if self.name.islower() else {self.name}
        return re.search(rf"\b(?:{'|'.join(sorted(forms))})(?:e?s)?\b", text) is not None


WORDS = (
    Word(
        "sweep",
        "all that is submitted at once: models × quantizations × subjects",
        ("proctor.store.runs.sweeps:Sweep",),
    ),
    Word("Run", "one model, at one quantization, on one subject", ("proctor.nouns.runs:RunSpec",)),
    Word(
        "contestant", "a model as it was asked: quantization, device, number type", ("proctor.contestants:Contestant",)
    ),
    Word("shots", "solved examples that stand before each question", ("proctor.nouns.runs:ShotsShown",)),
    Word("pack", "questions that are scored together and saved together", ("proctor.nouns.exams:Pack",)),
    Word("lane", "device, model and quantization: what one load can serve", ("proctor.nouns.models:Lane",)),
    Word("lease", "a worker's hold on a Run; it runs out when the worker is silent", ("workers.run.lease",)),
    Word("bell", "a message that wakes a worker; the work is in the database", ("proctor.broker.bell",)),
)


def defined(text: str) -> str:
    """The words that a help text uses, one a line, as click keeps them (`\\b`); "" where it uses none."""
    used = [word for word in WORDS if word.used_in(text)]
    if not used:
        return ""
    width = max(len(word.name) for word in used)
    return "\n".join(["\b", "Words:", *(f"  {word.name:{width}}  {word.means}" for word in used)])
