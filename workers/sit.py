"""The main job. `drain` claims Runs until nothing suits; `sit` takes one of them from its claim to its end.

Promised, whatever is killed, paused or cut off meanwhile: every Answer of a Run is recorded exactly once, and a Run
that was resumed has the Answers of an undisturbed one, bit for bit on one machine with as many cores. The database
holds the first (`proctor.store.runs`), packs the second: what goes through the model together never depends on what
is left to do. tests/chaos kills each part in the middle of a sweep and counts.
"""

from __future__ import annotations

import logging
import time
import traceback
from functools import partial

from proctor import logs
from proctor.errors import BadInput, BadModel, BadScores, LeaseLost, ProctorError, StoreUnavailable
from proctor.exams.judge import judge
from proctor.exams.packs import compose
from proctor.exams.prompts import fit
from proctor.nouns import Claim, Conditions, Device, Exam, Prompt, Provenance
from proctor.store import runs
from scheduler.choose import choose
from workers.desk import Desk
from workers.lease import Lease
from workers.models import Loaded
from workers.noise import check_noise
from workers.tally import Tally

# Failures that the next attempt would only repeat. Others (a lack of memory, what nobody expected) get three.
FINAL = (BadModel, BadInput, BadScores)
EX_SOFTWARE = 70  # sysexits.h

log = logging.getLogger(__name__)


def drain(desk: Desk) -> None:
    """Claim and sit Runs, those of the model that is held first, until nothing suits or the worker is to stop.

    Raises
    ------
    StoreUnavailable
        where the database is away for longer than anybody waits. The parent rings again when it is back.
    """
    while not desk.link.stopped:
        claim = desk.patience(partial(runs.claim_best, desk.store, desk.me, desk.held, choose, desk.lease_s))
        if claim is None:
            return
        with logs.about(f"run-{claim.run_id}.{claim.attempt}"):
            attempt(desk, claim)


def sit(desk: Desk, claim: Claim) -> bool:
    """Sit one claimed Run: load, pack, score, record, finish. Whether it is done; else it was handed back.

    Packs that an earlier attempt recorded are not scored again. Told to stop, it keeps the pack at hand and hands
    the Run back.

    Raises
    ------
    LeaseLost
        where another worker holds the Run by now, or it was cancelled; it then has written nothing more.
    ProctorError
        where this Run can't be sat, with the reason.
    """
    spec = claim.spec
    with Lease(desk.store, claim, desk.patience) as lease:
        with Tally(desk.device) as tally:
            model = load(desk, claim, tally)
            prompts = write_prompts(lease.load_exam(), spec.conditions, model)
            prepared = model.scorer.prepare(prompts)
            tally.prepared(prepared)
            packs = compose(prepared.lengths, spec.conditions.pack_tokens, padded=prepared.padded)
            check_same_way(lease.begin(model.provenance), model.provenance)
            recorded = set(lease.committed_packs())
            for pack in packs:
                if pack.index in recorded:
                    continue
                if desk.link.stopped:
                    break
                scores = model.scorer.score(prepared, pack)
                answers = [judge(prompts[m], row) for m, row in zip(pack.members, scores.options_logprob, strict=True)]
                tally.scored(scores)
                with tally.writing():
                    lease.record(pack.index, answers, scores.cost)
                recorded.add(pack.index)
        if len(recorded) < len(packs):
            lease.hand_back(tally.measures)
            return False
        lease.finish(tally.measures, check_noise(claim, lease, model.scorer, prepared))
        return True


def load(desk: Desk, claim: Claim, tally: Tally) -> Loaded:
    """The claim's model, at no cost where it is held already. Raises `BadModel`, `DoesNotFit`."""
    before = desk.models.held
    model = desk.models.get(claim.spec.model, claim.spec.quant, claim.dtype)
    if model is not before:
        tally.loaded(model.load_cost)
        desk.link.hold(desk.held)
    return model


def write_prompts(exam: Exam, conditions: Conditions, model: Loaded) -> list[Prompt]:
    """The Run's prompts, in the order of the Exam, each fitted into the model's window."""
    chat = model.reader.chat if conditions.chat_template else None
    return [
        fit(exam, question, conditions, model.reader.count, model.reader.window, chat)
        for question in exam.questions[: conditions.limit]
    ]


def check_same_way(recorded: Provenance, mine: Provenance) -> None:
    """One Run is never a mixture: raise `BadInput` where its earlier packs were computed in a way that isn't ours."""
    if (recorded.dtype, recorded.attention) != (mine.dtype, mine.attention):
        raise BadInput(
            f"This Run was begun with {recorded.dtype} and attention {recorded.attention!r}; this worker computes "
            f"with {mine.dtype} and {mine.attention!r}.",
            "Finish it with the workers that began it, or submit it with --fresh.",
        )


def attempt(desk: Desk, claim: Claim) -> None:
    """Sit a Run, and file whatever goes wrong on it. Returns when the worker can go on to the next."""
    log.info("%s on %s/%s: attempt %d", claim.spec.lane, claim.spec.benchmark, claim.spec.subject, claim.attempt)
    desk.events.started(claim)
    began = time.monotonic()
    try:
        if sit(desk, claim):
            desk.events.done(claim, time.monotonic() - began)
        else:
            desk.events.handed_back(claim, "the worker was told to stop")
        log.info("left after %.1f s", time.monotonic() - began)
    except LeaseLost as error:
        log.warning("%s", error)
        desk.events.handed_back(claim, str(error))
    except StoreUnavailable as error:
        log.error("the Run is left to its lease: %s", error)  # noqa: TRY400 -- expected, and told in words
        desk.events.handed_back(claim, str(error))
    except ProctorError as error:
        log.warning("failed: %s", error)
        file_failure(desk, claim, str(error), "", final=isinstance(error, FINAL))
    except Exception as error:
        log.exception("failed")
        file_failure(desk, claim, f"{type(error).__name__}: {error}", traceback.format_exc(), final=False)
        if desk.me.device == Device.GPU:
            # A CUDA context may be broken by what went wrong, and every later Run with it: begin anew.
            raise SystemExit(EX_SOFTWARE) from error


def file_failure(desk: Desk, claim: Claim, reason: str, trace: str, *, final: bool) -> None:
    """Keep the failure with its Run, unless somebody else holds it by now."""
    desk.events.failed(claim, reason, trace)
    try:
        desk.patience(partial(runs.fail, desk.store, claim, reason, trace, final=final))
    except LeaseLost as error:
        log.warning("the failure isn't kept: %s", error)
    except StoreUnavailable as error:
        log.error("the failure isn't kept: %s", error)  # noqa: TRY400 -- expected, and told in words
