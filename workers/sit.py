"""The main job. `drain` claims Runs until nothing suits; `sit` takes one of them from its claim to its end.

Promised, whatever is killed, paused or cut off meanwhile: every Answer of a Run is recorded exactly once, and a Run
that was resumed has the Answers of an undisturbed one, bit for bit on one machine with as many cores, or with the same
GPU, driver and torch. The database holds the first (`proctor.store.runs.runs`), packs the second: what goes through the
model together never depends on what is left to do. tests/chaos kills each part in the middle of a sweep and counts.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial

from proctor import logs
from proctor.errors import (
    Away,
    BadInput,
    BadModel,
    BadScores,
    DeviceBroken,
    LeaseLost,
    NotHere,
    OtherWay,
    ProctorError,
    StoreUnavailable,
    first_line,
)
from proctor.exams.benchmarks.base import Benchmark, Examinee, ask_first
from proctor.exams.benchmarks.registry import scorable
from proctor.exams.packs import compose
from proctor.nouns.exams import Answer, Conditions, Exam, Exchange, Prompt, Scored
from proctor.nouns.models import Device
from proctor.nouns.runs import Claim, RunStatus, ShotsShown
from proctor.store.runs import runs
from scheduler.choose import choose
from workers.context import WorkerContext
from workers.conversation.turn_taking import STARVED_S
from workers.engines.base import INEXACT, Engine, Skill, require
from workers.engines.chat_template import ExamChat
from workers.run.costs import AttemptCosts
from workers.run.lease import Lease
from workers.run.mixture import check_same_prompts, check_same_way, continued_by
from workers.run.noise import check_noise
from workers.run.splitting import SplittingScorer, with_cut

# Failures that the next attempt would only repeat. Others (a lack of memory, what nobody expected) get three.
FINAL = (BadModel, BadInput, BadScores)

log = logging.getLogger(__name__)


def drain(worker: WorkerContext) -> None:
    """Claim and sit Runs, the held model's first, until no Run suits this worker or it is told to stop.

    Replies that wait come first, between two Runs and between two packs.

    Raises
    ------
    StoreUnavailable
        where the database is away for longer than anybody waits. The parent rings again when it is back.
    DeviceBroken
        where a GPU failed in a way that may have broken it for this process, which is to end.
    """
    while True:
        worker.liveness.beat()
        worker.chat.answer_waiting()
        if worker.channel.stopped:
            return
        worker.chat.load_wanted(STARVED_S)
        claim = worker.retry(partial(runs.claim_best, worker.store, worker.me, worker.held, choose, worker.lease_s))
        if claim is None and (worker.chat.load_wanted() or worker.chat.load_expected() or worker.chat.wait_for_next()):
            continue
        if claim is None:
            return
        with logs.about(f"run-{claim.run_id}.{claim.attempt}"):
            attempt(worker, claim)


def sit(worker: WorkerContext, claim: Claim) -> bool:
    """Sit one claimed Run: load, pack, score, record, finish. Whether it is done; else it was handed back.

    Packs that an earlier attempt recorded are not scored again. Told to stop, or where the sweep was paused, it keeps
    the pack at hand and hands the Run back.

    Raises
    ------
    LeaseLost
        where another worker holds the Run by now, or it was cancelled; it then has written nothing more.
    NotHere, OtherWay
        where this worker can't sit it, and another one may.
    Away
        where something was away for longer than anybody waits, or than until the worker was to stop.
    ProctorError
        where this Run can't be sat, with the reason.
    """
    spec, benchmark = claim.spec, scorable(claim.spec.conditions.prompt_version)
    with Lease(worker.store, claim, worker.retry, worker.liveness) as lease:
        worker.models.make_room(spec.model, spec.quant, claim.dtype)
        with AttemptCosts(worker.device) as costs:
            model = load(worker, claim, costs)
            chat = exam_chat(spec.conditions, model, claim.template_date)
            prompts = write_prompts(lease.load_exam(), spec.conditions, model, chat)
            prepared = model.prepare(prompts)
            costs.prepared(prepared)
            packs = compose(prepared.lengths, spec.conditions.pack_tokens, padded=prepared.padded)
            scorer = begin(worker, lease, model, chat, shots_shown(prompts, spec.conditions))
            recorded = set(lease.committed_packs())
            if recorded:
                check_same_prompts(lease.recorded_prompts(), prompts)
            for pack in packs:
                if pack.index in recorded:
                    continue
                worker.chat.answer_between_packs()
                if worker.channel.stopped or lease.paused:
                    break
                scores = scorer.answer(prepared, pack)
                answers = judged(benchmark, [prompts[member] for member in pack.members], scores.options_logprob)
                costs.scored(scores)
                with costs.writing():
                    lease.record(pack.index, answers, scores.cost)
                worker.liveness.beat()
                recorded.add(pack.index)
        if len(recorded) < len(packs):
            lease.hand_back(costs.measures, why_handed_back(worker))
            return False
        lease.finish(costs.measures, check_noise(claim, lease, scorer, prepared))
        return True


def load(worker: WorkerContext, claim: Claim, costs: AttemptCosts) -> Engine:
    """The claim's model, at no cost where it is held already; a hub or a disk that is away is waited for.

    Errors as of `Models.get`, and `CantBeAsked` where its engine can't score.
    """
    before, spec = worker.models.held, claim.spec
    model = worker.retry(partial(worker.models.get, spec.model, spec.quant, claim.dtype, spec.conditions.pack_tokens))
    if model is not before:
        costs.loaded(model.load_cost)
        worker.channel.hold(worker.held)
    require(model, Skill.SCORE)
    return model


def exam_chat(conditions: Conditions, model: Engine, day: date | None) -> ExamChat | None:
    """The model's chat template, told this day, where the exam is put as a conversation. Raises `CantBeAsked`."""
    if not conditions.chat_template or day is None:
        return None
    return ExamChat(model.tokenizer.template, day, shots=conditions.shots > 0)


