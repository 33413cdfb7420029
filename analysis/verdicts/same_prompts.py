"""Whether contestants read the same prompts, question by question, by the hashes that are stored beside the Answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.data.groups import differences
from analysis.data.panel import Panel
from analysis.data.shots import shots_range
from analysis.data.terms import Terms
from proctor.contestants import Contestant


@dataclass(frozen=True, eq=False)
class Alike:
    """The prompts of two contestants on the Q questions that both were asked."""

    equal: NDArray[np.bool_]  # (Q,) known of both, and the same
    other: NDArray[np.bool_]  # (Q,) known of both, and not the same

    @property
    def equals(self) -> int:
        return int(self.equal.sum())

    @property
    def others(self) -> int:
        return int(self.other.sum())

    @property
    def unknown(self) -> int:
        """Questions of which one prompt, or both, isn't known."""
        return self.equal.size - self.equals - self.others

    def on(self, questions: NDArray[np.bool_]) -> Alike:
        """The same on these questions (Q,) alone."""
        return Alike(self.equal[questions], self.other[questions])


@dataclass(frozen=True)
class Apart:
    """Contestants who should have read the same prompts, and didn't on so many questions."""

    contestants: tuple[int, ...]  # places in the panel
    questions: int


def alike(panel: Panel, first: int, second: int) -> Alike:
    """How the prompts of these two agree, on all questions of the panel."""
    if panel.prompt is None:
        none = np.zeros(len(panel.questions), dtype=bool)
        return Alike(none, none)
    mine, theirs = panel.prompt[first], panel.prompt[second]
    known = (mine != 0) & (theirs != 0)
    return Alike(known & (mine == theirs), known & (mine != theirs))


def share_a_template(first: Contestant, second: Contestant, terms: Terms) -> bool:
    """Whether equal terms mean equal prompts: a chat template is a model's own, all else is the same for everyone."""
    return terms.chat_template is False or first.model == second.model


def apart(panel: Panel) -> list[Apart]:
    """Who read other prompts than those with the same conditions, and on how many questions; the most first."""
    if panel.prompt is None:
        return []
    together: dict[str, list[int]] = defaultdict(list)
    for place, contestant in enumerate(panel.contestants):
        together[contestant.model if panel.terms.chat_template else ""].append(place)
    found = [Apart(tuple(places), _differing(panel, places)) for places in together.values()]
    return sorted((one for one in found if one.questions), key=lambda one: -one.questions)


def why_apart(first: Panel, second: Panel) -> list[str]:
    """What keeps two panels from being one, each in words."""
    found = differences(first, second)
    if found:
        return found
    if not first.terms.imported and not second.terms.imported:
        return [f"{shots_range(first)} shots shown against {shots_range(second)}"]
    keys = ["subject", "question_id"]
    mine, theirs = (one.questions[keys].reset_index(names="place") for one in (first, second))
    both = mine.merge(theirs, on=keys, suffixes=("_first", "_second"))
    left, right = both["place_first"].to_numpy(), both["place_second"].to_numpy()
    answers = int((first.key[left] != second.key[right]).sum())
    prompts = int((_prompts(first)[left] != _prompts(second)[right]).sum())
    for count, what in ((answers, "answer key"), (prompts, "prompt")):
        if count:
            found.append(f"another {what} for {count:,} of the {left.size:,} questions that are in both")
    return found or ["they were imported apart"]


def _prompts(panel: Panel) -> NDArray[np.uint64]:
    """(Q,) a prompt of each question; 0 where none is known."""
    return np.zeros(len(panel.questions), dtype=np.uint64) if panel.prompt is None else panel.prompt.max(axis=0)


def _differing(panel: Panel, places: Sequence[int]) -> int:
    """Questions of which two of these contestants are known to have read different prompts."""
    assert panel.prompt is not None
    mine = panel.prompt[list(places)]
    known = panel.asked[list(places)] & (mine != 0)
    most = np.where(known, mine, 0).max(axis=0)
    least = np.where(known, mine, np.iinfo(np.uint64).max).min(axis=0)
    return int(np.count_nonzero(known.any(axis=0) & (most != least)))
