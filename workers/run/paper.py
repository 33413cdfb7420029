"""The paper that a model sits: a Run's questions as this model is asked them, and how its replies are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from proctor.exams.benchmarks.base import Benchmark, Examinee, ask_first
from proctor.exams.benchmarks.registry import scorable
from proctor.nouns.exams import Answer, Conditions, Exam, Exchange, Pack, Prompt, Scored
from proctor.nouns.runs import Provenance, ShotsShown
from workers.engines.base import Engine
from workers.engines.chat_template import ExamChat
from workers.engines.scoring import PackScores


@dataclass(frozen=True)
class Paper:
    """The prompts of a Run, in the order of its Exam, each fitted into the model's window."""

    conditions: Conditions
    benchmark: Benchmark
    prompts: Sequence[Prompt]
    chat: ExamChat | None = None  # None: the prompts are no conversation

    def mark(self, pack: Pack, scores: PackScores) -> list[Answer]:
        """The Answers to a pack's prompts."""
        return [
            self.benchmark.judged(self.prompts[member], (Exchange(self.prompts[member].choose, Scored(row)),))
            for member, row in zip(pack.members, scores.options_logprob, strict=True)
        ]

    def recorded_in(self, provenance: Provenance) -> Provenance:
        """What produces the Run's numbers, with what is to be known of its prompts."""
        each = [prompt.shots for prompt in self.prompts]
        fewer = sum(shots < self.conditions.shots for shots in each)
        made = replace(provenance, shots=ShotsShown(min(each), max(each), fewer))
        if self.chat is None:
            return made
        return replace(made, notes=(*made.notes, *self.chat.notes), template_date=self.chat.told_date)


def write_paper(exam: Exam, conditions: Conditions, engine: Engine, day: date | None = None) -> Paper:
    """Ask the benchmark for the Run's prompts. `day` is what a chat template is told, where the exam is put as one.

    Raises
    ------
    CantBeAsked
        where the model has no chat template, or its window is too small for a question.
    BadInput
        for a benchmark that wants written answers.
    """
    benchmark = scorable(conditions.prompt_version)
    tokenizer, chat = engine.tokenizer, None
    if conditions.chat_template and day is not None:
        chat = ExamChat(tokenizer.template, day, shots=conditions.shots > 0)
    examinee = Examinee(tokenizer.count, tokenizer.window, chat.text if chat is not None else None)
    questions = exam.questions[: conditions.limit]
    prompts = [ask_first(benchmark, exam, question, conditions, examinee) for question in questions]
    return Paper(conditions, benchmark, prompts, chat)
