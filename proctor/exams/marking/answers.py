"""From what was asked, what was replied and what it is worth to the Answer that is recorded."""

from __future__ import annotations

from collections.abc import Sequence

from proctor.nouns.exams import Answer, Exchange, Mark, Prompt, Scored, Written


def answer_of(prompt: Prompt, exchanges: Sequence[Exchange], mark: Mark) -> Answer:
    """The Answer to a question: `prompt` is its first ask. Log-probabilities are those of the last Choose."""
    replies = [exchange.reply for exchange in exchanges]
    scored = [reply.options_logprob for reply in replies if isinstance(reply, Scored)]
    return Answer(
        question_id=prompt.question.id,
        prompt_hash=prompt.hash,
        shots=prompt.shots,
        options_logprob=scored[-1] if scored else (),
        picked=mark.picked,
        correct=mark.correct is True,
        correct_norm=mark.correct_norm,
        partial=mark.points if 0 < mark.points < 1 else None,
        extracted=mark.extracted,
        written=tuple(reply for reply in replies if isinstance(reply, Written)),
    )
