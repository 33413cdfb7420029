"""Made-up exams in a form, of each kind one, and a sweep in which models of a given skill sat them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from proctor.exams.benchmarks.base import Examinee, put
from proctor.exams.judging.marking import mark
from proctor.exams.marking.answers import answer_of
from proctor.exams.reading.identity import content_hash, question_id
from proctor.exams.tasks.asking import FORM_VERSION, ask
from proctor.exams.tasks.form import Chain, Form, Headline, Kind, Metric, Source, Step, read_form
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import (
    Answer,
    Ask,
    Choose,
    Conditions,
    Exam,
    Exchange,
    Question,
    Reply,
    Roll,
    Scored,
    Scoring,
    Write,
    Written,
)
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Claim, Cost, Measures, RunSpec
from proctor.store.database.session import Store
from proctor.store.runs import exams, runs, sweeps
from tests.integration.store_world import claim, provenance, request
from tests.sweeps import in_parts

SIZE = 12  # questions of each
SKILL = {("org/Small", Quant.NONE): 0.3, ("org/Large", Quant.NONE): 0.9, ("org/Large", Quant.FOUR_BIT): 0.8}
EXAMINEE = Examinee(count_tokens=len, window_tokens=100_000)
COLOURS = ("red", "a deep green", "blue")
STRICT = Chain("strict", (Step("regex", {"regex_pattern": r"#### (-?\d+)"}), Step("take_first")))
LOOSE = Chain("loose", (Step("regex", {"regex_pattern": r"-?\d+", "group_select": -1}), Step("take_first")))
FIRST = Chain("none", (Step("take_first"),))


def source(task: str) -> Source:
    """Where a form of this name would come from."""
    return Source(task=task, version="1.0", release="lm_eval 0.4.13")


def exam(subject: str, form: Form, questions: Sequence[Question], dev: Sequence[Question] = ()) -> Exam:
    """An exam in a form, which is its benchmark's only one."""
    written = form.json()
    asked = tuple(questions)
    return Exam(subject, subject, tuple(dev), asked, content_hash(subject, dev, asked, written), form=written)


def colours() -> Exam:
    """Multiple choice: of every third question two options are right; each answer begins in a given way."""
    form = Form(Kind.CHOOSE, (Metric("acc"), Metric("acc_norm")), Headline("acc", "none"), source=source("colours"))
    made = []
    for n in range(SIZE):
        text, opening = f"Which colour has thing {n}?", "It is"
        identity = question_id("colours", text, COLOURS, (), (), opening)
        further = (2,) if n % 3 == 0 else ()
        made.append(Question(identity, n, text, COLOURS, n % 2, further=further, opening=opening))
    return exam("colours", form, made)


def gaps() -> Exam:
    """Two contexts a question, behind each of which the same text is scored."""
    form = Form(Kind.CHOOSE, (Metric("acc"),), Headline("acc", "none"), source=source("gaps"))
    made = []
    for n in range(SIZE):
        contexts, text = (f"Ann beat Bob {n} times because Ann", f"Ann beat Bob {n} times because Bob"), "was better."
        identity = question_id("gaps", text, contexts, (), contexts)
        made.append(Question(identity, n, text, contexts, n % 2, contexts=contexts))
    return exam("gaps", form, made)


def shares() -> Exam:
    """Multiple choice in parts of a point: the right options' share of the probability."""
    form = Form(Kind.CHOOSE, (Metric("mc2"),), Headline("mc2", "none"), source=source("shares"))
    made = [
        Question(question_id("shares", f"What of {n}?", COLOURS), n, f"What of {n}?", COLOURS, 0, further=(1,))
        for n in range(SIZE)
    ]
    return exam("shares", form, made)


def endings() -> Exam:
    """The log-probability of one text, and whether it is the likeliest."""
    metrics = (Metric("perplexity", aggregation="perplexity", higher_is_better=False), Metric("acc"))
    form = Form(Kind.LOGLIKELIHOOD, metrics, Headline("acc", "none"), source=source("endings"))
    made = [
        Question(question_id("endings", f"{n} and {n} is", ()), n, f"{n} and {n} is", reference=f" {2 * n}")
        for n in range(SIZE)
    ]
    return exam("endings", form, made)


def sums() -> Exam:
    """Written answers on two filter chains, with an example before each question."""
    form = Form(
        Kind.WRITE, (Metric("exact_match", {"ignore_case": True}),), Headline("exact_match", "strict"),
        chains=(STRICT, LOOSE), until=("Question:",), max_tokens=32, source=source("sums"),
    )  # fmt: skip
    shown = [
        Question(question_id("sums", f"Question: {n} + 1 =", ()), n, f"Question: {n} + 1 =", reference=f"#### {n + 1}")
        for n in (100, 200)
    ]
    made = [
        Question(
            question_id("sums", f"Question: {n} + {n} =", ()), n, f"Question: {n} + {n} =", reference=str(2 * n),
            shots=(n % 2,),
        )
        for n in range(1, SIZE + 1)
    ]  # fmt: skip
    return exam("sums", form, made, shown)


def drawn() -> Exam:
    """Written answers of which each question has four, drawn with seeds of their own."""
    paper = sums()
    form = replace(read_form(paper.form), repeats=4, temperature=0.7, source=source("drawn"))
    return exam("drawn", form, paper.questions, paper.dev)


