"""What is to be said of judges in words: what they were silent on, and the habits that their verdicts show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan

from analysis.data.groups import names_of
from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
from analysis.data.results import Results
from analysis.stats.intervals import Interval
from analysis.verdicts.judges import EVEN, Bench, Judged, grades, pairs, with_length
from analysis.verdicts.wording import percent
from proctor.contestants import Contestant
from proctor.kinship import SMALL_BILLIONS, is_small, kin
from proctor.nouns.exams import Scoring
from proctor.nouns.runs import RunStatus

Names = Mapping[Contestant, str]
MOSTLY = 0.8  # of all ratings are one: it hardly tells answers apart


def unjudged_sentences(results: Results, panel: Panel) -> list[str]:
    """How many questions of a judged panel have no rating, a sentence a contestant that lacks some."""
    if panel.terms.judge is None:
        return []
    sentences = []
    for who, label in zip(panel.contestants, panel.labels, strict=True):
        runs = [run for run in results.judged if run.run_id in panel.runs.get(who, ())]
        missing = sum(one is None for run in runs for one in run.points)
        if missing:
            every = sum(len(run.points) for run in runs)
            sentences.append(f"{label}: {missing:,} of {counted(every, 'question')} unjudged.")
    return sentences


def unjudged_notes(results: Results) -> list[str]:
    """Answers that a judge alone can tell apart, and none has yet."""
    done = {one.run_id for record in results.records if record.status is RunStatus.DONE for one in record.judged}
    names = names_of(results.records)
    open_ = [r for r in results.records if r.spec.conditions.scoring is Scoring.OPEN and r.run_id not in done]
    by_name: dict[str, list[str]] = {}
    for record in open_:
        by_name.setdefault(names[record.run_id], []).append(record.spec.subject)
    return [
        f"{name} is unjudged yet on {listed(subjects, most=8)}: a judge alone can tell what its answers are worth "
        "(proctor judge)."
        for name, subjects in by_name.items()
    ]


def bias_sentences(judged: Judged, names: Names) -> Iterator[str]:
    """What a reader has to know before believing a judge: kinship, size, missing verdicts, habits that show."""
    for judge in dict.fromkeys(one.judge for one in judged.benches):
        theirs = [one for one in judged.benches if one.judge == judge]
        who = dict.fromkeys(candidate for one in theirs for candidate in one.candidates)
        kindred = [names[one] for one in who if one.model != judge.model and kin(judge.model, one.model)]
        if any(one.model == judge.model for one in who):
            yield f"{names[judge]} judges answers of its own: judges are known to favour these."
        if kindred:
            yield (
                f"{names[judge]} and {listed(kindred)} are one family by their names: judges are known to favour their "
                "own."
            )
        if is_small(judge.model):
            yield f"{names[judge]} is small for a judge: below {SMALL_BILLIONS:g} billion parameters."
        turns, missing = sum(len(one.by_key) for one in theirs), sum(one.unjudged for one in theirs)
        if missing:
            yield f"{names[judge]} gave no verdict on {missing:,} of {turns:,} turns ({percent(missing / turns)})."
        rated = [one for one in theirs if not one.in_pairs]
        if len(rated) > 1 and (goes := _goes_with(with_length(rated))):
            yield f"{names[judge]} on all that it rated: {goes}."
        yield from _habits(theirs, names[judge], names)


def _habits(benches: Sequence[Bench], judge: str, names: Names) -> Iterator[str]:
    for bench in benches:
        who_is = whom(bench, names)
        if not bench.in_pairs:
            yield from _habits_of_rating(bench, judge, who_is)
            continue
        told = pairs(bench)
        if _apart(told.first_place):
            yield f"{judge} on {who_is}: the answer shown first wins {_span(told.first_place)} of the verdicts."
        if _apart(told.longer):
            which = "longer" if told.longer.estimate > EVEN else "shorter"
            share = told.longer if which == "longer" else _turned(told.longer)
            yield f"{judge} on {who_is}: the {which} answer wins {_span(share)} of the verdicts."
        if told.consistent.high < 1 and not isnan(told.consistent.estimate):
            yield f"{judge} on {who_is}: the same verdict in both orders in {_span(told.consistent)} of the turns."


def _habits_of_rating(bench: Bench, judge: str, who_is: str) -> Iterator[str]:
    told = grades(bench)
    if goes := _goes_with(told.with_length):
        yield f"{judge} on {who_is}: {goes}."
    if told.usual_share > MOSTLY and len(bench.judged) > 1:
        yield f"{judge} on {who_is}: {percent(told.usual_share, 0)} of its ratings are {told.usual:g}."
    if told.with_number and told.without_number:
        (right, rights), (wrong, wrongs) = told.with_number, told.without_number
        yield (
            f"{judge} on {who_is}: answers with the reference's number ({rights}) are rated {right:.2f}, those "
            f"without it ({wrongs}) {wrong:.2f}."
        )


def whom(bench: Bench, names: Names) -> str:
    """Whose answers a judge judged."""
    return " against ".join(names[one] for one in bench.candidates)


def _goes_with(found: Interval) -> str:
    """How ratings go with length, in words; "" where that can't be told."""
    if isnan(found.estimate) or found.low <= 0 <= found.high:
        return ""
    which = "longer" if found.estimate > 0 else "shorter"
    return (
        f"{which} answers are rated higher (rank correlation {found.estimate:.2f}, {found.low:.2f} to {found.high:.2f})"
    )


def _apart(share: Interval) -> bool:
    """Whether a share is known to be another than a half."""
    return not isnan(share.estimate) and (share.low > EVEN or share.high < EVEN)


def _turned(share: Interval) -> Interval:
    return Interval(1 - share.estimate, 1 - share.high, 1 - share.low)


def _span(share: Interval) -> str:
    return f"{percent(share.estimate, 0)} ({percent(share.low, 0)} to {percent(share.high, 0)})"
