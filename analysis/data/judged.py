"""What judges said of replies, verdict by verdict, read out of what is stored: what they are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.data.groups import contestant_of
from proctor.contestants import Contestant
from proctor.exams.judges.asking import Found, found, texts_of
from proctor.exams.judges.cases import Case, case_of, exam_of_replies
from proctor.exams.judging.texts import last_number
from proctor.exams.judging.verdicts import Better, Preferred
from proctor.nouns.exams import Question
from proctor.store.database.session import Store
from proctor.store.reads.records import RunRecord
from proctor.store.runs import briefs
from proctor.store.runs.exams import load_exam


@dataclass(frozen=True)
class Judgement:
    """What a judge said of one turn of a question."""

    question_id: str
    index: int  # of the question
    turn: int  # from 0
    lengths: tuple[int, ...]  # characters of the candidate's answer, and of the other one of a pair
    has_number: tuple[bool, ...] | None  # whether each has the reference's last number; None: it has none
    rating: float | None = None  # None: unjudged, or a pair
    verdicts: tuple[Better | None, Better | None] | None = None  # of a pair: candidate first, other first
    preferred: Preferred | None = None  # of a pair, what both come to

    @property
    def is_judged(self) -> bool:
        """Whether there is a rating, or a verdict in both orders."""
        return self.rating is not None or self.preferred not in (None, Preferred.UNJUDGED)


@dataclass(frozen=True)
class JudgedRun:
    """A judge's Run on the replies of a candidate, or of two."""

    run_id: int
    benchmark: str
    subject: str
    judge: Contestant
    prompts: str  # version of the words in which it was asked
    candidates: tuple[Contestant, ...]  # one, or a pair
    judgements: tuple[Judgement, ...]  # question by question, turn by turn
    points: tuple[float | None, ...]  # a question; None where one of its turns is unjudged
    asked_again: int  # verdicts that were missing at first


def read_judged(store: Store, records: Sequence[RunRecord]) -> tuple[JudgedRun, ...]:
    """What these Runs of judges say, in their order."""
    return tuple(_read(store, record) for record in records)


def _read(store: Store, record: RunRecord) -> JudgedRun:
    spec = record.spec
    exam = load_exam(store, spec.benchmark, spec.subject, spec.exam_hash)
    cases = exam_of_replies(exam, *(briefs.replies(store, one.run_id) for one in record.judged))
    said = briefs.replies(store, record.run_id)
    told = [
        (question, case, found(case, texts_of(said[question.id])))
        for question in cases.questions
        if question.id in said
        for case in (case_of(question),)
    ]
    return JudgedRun(
        record.run_id,
        spec.benchmark,
        spec.subject,
        contestant_of(record),
        spec.conditions.prompt_version,
        tuple(map(contestant_of, record.judged)),
        tuple(one for question, case, what in told for one in _judgements(question, case, what)),
        tuple(what.points for _, _, what in told),
        sum(what.asked_again for _, _, what in told),
    )


def _judgements(question: Question, case: Case, said: Found) -> list[Judgement]:
    made = []
    for turn in range(len(case.messages)):
        answers = [side[turn] for side in (case.answers, case.others) if side]
        reference = last_number(case.references[turn])
        has = None if reference is None else tuple(last_number(answer) == reference for answer in answers)
        lengths = tuple(len(answer.strip()) for answer in answers)
        if case.in_pairs:
            rest = {"verdicts": said.verdicts[turn], "preferred": said.preferred[turn]}
            made.append(Judgement(question.id, question.index, turn, lengths, has, **rest))  # type: ignore[arg-type]
        else:
            made.append(Judgement(question.id, question.index, turn, lengths, has, said.ratings[turn]))
    return made
