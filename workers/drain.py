"""Claim Runs and sit them until none suits, and file on each what goes wrong with it. Conversations come between."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
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
from proctor.nouns.models import Device
from proctor.nouns.runs import Claim, RunStatus
from proctor.store.runs import runs
from scheduler.choose import choose
from workers.context import WorkerContext
from workers.conversation.turn_taking import STARVED_S
from workers.held_run import why_handed_back
from workers.sit import sit

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
