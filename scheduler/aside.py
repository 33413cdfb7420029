"""What belongs beside an accuracy: the same per character, exact ties, and how much of it is noise."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns import Scoring
from proctor.store.reads import RunProgress


def aside(runs: Sequence[RunProgress]) -> str:
    """In a few words, over these Runs together; nothing where there is nothing to say.

    `45.8% right per character, 3 tied, noise: 1 of 60 picks, 0.12 nats at most`
    """
    answered, tied = sum(run.answered for run in runs), sum(run.tied for run in runs)
    by_text = any(run.scoring is Scoring.TEXT for run in runs)
    norm = f"{100 * sum(run.correct_norm for run in runs) / answered:.1f}% right per character" if answered else ""
    parts = [norm if by_text else "", f"{tied} tied" if tied else "", _noise(runs)]
    return ", ".join(part for part in parts if part)


def _noise(runs: Sequence[RunProgress]) -> str:
    measured = [run.noise for run in runs if run.noise is not None]
    if not measured:
        return ""
    flips, questions = sum(one.flips for one in measured), sum(one.questions for one in measured)
    return f"noise: {flips} of {questions} picks, {max(one.largest for one in measured):.2g} nats at most"
