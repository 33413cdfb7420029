"""From checked questions to Exams: copies dropped, identities given, and what is odd about them noted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proctor.exams.reading.identity import content_hash, question_id
from proctor.exams.reading.questions import Draft
from proctor.nouns.exams import Exam, Question


@dataclass(frozen=True)
class Splits:
    """One subject's questions, in the order of their files."""

    dev: list[Draft] = field(default_factory=list)
    test: list[Draft] = field(default_factory=list)

    def of(self, *, dev: bool) -> list[Draft]:
        """The dev or the test questions."""
        return self.dev if dev else self.test


DROPPED = "Copies of an earlier question of their subject, dropped"
OTHER_KEY = "Dropped copies with another answer than the one that was kept"
SHOWN = "Test questions that stand in the dev split too (with shots, the model is told their answer)"
SAME_OPTIONS = "Questions with two options that are the same"
BLANK_OPTIONS = "Questions with an empty option"
COUNTS = "Questions with another number of options than most in their subject"
NO_DEV = "Subjects without dev questions, to be asked with --shots 0"


def assemble(benchmark: str, splits: Mapping[str, Splits]) -> tuple[dict[str, Exam], tuple[str, ...]]:
    """An Exam a subject, and notes on what is odd: a line a kind, with the count and the subjects."""
    odd: dict[str, Counter[str]] = defaultdict(Counter)
    exams = {subject: _exam(benchmark, subject, split, odd) for subject, split in splits.items()}
    return exams, tuple(_note(kind, +odd[kind]) for kind in odd if odd[kind].total())


def _exam(benchmark: str, subject: str, split: Splits, odd: Mapping[str, Counter[str]]) -> Exam:
    dev = [_question(index, item) for index, item in enumerate(split.dev)]
    kept: dict[str, Question] = {}
    dropped = 0
    for index, item in enumerate(split.test):
        question = _question(index, item)
        first = kept.setdefault(question.id, question)
        if first is not question:
            dropped += 1
            odd[OTHER_KEY][subject] += (first.answer, first.reference) != (question.answer, question.reference)
    questions = tuple(kept.values())
    odd[DROPPED][subject] += dropped
    odd[SHOWN][subject] += len({question.id for question in dev} & kept.keys())
    odd[NO_DEV][subject] += not dev
    _look_at_options(subject, questions, odd)
    return Exam(benchmark, subject, tuple(dev), questions, content_hash(subject, dev, questions), dropped)


def _look_at_options(subject: str, questions: Sequence[Question], odd: Mapping[str, Counter[str]]) -> None:
    questions = [question for question in questions if question.choices]
    counts = Counter(len(question.choices) for question in questions)
    odd[COUNTS][subject] += counts.total() - max(counts.values(), default=0)
    odd[SAME_OPTIONS][subject] += sum(len(set(question.choices)) < len(question.choices) for question in questions)
    odd[BLANK_OPTIONS][subject] += sum(not all(map(str.strip, question.choices)) for question in questions)


def _question(index: int, item: Draft) -> Question:
    content = question_id(item.subject, item.text, item.choices, item.turns)
    return Question(content, index, item.text, item.choices, item.answer, item.reference, item.turns)


def _note(kind: str, by_subject: Counter[str], most: int = 8) -> str:
    where = ", ".join(f"{name} {count}" if count > 1 else name for name, count in by_subject.most_common(most))
    more = len(by_subject) - most
    return f"{kind}: {by_subject.total()} ({where}{f' and {more} more subjects' if more > 0 else ''})."
