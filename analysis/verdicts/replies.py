"""How written answers fared, in counts and words, and how many are right among those that came to their end."""

from __future__ import annotations

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.data.replies import STANDINGS
from analysis.stats.intervals import Interval
from analysis.stats.points import mean_points
from analysis.verdicts.wording import unit_words, with_span
from proctor.exams.judging.replies import Standing
from proctor.nouns.runs import Fared


def fared_of(panel: Panel, place: int) -> Fared | None:
    """The counts of a contestant's answers; None where its replies aren't known."""
    if panel.replies is None:
        return None
    asked = panel.asked[place]
    standing, cut = panel.replies.standing[place], panel.replies.cut[place] & asked
    count = {one: int((asked & (standing == number)).sum()) for number, one in enumerate(STANDINGS)}
    return Fared(
        int(asked.sum()),
        nothing=count[Standing.NOTHING],
        empty=count[Standing.EMPTY],
        cut=count[Standing.CUT],
        thinking=count[Standing.THINKING],
        unfinished=int(cut.sum()),
        finished_points=float(panel.marks[place, asked & ~cut].sum()),
    )


def of_the_finished(panel: Panel, place: int) -> Interval | None:
    """Accuracy among the answers whose replies weren't cut; None where replies aren't known, or all were cut."""
    if panel.replies is None:
        return None
    finished = panel.asked[place] & ~panel.replies.cut[place]
    return mean_points(panel.marks[place, finished]) if finished.any() else None


def fared_sentences(panel: Panel) -> list[str]:
    """A sentence a contestant whose answers weren't all read out, or whose replies were cut."""
    sentences = []
    for place in panel.ranking:
        fared = fared_of(panel, place)
        if fared is None or not (fared.unanswered or fared.unfinished):
            continue
        unread = [f"of {fared.answers:,} answers {fared}"] if fared.unanswered else []
        finished = of_the_finished(panel, place)
        if fared.unfinished:
            rest = (
                "none came to its end"
                if finished is None
                else (f"of the other {fared.finished:,}, {with_span(finished)} {unit_words(panel)}")
            )
            unread.append(f"{counted(fared.unfinished, 'reply', 'replies')} cut by the limit; {rest}")
        sentences.append(f"{panel.labels[place]}: {'; '.join(unread)}.")
    return sentences
