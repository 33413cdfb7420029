"""The paper that a model sits: a Run's questions as this model is asked them, and how its replies are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from proctor.exams import packs
from proctor.exams.benchmarks.base import Benchmark, Examinee, ask_first
from proctor.exams.benchmarks.registry import of_version
from proctor.exams.marking import letters
from proctor.exams.marking.answers import answer_of
from proctor.nouns.exams import Answer, Ask, Conditions, Exam, Exchange, Mark, Pack, Prompt, Write
from proctor.nouns.runs import Provenance, ShotsShown
from workers.engines.base import Engine, Skill, require
from workers.engines.chat_template import ExamChat
from workers.engines.scoring import Prepared
from workers.run.replies import PackReplies


@dataclass(frozen=True)
class Paper:
    """The prompts of a Run, in the order of its Exam, each fitted into the model's window."""

    conditions: Conditions
    benchmark: Benchmark
    exam: Exam
    examinee: Examinee
    prompts: Sequence[Prompt]
    chat: ExamChat | None = None  # None: the prompts are no conversation
    notes: tuple[str, ...] = ()  # what a reader must know of how it is asked

    @property
    def skill(self) -> Skill:
        """What it asks of an engine."""
        return Skill.STREAM if any(isinstance(prompt.ask, Write) for prompt in self.prompts) else Skill.SCORE

    def packs(
        self, prepared: Prepared, chosen: Sequence[int] | None = None, *, halved: bool = False
    ) -> tuple[Pack, ...]:
        """What goes through the model together, of the `chosen` prompts or all; `halved`: in packs of half the size.

        A pure function of the paper, never of what is left to do.
        """
        places = range(len(prepared.lengths)) if chosen is None else chosen
        lengths, part = [prepared.lengths[place] for place in places], 2 if halved else 1
        if self.skill is Skill.STREAM:
            found = packs.compose_by_count(lengths, packs.REPLIES_A_PACK // part)
        else:
            found = packs.compose(lengths, self.conditions.pack_tokens // part or 1, padded=prepared.padded)
        return tuple(Pack(pack.index, tuple(places[member] for member in pack.members)) for pack in found)

    def next_ask(self, member: int, so_far: Sequence[Exchange]) -> Ask | None:
        """What prompt `member`'s question is asked behind these exchanges; None once nothing is left to ask."""
        question = self.prompts[member].question
        return self.benchmark.ask(self.exam, question, self.conditions, self.examinee, so_far)

    def mark(self, pack: Pack, replies: PackReplies) -> list[Answer]:
        """The Answers to a pack's prompts."""
        return [
            self.benchmark.judged(self.exam, self.prompts[member], exchanges)
            for member, exchanges in zip(pack.members, replies.exchanges, strict=True)
        ]

    def unmarked(self, pack: Pack, replies: PackReplies) -> list[Answer]:
        """The Answers to a pack's prompts where they can't be marked: the replies, and no answer."""
        return [
            answer_of(self.prompts[member], exchanges, Mark(0.0))
            for member, exchanges in zip(pack.members, replies.exchanges, strict=True)
        ]

    def recorded_in(self, provenance: Provenance) -> Provenance:
        """What produces the Run's numbers, with what is to be known of its prompts."""
        each = [prompt.shots for prompt in self.prompts]
        fewer = sum(shots < self.conditions.shots for shots in each)
        notes = (*provenance.notes, *self.notes)
        made = replace(provenance, shots=ShotsShown(min(each), max(each), fewer), notes=notes)
        if self.chat is None:
            return made
        return replace(made, notes=(*made.notes, *self.chat.notes), template_date=self.chat.told_date)


def write_paper(
    exam: Exam, conditions: Conditions, engine: Engine, day: date | None = None, asked: range | None = None
) -> Paper:
    """Ask the benchmark for the Run's prompts, or for those of the questions that are `asked`, a part of a large one's.

    `day` is what a chat template is told, where the exam is put as one.

    Raises
    ------
    CantBeAsked
        where the model has no chat template, its window is too small for a question, or its engine can't do what the
        exam asks.
    BadInput
        for a version of prompts that isn't of this release.
    """
    benchmark = of_version(conditions.prompt_version)
    tokenizer, chat = engine.tokenizer, None
    if conditions.chat_template and day is not None:
        chat = ExamChat(tokenizer.template, day, shots=conditions.shots > 0)
    examinee = Examinee(tokenizer.count, tokenizer.window, chat.text if chat is not None else None)
    questions = exam.questions[: conditions.limit] if asked is None else exam.questions[asked.start : asked.stop]
    prompts = [ask_first(benchmark, exam, question, conditions, examinee) for question in questions]
    paper = Paper(conditions, benchmark, exam, examinee, prompts, chat)
    generates_alone = Skill.STREAM in engine.skills and Skill.SCORE not in engine.skills
    if generates_alone and letters.can_be_written(exam, conditions, prompts):
        in_writing = [letters.written(prompt) for prompt in prompts]
        paper = replace(paper, benchmark=letters.in_writing(benchmark), prompts=in_writing, notes=(letters.NOTE,))
    require(engine, paper.skill)
    return paper
