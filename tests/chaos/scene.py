"""The scene of every chaos test: a tiny model, an exam that takes a while, a sweep, and the look at its end.

The sweep is slow enough to be hit in the middle because it has many small packs, not because anything waits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import psutil
from sqlmodel import col, select

from proctor.embedded.command import Embedded
from proctor.exams.packs import compose
from proctor.exams.reading.identity import content_hash
from proctor.nouns.exams import Conditions, Exam, Question
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import RunSpec, RunStatus, SweepRequest
from proctor.store.database.session import Store
from proctor.store.reads import records as reads
from proctor.store.reads import shown_answers
from proctor.store.runs import exams, sweeps
from proctor.store.runs.tables import AnswerRow, QuestionRow, RunRow
from tests.support import wait_until
from workers.engines.base import LoadRequest
from workers.engines.devices import TorchDevice
from workers.models.loading import engine_loader
from workers.run.paper import write_paper

QUESTIONS = 1600  # a subject: more than a second of work, half of which is the middle
ON_POSTGRES = 800  # the same there, where a pack takes longer to record
FEW = 80  # of a Run that nobody has to catch in its middle
CONDITIONS = Conditions(shots=0, pack_tokens=300)  # two questions a pack
GONE = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)  # a zombie runs nothing: it waits for its new parent to look


def make_exam(subject: str, questions: int = QUESTIONS) -> Exam:
    made = tuple(
        Question(
            id=hashlib.sha256(f"{subject} {index}".encode()).hexdigest()[:16],
            index=index,
            text=f"What is the remainder of {index * 7919} divided by four, in the course on {subject}?",
            choices=("0", "1", "2", "3"),
            answer=index * 7919 % 4,
        )
        for index in range(questions)
    )
    return Exam("made", subject, (), made, content_hash(subject, (), made))


def submit(
    store: Store,
    model: ModelRef,
    subjects: int,
    quant: Quant = Quant.NONE,
    *,
    check_noise: bool = False,
    conditions: Conditions = CONDITIONS,
    questions: int = QUESTIONS,
    device: Device = Device.CPU,
) -> int:
    """A sweep of one model on so many subjects of so many questions; returns its number."""
    made = [make_exam(f"subject_{number}", questions) for number in range(subjects)]
    for exam in made:
        exams.save_exam(store, exam)
    specs = [
        RunSpec(model, quant, device, DType.FLOAT32, "made", exam.subject, exam.content_hash, questions, conditions)
        for exam in made
    ]
    names = tuple(exam.subject for exam in made)
    request = SweepRequest(
        (model.name,), (quant,), "made", names, "cpu", DType.FLOAT32, conditions, check_noise=check_noise
    )
    return sweeps.submit(store, request, specs, fresh=True).sweep_id


submit_few = partial(submit, questions=FEW)


def runs_of(store: Store, sweep: int) -> list[reads.RunRecord]:
    return reads.runs(store, [sweep])


def wait_for_middle(store: Store, sweep: int) -> None:
    """Until some of a Run's packs are recorded and some are not."""

    def in_the_middle() -> bool:
        found = runs_of(store, sweep)
        assert RunStatus.FAILED not in {run.status for run in found}, [run.reason for run in found]
        return any(run.status == RunStatus.RUNNING and 0 < run.answered < run.spec.questions // 2 for run in found)

    wait_until(in_the_middle, "a Run was in its middle")


def wait_for_end(store: Store, sweep: int) -> None:
    ended = (RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED)
    wait_until(lambda: all(run.status in ended for run in runs_of(store, sweep)), "the sweep came to its end", 600.0)


def assert_every_answer_once(store: Store, sweep: int) -> None:
    """All Runs are done, and each has exactly one Answer to each of its questions."""
    records = runs_of(store, sweep)
    assert [run.status for run in records] == [RunStatus.DONE] * len(records), [run.reason for run in records]
    found = [
        (answer.run_id, answer.question_index) for answer in shown_answers.answers_after(store, sweep, 0, 10**6).answers
    ]
    assert sorted(found) == [(run.run_id, index) for run in records for index in range(run.spec.questions)]


def outcomes(store: Store, sweep: int) -> list[str]:
    """How the attempts of all Runs ended, in their order."""
    return [attempt.outcome for run in runs_of(store, sweep) for attempt in run.attempts]


def recorded_scores(store: Store, sweep: int) -> dict[tuple[int, str], tuple[float, ...]]:
    """The log-probabilities of each Run and question, to the bit, straight from the table."""
    with store.read() as session:
        rows = session.connection().execute(
            select(AnswerRow.run_id, QuestionRow.content_id, AnswerRow.options_logprob)
            .join(QuestionRow, col(QuestionRow.id) == col(AnswerRow.question_id))
            .join(RunRow, col(RunRow.id) == col(AnswerRow.run_id))
            .where(col(RunRow.sweep_id) == sweep)
        )
        return {(run, question): scores for run, question, scores in rows}


def recompute(store: Store, sweep: int, device: TorchDevice) -> dict[tuple[int, str], tuple[float, ...]]:
    """The same, computed in this process without any interruption.

    Equal bits need as many threads of torch: `own_device` sets what a worker's child has.
    """
    return {
        (run.run_id, question): scores
        for run in runs_of(store, sweep)
        for question, scores in undisturbed(
            LoadRequest(run.spec.model, run.spec.quant, run.spec.dtype),
            exams.load_exam(store, run.spec.benchmark, run.spec.subject, run.spec.exam_hash),
            run.spec.conditions,
            device,
        ).items()
    }


@cache
def undisturbed(
    load: LoadRequest, exam: Exam, conditions: Conditions, device: TorchDevice
) -> dict[str, tuple[float, ...]]:
    """The log-probabilities of each question of an exam, computed once in this process: many tests sit the same."""
    model = engine_loader(device, Path("unused"))(load)
    prompts = write_paper(exam, conditions, model).prompts
    prepared = model.prepare(prompts)
    found = {}
    for pack in compose(prepared.lengths, conditions.pack_tokens, padded=prepared.padded):
        scores = model.answer(prepared, pack).options_logprob
        found.update({prompts[m].question.id: row for m, row in zip(pack.members, scores, strict=True)})
    return found


def worker_child(crew: Embedded) -> psutil.Process:
    """The process of the crew's one worker that holds device, model and Run."""
    (group,) = [pid for name, pid in crew.groups.items() if "@" in name]
    parent = psutil.Process(group)
    wait_until(lambda: bool(parent.children()), "the worker has a child")
    return parent.children()[-1]


@dataclass(frozen=True)
class Processes:
    """Processes as they were recorded, to be looked at again later."""

    recorded: tuple[psutil.Process, ...]

    @property
    def running(self) -> list[psutil.Process]:
        return [process for process in self.recorded if is_running(process)]


def below(pid: int) -> Processes:
    """All descendants of a process."""
    return Processes(tuple(psutil.Process(pid).children(recursive=True)))


def of_crew(crew: Embedded) -> Processes:
    """A crew's guard and all that it started; this process has other children, such as servers of other tests."""
    guard = psutil.Process(crew.groups["broker"]).parent()
    assert guard is not None
    return Processes((guard, *guard.children(recursive=True)))


def is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() not in GONE
    except psutil.NoSuchProcess:
        return False