def write_prompts(exam: Exam, conditions: Conditions, model: Engine, chat: ExamChat | None) -> list[Prompt]:
    """The Run's prompts, in the order of the Exam, each fitted into the model's window."""
    benchmark = scorable(conditions.prompt_version)
    examinee = Examinee(model.tokenizer.count, model.tokenizer.window, chat.text if chat is not None else None)
    return [
        ask_first(benchmark, exam, question, conditions, examinee) for question in exam.questions[: conditions.limit]
    ]


def judged(benchmark: Benchmark, prompts: Sequence[Prompt], rows: Sequence[tuple[float, ...]]) -> list[Answer]:
    """The Answers to a pack's prompts; `rows` are their options' log-probabilities, in the same order."""
    return [
        benchmark.judged(prompt, (Exchange(prompt.choose, Scored(row)),))
        for prompt, row in zip(prompts, rows, strict=True)
    ]


def shots_shown(prompts: Sequence[Prompt], conditions: Conditions) -> ShotsShown:
    """How many examples stand before the questions of a Run, for its record."""
    each = [prompt.shots for prompt in prompts]
    return ShotsShown(min(each), max(each), sum(shots < conditions.shots for shots in each))


def begin(
    worker: WorkerContext, lease: Lease, model: Engine, chat: ExamChat | None, shots: ShotsShown
) -> SplittingScorer:
    """Say what this attempt computes with; packs are then cut as the Run's record says. Raises `OtherWay`."""
    made = replace(model.provenance, shots=shots)
    if chat is not None:
        made = replace(made, notes=(*made.notes, *chat.notes), template_date=chat.told_date)
    if Skill.EXACT not in model.skills:
        made = replace(made, notes=(*made.notes, INEXACT))
    mine = with_cut(made, worker.models.cut_tokens)
    recorded = lease.begin(mine)
    check_same_way(recorded, mine)
    if (told := continued_by(recorded, mine)) != recorded:
        recorded = told
        lease.amend(recorded)

    def remember(tokens: int) -> None:
        worker.models.remember_cut(tokens)
        lease.amend(with_cut(recorded, tokens))

    def make_room() -> bool:
        kept = worker.chat.let_go()
        worker.device.release()
        return kept

    return SplittingScorer(model, recorded.cut_tokens, remember, make_room)


