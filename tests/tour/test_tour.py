"""A tour of Proctor in ten tests, to be read from top to bottom.

Each is a step of the way from a question to a verdict, in the words of `proctor/nouns`. A tiny model with random
weights stands in for a real one; everything else is the real thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from analysis.stats.intervals import against_chance, wilson
from analysis.stats.paired import Paired
from analysis.stats.verdict import Finding
from analysis.stats.verdict import judge as verdict
from proctor.catalog.resolve import resolve
from proctor.errors import LeaseLost
from proctor.exams.benchmarks.mmlu_prompts import fit, render
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.marking.choice import judge
from proctor.exams.packs import compose
from proctor.nouns.exams import Answer, Conditions, Exam
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.runs import Claim, Cost, Measures, RunStatus, SweepRequest
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import exams, runs, sweeps
from scheduler.choose import choose
from scheduler.plan import Candidate, Plan, Target, expand
from tests import tiny
from tests.models import on_cpu
from workers.engines.base import Engine

REQUEST = SweepRequest(
    models=("tiny",),
    quants=(Quant.NONE,),
    benchmark="demo",
    subjects=("arithmetic",),
    device="cpu",
    dtype=DType.FLOAT32,
    conditions=Conditions(shots=0, limit=12, pack_tokens=400),
)
LAPTOP = Target(Device.CPU, "a laptop", 8_000_000_000, quantizes=True)
ANNA, BERT = (WorkerCard(name, "here", Device.CPU, "a laptop", 8_000_000_000) for name in ("anna", "bert"))
LEASE_S = 30.0


@pytest.fixture(scope="module")
def exam() -> Exam:
    (only,) = load_benchmark("demo", ["arithmetic"]).exams.values()
    return only


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tiny.make(tmp_path_factory.mktemp("models") / "tiny")
    return on_cpu(folder).get(resolve(str(folder)), Quant.NONE, DType.FLOAT32)


@pytest.fixture
def plan(exam: Exam, tmp_path: Path) -> Plan:
    model = resolve(str(tiny.make(tmp_path / "tiny")))
    return expand(REQUEST, [Candidate(model, {Quant.NONE: 1_000_000})], [exam], [LAPTOP])


class Hands:
    """A clock that is set by hand, for leases."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def store(tmp_path: Path, clock: Hands) -> Iterator[Store]:
    with open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'proctor.db'}"), clock=clock) as opened:
        yield opened


@pytest.fixture
def submitted(store: Store, exam: Exam, plan: Plan) -> sweeps.Submission:
    exams.save_exam(store, exam)
    return sweeps.submit(store, plan.request, plan.runs)


def answered(loaded: Engine, exam: Exam) -> list[tuple[int, list[Answer]]]:
    """The Answers of each Pack, as a worker computes them."""
    conditions = REQUEST.conditions
    prompts = [
        fit(exam, question, conditions, loaded.tokenizer.count, loaded.tokenizer.window)
        for question in exam.questions[: conditions.limit]
    ]
    prepared = loaded.prepare(prompts)
    done = []
    for pack in compose(prepared.lengths, conditions.pack_tokens, padded=prepared.padded):
        rows = loaded.answer(prepared, pack).options_logprob
        done.append((pack.index, [judge(prompts[m], row) for m, row in zip(pack.members, rows, strict=True)]))
    return done


def claim(store: Store, worker: WorkerCard) -> Claim | None:
    return runs.claim_best(store, worker, None, choose, LEASE_S)


def test_01_an_exam_is_questions_and_examples_to_show_before_them(exam: Exam) -> None:
    assert (exam.benchmark, exam.subject, len(exam.questions), len(exam.dev)) == ("demo", "arithmetic", 40, 5)
    first = exam.questions[0]
    assert first.choices[first.key]


def test_02_a_question_becomes_a_prompt_that_ends_where_the_answer_begins(exam: Exam) -> None:
    text = render(exam, exam.questions[0], shots=1)

    assert text.startswith("The following are multiple choice questions (with answers) about arithmetic.\n\n")
    assert text.count("Answer: ") == 1  # the example tells its answer
    assert text.endswith("\nAnswer:")  # the question doesn't


def test_03_a_model_gives_each_option_a_log_probability_and_the_highest_is_picked(loaded: Engine, exam: Exam) -> None:
    (_, answers), *_ = answered(loaded, exam)

    answer = answers[0]
    assert len(answer.options_logprob) == 4
    assert answer.picked == max(range(4), key=lambda option: answer.options_logprob[option])


def test_04_questions_go_through_the_model_in_packs_that_depend_on_nothing_but_exam_and_settings(
    loaded: Engine, exam: Exam
) -> None:
    once, again = answered(loaded, exam), answered(loaded, exam)

    assert len(once) > 1
    assert once == again  # to the bit: this is what makes resuming exact


def test_05_a_sweep_is_planned_before_anything_starts(plan: Plan) -> None:
    assert len(plan.runs) == 1
    assert plan.questions == 12
    assert plan.smallest_difference_models is None  # twelve questions can't show that two models differ


def test_06_the_same_sweep_submitted_again_goes_on(store: Store, plan: Plan, submitted: sweeps.Submission) -> None:
    again = sweeps.submit(store, plan.request, plan.runs)

    assert (again.sweep_id, again.continued) == (submitted.sweep_id, True)


def test_07_a_worker_claims_a_run_and_nobody_else_can(store: Store, submitted: sweeps.Submission) -> None:
    mine = claim(store, ANNA)

    assert mine is not None
    assert mine.attempt == 1
    assert claim(store, BERT) is None


def test_08_packs_are_recorded_once_and_a_run_is_done_when_all_are(
    store: Store, submitted: sweeps.Submission, loaded: Engine, exam: Exam
) -> None:
    mine = claim(store, ANNA)
    assert mine is not None
    runs.begin(store, mine, loaded.provenance)
    for index, answers in answered(loaded, exam):
        runs.record(store, mine, index, answers, Cost(wall_s=1.0))
    runs.finish(store, mine, Measures())

    (run,) = records.progress(store, submitted.sweep_id).runs
    assert (run.status, run.answered) == (RunStatus.DONE, 12)


def test_09_a_worker_that_falls_silent_loses_its_run_and_what_it_says_later_is_refused(
    store: Store, submitted: sweeps.Submission, loaded: Engine, exam: Exam, clock: Hands
) -> None:
    first = claim(store, ANNA)
    assert first is not None
    runs.begin(store, first, loaded.provenance)
    packs = answered(loaded, exam)
    runs.record(store, first, packs[0][0], packs[0][1], Cost())

    clock.now += timedelta(seconds=LEASE_S + 1)
    second = claim(store, BERT)

    assert second is not None
    assert (second.run_id, second.attempt) == (first.run_id, 2)
    assert runs.committed_packs(store, second) == {packs[0][0]}  # kept: the second goes on from there
    with pytest.raises(LeaseLost):
        runs.record(store, first, packs[1][0], packs[1][1], Cost())


def test_10_a_difference_is_judged_question_by_question_and_often_it_is_none() -> None:
    accuracy = wilson(right=27, asked=100)
    assert (round(accuracy.low, 3), round(accuracy.high, 3)) == (0.193, 0.364)
    (where,) = against_chance(np.array([27]), np.array([100]), chance=0.25)
    assert where == "at chance"

    few = verdict(Paired(both_right=60, lost=9, gained=5, both_wrong=26))
    many = verdict(Paired(both_right=6000, lost=900, gained=500, both_wrong=2600))
    assert few.finding is Finding.CANNOT_TELL
    assert many.finding is Finding.WORSE
