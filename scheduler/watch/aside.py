"""Per-character accuracy, ties, noise and dropped shots, as a short phrase beside an accuracy."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.exams.judging.verdicts import MOST
from proctor.nouns.exams import Scoring
from proctor.nouns.runs import Fared
from proctor.store.reads.records import RunProgress
from proctor.written_answers import WRITTEN
from scheduler.watch.accuracy import NONE, accuracy


def aside(runs: Sequence[RunProgress]) -> str:
    """In a few words, over these Runs together; nothing where there is nothing to say.

    `45.8% (37.2 to 54.7) right per character, 3 tied, noise: 1 of 60 picks, 0.12 nats at most`
    """
    written = [run for run in runs if run.scoring in WRITTEN]
    scored = [run for run in runs if run.scoring not in WRITTEN]
    tied = sum(run.tied for run in scored)
    paged = list(dict.fromkeys(run.benchmark for run in runs if run.scoring is Scoring.PAGES))
    of = f" of {', '.join(paged)}" if several_benchmarks(runs) else ""
    told = f"the report has the perplexity{of}" if paged else ""
    ties = f"{tied} {'unjudged' if judges(runs) else 'tied'}" if tied else ""
    parts = [
        told,
        shots(runs),
        _per_character(runs),
        ties,
        _not_run(runs),
        _unanswered(written),
        _noise(runs),
        being_written(runs),
    ]
    return ", ".join(part for part in parts if part)


def several_benchmarks(runs: Sequence[RunProgress]) -> bool:
    """Whether these Runs are of more than one benchmark, whose figures have no mean."""
    return len({run.benchmark for run in runs}) > 1


def of_pages(runs: Sequence[RunProgress]) -> bool:
    """Whether any of these Runs is of pages, of which nothing is right or wrong."""
    return any(run.scoring is Scoring.PAGES for run in runs)


def share_right(runs: Sequence[RunProgress]) -> str:
    """The share of these Runs' points together; a dash where nothing is right or wrong, as of pages, or not yet.

    Of a judge's Runs the mean rating, or the share of pairs won; of answers that a judge alone can tell apart whether
    one has.
    """
    if of_pages(runs) or any(run.not_run for run in runs):
        return NONE
    if any(run.scoring is Scoring.OPEN for run in runs):
        return "unjudged yet" if any(run.unjudged for run in runs) else "judged"
    points, told = sum(run.points for run in runs), sum(run.told for run in runs)
    if told and judges(runs) and len(runs[0].judged) == 1:
        return f"rated {MOST * points / told:.2f} of {MOST:g}"
    return accuracy(points, told)


def judges(runs: Sequence[RunProgress]) -> bool:
    """Whether these Runs are a judge's."""
    return any(run.scoring is Scoring.JUDGED for run in runs)


def shots(runs: Sequence[RunProgress]) -> str:
    """`3 to 5 shots, fewer than asked for on 12 of 40 questions`; nothing where all were shown."""
    known = [(run.shots, run.questions) for run in runs if run.shots is not None]
    short = sum(shown.short for shown, _ in known)
    if not short:
        return ""
    fewest, most = min(shown.fewest for shown, _ in known), max(shown.most for shown, _ in known)
    number = f"{most}" if fewest == most else f"{fewest} to {most}"
    return f"{number} shots, fewer than asked for on {short} of {sum(asked for _, asked in known)} questions"


def _per_character(runs: Sequence[RunProgress]) -> str:
    """Where all are of one benchmark, scored by their options' text, in whole points."""
    answered = sum(run.answered for run in runs)
    by_text = all(run.scoring is Scoring.TEXT and run.per_character and not run.partial for run in runs)
    if not answered or not by_text or several_benchmarks(runs):
        return ""
    return f"{accuracy(sum(run.correct_norm for run in runs), answered)} right per character"


def being_written(runs: Sequence[RunProgress]) -> str:
    """`12 of 64 being written`, of the packs under way; nothing where no answers are written."""
    made, all_ = (sum(run.being_written[place] for run in runs) for place in (0, 1))
    return f"{made} of {all_} being written" if all_ else ""


def _not_run(runs: Sequence[RunProgress]) -> str:
    """`40 programs not run yet: proctor mark --run-code`"""
    count = sum(run.not_run for run in runs)
    return f"{count} program{'' if count == 1 else 's'} not run yet: proctor mark --run-code" if count else ""


def _unanswered(written: Sequence[RunProgress]) -> str:
    """`3 with nothing extracted, 2 cut by the limit, 31.2% (14.2 to 55.6) of 16 whose replies weren't cut`

    Where it isn't known how the replies fared, `5 without an answer`; nothing where all have one.
    """
    if any(run.fared is None and run.answered for run in written):
        tied = sum(run.tied - run.not_run for run in written if not run.unjudged)
        return f"{tied} without an answer" if tied else ""
    return _fared(written)


def _fared(runs: Sequence[RunProgress]) -> str:
    found = sum((run.fared for run in runs if run.fared is not None), Fared())
    if any(run.scoring is Scoring.OPEN for run in runs):
        return ", ".join(
            part for part in (str(found), f"{found.unfinished} cut by the limit" if found.unfinished else "") if part
        )
    rest = f"{accuracy(found.finished_points, found.finished)} of {found.finished} whose replies weren't cut"
    several = several_benchmarks(runs)
    return ", ".join(part for part in (str(found), rest if found.unfinished and not several else "") if part)


def _noise(runs: Sequence[RunProgress]) -> str:
    measured = [run.noise for run in runs if run.noise is not None]
    if not measured:
        return ""
    flips, questions = sum(one.flips for one in measured), sum(one.questions for one in measured)
    return f"noise: {flips} of {questions} picks, {max(one.largest for one in measured):.2g} nats at most"