def attempt(worker: WorkerContext, claim: Claim) -> None:
    """Sit a Run, and file whatever goes wrong on it. Returns when the worker can go on to the next."""
    log.info("%s on %s/%s: attempt %d", claim.spec.lane, claim.spec.benchmark, claim.spec.subject, claim.attempt)
    worker.events.started(claim)
    began = time.monotonic()
    try:
        if sit(worker, claim):
            worker.events.done(claim, time.monotonic() - began)
        else:
            worker.events.handed_back(claim, why_handed_back(worker))
        log.info("left after %.1f s", time.monotonic() - began)
    except LeaseLost as error:
        log.warning("%s", error)
        worker.events.handed_back(claim, str(error))
    except StoreUnavailable as error:
        log.error("the Run is left to its lease: %s", error)  # noqa: TRY400 -- expected, and told in words
        worker.events.handed_back(claim, str(error))
    except (NotHere, OtherWay) as error:
        leave_to_others(worker, claim, error)
    except DeviceBroken as error:  # while a reply was made beside the Run, which is not to blame
        worker.events.handed_back(claim, str(error))
        with unkept():
            worker.retry(partial(runs.hand_back, worker.store, claim, reason=str(error)))
        raise
    except Away as error:
        put_off(worker, claim, error)
    except ProctorError as error:
        log.warning("failed: %s", error)
        file_failure(worker, claim, str(error), "", final=isinstance(error, FINAL))
    except Exception as error:
        log.exception("failed")
        file_failure(worker, claim, f"{type(error).__name__}: {error}", traceback.format_exc(), final=False)
        if worker.me.device == Device.GPU:
            # A CUDA context may be broken by what went wrong, and every later Run with it.
            raise DeviceBroken(worker.device.name, f"{type(error).__name__}: {first_line(error)}") from error


def why_handed_back(worker: WorkerContext) -> str:
    return "the worker was told to stop" if worker.channel.stopped else "its sweep was paused"


def put_off(worker: WorkerContext, claim: Claim, error: Away) -> None:
    """What the Run needs was away for too long, which counts; or the worker is to stop meanwhile, which doesn't."""
    if not worker.channel.stopped:
        file_failure(worker, claim, str(error), "", final=False)
        return
    worker.events.handed_back(claim, str(error))
    with unkept():
        runs.hand_back(worker.store, claim, reason=str(error))


def leave_to_others(worker: WorkerContext, claim: Claim, error: NotHere | OtherWay) -> None:
    """Refuse the Run, and with a model that can't be loaded here its whole lane, for as long as this worker lives."""
    log.warning("refused: %s", error)
    whole_lane = isinstance(error, NotHere)
    with unkept():
        left = worker.retry(partial(runs.refuse, worker.store, claim, worker.me, str(error), whole_lane=whole_lane))
        if left is RunStatus.FAILED:
            worker.events.failed(claim, str(error), "")
        else:
            worker.events.handed_back(claim, str(error))


def file_failure(worker: WorkerContext, claim: Claim, reason: str, trace: str, *, final: bool) -> None:
    """Keep the failure with its Run, unless somebody else holds it by now."""
    worker.events.failed(claim, reason, trace)
    with unkept():
        worker.retry(partial(runs.fail, worker.store, claim, reason, trace, final=final))


@contextmanager
def unkept() -> Iterator[None]:
    """What became of a Run can't be kept where somebody else holds it by now, or the database stays away."""
    try:
        yield
    except LeaseLost as error:
        log.warning("what became of it isn't kept: %s", error)
    except StoreUnavailable as error:
        log.error("what became of it isn't kept: %s", error)  # noqa: TRY400 -- expected, and told in words