def pages() -> Exam:
    """Whole pages, whose perplexity is reckoned by their words."""
    metrics = (Metric("word_perplexity", aggregation="weighted_perplexity", higher_is_better=False),)
    form = Form(Kind.ROLLING, metrics, Headline("word_perplexity", "none"), source=source("pages"))
    made = []
    for n in range(SIZE):
        text = " ".join(["so it goes on"] * (n + 1))
        counted = f'{{"words": {len(text.split())}, "bytes": {len(text)}}}'
        made.append(Question(question_id("pages", text, ()), n, text, reference=counted))
    return exam("pages", form, made)


ALL = (colours, gaps, shares, endings, sums)
SCORING = {
    "colours": Scoring.TEXT, "gaps": Scoring.TEXT, "shares": Scoring.TEXT, "endings": Scoring.ONE_TEXT,
    "sums": Scoring.WRITTEN, "programs": Scoring.WRITTEN,
    "drawn": Scoring.WRITTEN,
    "pages": Scoring.PAGES,
}  # fmt: skip


class Model:
    """An engine's replies: right as often as its skill."""

    def __init__(self, skill: float, seed: int) -> None:
        self.skill, self.random, self.replies = skill, np.random.default_rng(seed), 0

    def reply(self, question: Question, asked: Ask) -> Reply:
        knows = self.random.random() < self.skill
        if isinstance(asked, Choose):
            scores = self.random.normal(-3.0, 0.5, len(asked.options))
            scores[question.answer or 0] += 2.0 * knows
            return Scored(tuple(map(float, scores)), tuple([knows] * len(scores)))
        if isinstance(asked, Roll):
            return Scored((-float(self.random.normal(2.0, 0.2)) * len(asked.text.split()),))
        assert isinstance(asked, Write)
        return self.written(int(question.reference) + (not knows))

    def written(self, value: int) -> Written:
        """Of ten, six in the form that is asked for; one each without it, cut by the limit, empty, without a number."""
        self.replies += 1
        drawn = self.replies % 10 / 10
        if drawn < 0.6:
            return Written(f" So.\n#### {value}", (1, 2, 3))
        if drawn < 0.7:
            return Written(f" It is {value}\nQuestion: 9 + 9 = #### 18", (1, 2))
        if drawn < 0.8:
            return Written(f" It is {value} and", (1, 2, 3, 4), Finish.LENGTH)
        if drawn < 0.9:
            return Written("\nQuestion: again", (5,))
        return Written(" no idea", (6,))


def sit_forms(store: Store, name: str = "forms", made: Sequence[Exam] = (), shots: int = 1, parts: int = 1) -> int:
    """A sweep of three contestants on these exams, or on one of each kind, marked as a worker would; its id.

    Each Run is sat in so many parts. In a database of its own the sweep has the same replies in any number of them.
    """
    papers = {one.subject: one for one in (made or [one() for one in ALL])}
    asked = []
    for paper in papers.values():
        own = max((len(question.shots) for question in paper.questions), default=0)
        conditions = Conditions(min(shots, own), prompt_version=FORM_VERSION, scoring=SCORING[paper.subject])
        asked.append((paper, conditions))

    def answers(held: Claim, exam: Exam, skill: float) -> list[Answer]:
        model = Model(skill, seed=(held.run_id - 1) // parts + 1)
        whole = [answered(exam, one, held.spec.conditions, model) for one in exam.questions]
        return whole[held.asked.start : held.asked.stop]

    return sit_as(store, name, asked, answers, parts)


def sit_as(
    store: Store,
    name: str,
    asked: Sequence[tuple[Exam, Conditions]],
    answers: Callable[[Claim, Exam, float], list[Answer]],
    parts: int = 1,
) -> int:
    """A sweep of the three contestants on these exams, with the answers that each gives by its skill; its id."""
    specs = []
    for paper, conditions in asked:
        exams.save_exam(store, paper)
        specs += [
            RunSpec(
                ModelRef(model, ModelSource.HUB, "r"), quant, Device.CPU, DType.AUTO, paper.benchmark, paper.subject,
                paper.content_hash, len(paper.questions), conditions,
            )
            for model, quant in SKILL
        ]  # fmt: skip
    sweep_id = sweeps.submit(store, request(name), specs, fresh=True, split=in_parts(parts)).sweep_id
    for _ in range(len(specs) * parts):
        held = claim(store)
        runs.begin(store, held, provenance())
        exam = exams.load_exam(store, held.spec.benchmark, held.spec.subject, held.spec.exam_hash)
        given = answers(held, exam, SKILL[held.spec.model.name, held.spec.quant])
        runs.record(store, held, 0, given, Cost(1.0, 1.0))
        runs.finish(store, held, Measures(score=Cost(1.0, 1.0)))
    return sweep_id


def answered(paper: Exam, question: Question, conditions: Conditions, model: Model) -> Answer:
    """The Answer to one question: asked as often as the form wants, replied to and marked."""
    exchanges: list[Exchange] = []
    while asked := ask(paper, question, conditions, EXAMINEE, exchanges):
        exchanges.append(Exchange(asked, model.reply(question, asked)))
    return answer_of(put(question, exchanges[0].ask), exchanges, mark(paper, question, exchanges))
