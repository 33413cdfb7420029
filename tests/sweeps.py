"""A finished sweep for tests of the analysis: made through the store, with answers drawn from a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from proctor.exams.reading.identity import content_hash, question_id
from proctor.nouns.exams import Answer, Conditions, Exam, Question
from proctor.nouns.models import Device, DType, Lane, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Claim, Cost, Measures, Noise, Provenance, RunSpec, SweepRequest
from proctor.nouns.workers import LaneLoad, WorkerCard
from proctor.store.database.session import Store
from proctor.store.runs import runs as store_runs
from proctor.store.runs.exams import save_exam
from proctor.store.runs.sweeps import Split, submit

ME = WorkerCard("cpu@here:1", "here", Device.CPU, "a CPU", 8 << 30)
PROVENANCE = Provenance(DType.FLOAT32, "plain", "a CPU", "here", {"torch": "2.13.0", "transformers": "5.24.0"})


@dataclass(frozen=True)
class Sat:
    """What a synthetic sweep holds. `skill` is each model's chance of knowing an answer."""

    models: Sequence[str] = ("org/Small", "org/Large")
    skill: Sequence[float] = (0.1, 0.6)
    quants: Sequence[Quant] = (Quant.NONE, Quant.FOUR_BIT)
    subjects: Sequence[str] = ("astronomy", "anatomy", "law")
    questions: int = 40
    benchmark: str = "mmlu"
    conditions: Conditions = field(default_factory=Conditions)
    fail: Sequence[int] = ()  # these claims, counted from 0, fail at once for good
    name: str = "trial"
    noise: Noise | None = None  # of every Run
    mended: Sequence[str] = ()  # subjects with other keys than they have by default
    dropped: Mapping[str, int] = field(default_factory=dict)  # model -> first questions of a subject after 3 shots
    parts: int = 1  # in so many a Run is sat
    reworded: int = 0  # the first so many questions of a subject are put in another prompt than without this


def exam(benchmark: str, subject: str, questions: int, *, mended: bool = False) -> Exam:
    """An exam of so many made-up questions with four options."""
    items = []
    for number in range(questions):
        text, choices = f"{subject} question {number}?", tuple(f"option {letter}" for letter in "abcd")
        items.append(Question(question_id(subject, text, choices), number, text, choices, (number * 7 + mended) % 4))
    return Exam(benchmark, subject, (), tuple(items), content_hash(subject, (), items))


def sit_sweep(store: Store, sat: Sat, seed: int = 0) -> int:
    """Submit the sweep, sit every Run of it, and return its id."""
    exams = [exam(sat.benchmark, each, sat.questions, mended=each in sat.mended) for each in sat.subjects]
    for each in exams:
        save_exam(store, each)
    asked = min(sat.questions, sat.conditions.limit or sat.questions)
    specs = [
        RunSpec(
            ModelRef(model, ModelSource.HUB, "abc123"), quant, Device.CPU, DType.AUTO, sat.benchmark, each.subject,
            each.content_hash, asked, sat.conditions,
        )
        for model in sat.models
        for quant in sat.quants
        for each in exams
    ]  # fmt: skip
    request = SweepRequest(
        tuple(sat.models), tuple(sat.quants), sat.benchmark, tuple(sat.subjects), "cpu", DType.AUTO, sat.conditions,
        name=sat.name,
    )  # fmt: skip
    sweep_id = submit(store, request, specs, fresh=True, split=in_parts(sat.parts)).sweep_id
    skill = dict(zip(sat.models, sat.skill, strict=True))
    by_subject = {each.subject: each for each in exams}
    for number in range(len(specs) * sat.parts):
        claim = store_runs.claim_best(store, ME, None, _first, 600.0)
        assert claim is not None
        if number in sat.fail:
            store_runs.fail(store, claim, "out of memory <b>at once</b>", final=True)
            continue
        _sit(store, claim, by_subject[claim.spec.subject], skill[claim.spec.model.name], seed, sat)
    return sweep_id


def in_parts(count: int) -> Split:
    """Every Run in so many parts of one size, or almost."""
    return lambda questions, _: [
        range(questions * number // count, questions * (number + 1) // count) for number in range(count)
    ]


def _first(_held: Lane | None, loads: Sequence[LaneLoad]) -> Lane | None:
    return loads[0].lane if loads else None


def _sit(store: Store, claim: Claim, exam: Exam, skill: float, seed: int, sat: Sat) -> None:
    store_runs.begin(store, claim, PROVENANCE)
    # Quantizations of one model draw the same numbers, then a little noise of their own: they differ on few questions.
    words = [ord(c) for c in claim.spec.model.name + exam.subject]
    shared = np.random.default_rng([seed, *words])
    own = np.random.default_rng([seed, *words, *map(ord, claim.spec.quant)])
    answers = []
    for place, question in enumerate(exam.questions[: claim.asked.stop]):
        logits = shared.normal(size=4)
        logits[question.answer] += 3.0 * (shared.random() < skill)
        logits += own.normal(size=4) * (0.3 if claim.spec.quant is not Quant.NONE else 0.0)
        logprob = logits - np.log(np.exp(logits).sum())
        picked = int(logprob.argmax())
        scores = tuple(float(score) for score in logprob)
        right = picked == question.answer
        prompt = question.id[::-1] * 4 if place < sat.reworded else question.id * 4
        shots = 3 if place < sat.dropped.get(claim.spec.model.name, 0) else 5
        answers.append(Answer(question.id, prompt, shots, scores, picked, right, right))
    store_runs.record(store, claim, 0, answers[claim.asked.start :], Cost(1.5, 2.5))
    peak = {Quant.NONE: 4 << 30, Quant.EIGHT_BIT: 2 << 30, Quant.FOUR_BIT: 1 << 30}[claim.spec.quant]
    store_runs.finish(store, claim, Measures(load=Cost(3.0, 3.0), score=Cost(1.5, 2.5), peak_rss_bytes=peak), sat.noise)
