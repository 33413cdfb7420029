"""Who is least perplexed by texts that were scored as they stand, and by how much more the others are, in words."""

from __future__ import annotations

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.stats.intervals import Interval
from proctor.nouns.exams import Scoring


def of_pages(panel: Panel) -> bool:
    """Whether pages were scored, of which nothing is right or wrong: a perplexity is all that there is to say."""
    return panel.terms.scoring == Scoring.PAGES


def by_perplexity(panel: Panel) -> tuple[int, ...]:
    """Places of the contestants, the least perplexed first; none where no text was scored."""
    found = panel.perplexities
    return () if found is None else tuple(sorted(range(len(found)), key=lambda place: found[place].estimate))


def perplexity_sentences(panel: Panel) -> list[str]:
    """The lowest perplexity, then how many times as large each other one is, and whether that is a difference."""
    order, found = by_perplexity(panel), panel.perplexities
    if not order or found is None:
        return []
    best, name = order[0], panel.perplexity_name
    size = counted(len(panel.questions), "page" if of_pages(panel) else "text")
    lowest = "has the lowest" if len(order) > 1 else "has a"
    sentences = [f"{panel.labels[best]} {lowest} {name}, {with_ends(found[best])} ({size})."]
    for place in order[1:]:
        ratio = panel.perplexity_ratio(best, place)
        if ratio is not None:
            sentences.append(f"{panel.labels[place]}'s is {with_ends(ratio)} times as large: {told(ratio)}.")
    return sentences


def told(ratio: Interval) -> str:
    """What may be said of one perplexity over another."""
    return "a difference" if ratio.low > 1 or ratio.high < 1 else "can't be told apart"


def with_ends(found: Interval) -> str:
    """`33.3 (26.6 to 41.8)`, in three digits or more."""
    return f"{_short(found.estimate)} ({_short(found.low)} to {_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
