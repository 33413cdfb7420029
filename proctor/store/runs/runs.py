"""A Run's whole life.

::

               claim_best                  finish
    pending ---------------> running --------------------> done
       ^                      | | |
       |  hand_back           | | |  third fail, release or lease over;
       +----------------------+ | |  fail(final=True)
       |  fail, release, lease  | +----------------------> failed
       |  over: one failure     |                            |
       +------------------------+                            |
       |                                                     |
       |  sweeps.retry, or sweeps.submit of the same sweep:  |
       |  failures are counted anew                          |
       +-----------------------------------------------------+
       |  sweeps.retry
       +------------------------------------------------- cancelled   <-- sweeps.cancel -- pending, running

A done Run waits again where its sweep is submitted anew with `check_noise` and its noise isn't known: its Answers
stay, nothing but a slice of it is scored, and it is done again.

A Run of a paused sweep stays pending, and a running one is handed back when its pack at hand is recorded
(`steering.pause`). A worker that finds that it can't do a Run refuses it: running -> pending for the others, or failed
where it was started for this sweep alone and no other could take it.

A claim gives a Run to one worker for `lease_s` seconds and raises the Run's attempt number. `renew` and `record`
extend the lease. Every write of a worker names its attempt; it takes effect only while that attempt is the Run's
latest and the Run is running, else it raises `LeaseLost` and changes nothing.

What is promised on SQLite and PostgreSQL alike, and the test that holds it:

- One worker at a time has a Run, however many ask: `test_four_processes_claim_every_run_once`.
- Workers that start together load a model each: `test_workers_that_start_together_take_a_model_each`.
- A Run goes on at once when its lease is over or its worker's death is known:
  `test_a_run_whose_lease_ran_out_is_claimed_again`,
  `test_what_a_silent_worker_held_is_loaded_by_another_even_where_a_load_would_not_have_paid`,
  `test_a_dead_childs_run_is_claimable_at_once_and_others_keep_theirs`.
- A worker whose attempt is over writes nothing, whatever it believes: `test_a_stale_worker_writes_nothing`.
- Once a sweep is cancelled nothing is written: `test_after_cancel_no_answer_is_written`.
- Nothing of a paused sweep is claimed, whoever asks: `test_nothing_of_a_paused_sweep_is_claimed`.
- A worker is given only what it can hold, and nothing that it refused:
  `test_a_worker_is_given_only_what_fits_into_its_memory`, `test_what_a_worker_refused_it_is_not_given_again`.
- A judge's Run waits for those whose replies it judges, and fails with them: `test_a_judge_waits_for_the_replies`,
  `test_what_waits_for_a_run_that_fails_fails_with_it_and_is_tried_again_with_it`.
- Parts of one large Run are given to several workers at once, and computed in one way:
  `test_two_workers_share_a_large_run`, `test_parts_are_computed_in_one_way`.
- A pack is recorded once, wholly or not at all, although it may be sent twice and its worker killed in the middle:
  `test_a_pack_is_recorded_once`, `test_a_worker_killed_in_mid_transaction_leaves_nothing`; the primary keys hold it
  as well: `test_the_database_itself_refuses_a_second_copy`.
- What is recorded stays, and its Run goes on in the type that it began with:
  `test_a_resumed_run_keeps_the_packs_of_its_first_attempt`.
- A done Run has all its Answers: `test_a_run_with_questions_left_cannot_be_finished`.
- A Run that fails, or kills its worker, three times is failed with the reason, and the rest goes on:
  `test_a_run_that_kills_its_worker_three_times_is_failed_with_the_reason`,
  `test_three_leases_that_ran_out_fail_a_run_and_the_rest_goes_on`. Being handed back, or left behind when the database
  went away, is no failure: `test_handing_back_counts_no_failure`, `test_a_claim_that_was_never_heard_of_is_taken_back`.
- A done Run that waits to have its noise measured keeps its Answers, and is done again with it:
  `test_a_done_run_is_scored_again_for_its_noise_alone`.
- In any order of all this the database is what a simple model of it says:
  `test_any_history_of_claims_is_as_the_model_says`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Update, bindparam, insert, update
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import Session, col, select

from proctor.errors import LeaseLost, ProctorError
from proctor.nouns.exams import Answer, Reply, Scored
from proctor.nouns.models import DType, Lane
from proctor.nouns.runs import Claim, Cost, Measures, Noise, Provenance, RunSpec, RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.store.database.session import Store, after
from proctor.store.runs import attempts, briefs, eligibility, lanes, parts, workers
from proctor.store.runs.codec import (
    answer_columns,
    first_question,
    lane_of,
    measures_object,
    provenance_object,
    provenance_of,
    spec_of,
    storable,
    written_of,
    written_rows,
)
from proctor.store.runs.exams import TEST
from proctor.store.runs.tables import AnswerRow, PackRow, QuestionRow, RunRow, SweepRow, WorkerRow, WrittenRow


class AlreadyRecorded(ProctorError):
    """A pack that is in the database already; nothing was written."""

    def __init__(self, run_id: int, pack_index: int, attempt: int) -> None:
        super().__init__(f"Pack {pack_index} of run {run_id} was recorded already, by attempt {attempt}.")


class IncompleteRun(ProctorError):
    """A Run that was to be finished before all its questions were answered; it is still running."""

    def __init__(self, run_id: int, answered: int, questions: int) -> None:
        super().__init__(f"Run {run_id} has answers to {answered} of {questions} questions.")


@dataclass(frozen=True)
class Overdue:
    """A running Run that has finished no pack for too long."""

    run_id: int
    attempt: int
    silent_s: float


def claim_best(store: Store, me: WorkerCard, held: Lane | None, choose: lanes.Choose, lease_s: float) -> Claim | None:
    """Give this worker its next Run, for `lease_s` seconds; None where `choose` finds nothing that suits.

    `choose` decides the lane, given the lane that the worker holds and what waits on each (a pure function: it may
    be called more than once). Within the lane the sweep of the highest priority goes first, then the sweep with the
    fewest running Runs, then what failed least often, then the oldest Run. Runs whose lease is over are taken back
    first, which counts as a failure of theirs; so is what this worker still has, which doesn't: it holds one Run at
    a time. All of it is one transaction.
    """
    with store.write() as session:
        now = store.now(session)
        attempts.take_back(session, me.name, now)
        picked = lanes.pick(store, session, me, held, choose, now)
        if picked is None:
            workers.hold(store, session, me, held, now)
            return None
        run, now = picked.run, picked.at
        workers.hold(store, session, me, lane_of(run.lane), now)
        attempts.begin(session, run, me.name, now, lease_s)
        spec = spec_of(run, picked.exam)
        fixed = provenance_of(run.provenance) if run.answered and run.provenance else parts.fellows_way(session, run)
        dtype = spec.dtype if fixed is None else fixed.dtype
        noise = run.check_noise and run.noise is None
        day = _template_date(session, run, spec)
        judged = briefs.judged_by(session, _id(run)) if spec.conditions.brief else ()
        return Claim(_id(run), run.attempt, spec, lease_s, DType(dtype), noise, day, judged, first_question(run))


def waiting(store: Store, me: WorkerCard) -> int:
    """How many Runs this worker could claim now, those of dead workers included."""
    with store.read() as session:
        return lanes.waiting(session, me, store.now(session))


def renew(store: Store, claim: Claim, *, moved: bool = False, pack: tuple[int, int] = (0, 0)) -> bool:
    """Extend the lease to `claim.lease_s` from now; whether the Run is to go on: not where its sweep was paused.

    `moved` says that the work moves although no pack is finished (a download goes on): it is not `overdue` then. `pack`
    says how many of its replies are at their end, and how many there are to be. Raises `LeaseLost`.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        run, now = held.run, held.now
        if moved:
            run.moved_at = now
        run.pack_made, run.pack_size = pack
        session.exec(update(WorkerRow).where(col(WorkerRow.name) == run.worker).values(seen_at=now))
        paused_at = session.exec(select(SweepRow.paused_at).where(col(SweepRow.id) == run.sweep_id)).one()
        return paused_at is None


def begin(store: Store, claim: Claim, provenance: Provenance) -> Provenance:
    """Say what this attempt computes with; returns what the Run's numbers are recorded under.

    That is fixed by the first attempt from which a pack is kept: a later one gets back the stored Provenance and
    must compute as it says, so that one Run is never a mixture. So do the parts of a large Run: where others of them
    are computed in another way, theirs is given back, and nothing is kept of this one. Raises `LeaseLost`.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        run, run.moved_at = held.run, held.now
        if run.part_of is not None:
            store.lock(session, f"proctor parts {run.part_of}")  # of two that begin at once one sees the other
        if run.answered == 0 or run.provenance is None:
            theirs = parts.fellows_way(session, run)
            if theirs is not None and theirs.way != provenance.way:
                return theirs
            run.provenance = provenance_object(provenance)
        return provenance_of(run.provenance)


def recorded_replies(store: Store, claim: Claim, question_ids: Sequence[str]) -> dict[str, tuple[Reply, ...]]:
    """The replies, by question id, to those among these questions that have their Answer: scores, then what is written.

    Of several asks to choose the scores of the last are kept.
    """
    with store.read() as session:
        scored = session.exec(
            select(QuestionRow.content_id, AnswerRow.options_logprob)
            .join(QuestionRow, col(QuestionRow.id) == col(AnswerRow.question_id))
            .where(col(AnswerRow.run_id) == claim.run_id, col(QuestionRow.content_id).in_(question_ids))
        )
        found: dict[str, list[Reply]] = {
            question_id: [Scored(tuple(scores))] if scores else [] for question_id, scores in scored
        }
        written = session.exec(
            select(QuestionRow.content_id, WrittenRow)
            .join(QuestionRow, col(QuestionRow.id) == col(WrittenRow.question_id))
            .where(col(WrittenRow.run_id) == claim.run_id, col(QuestionRow.content_id).in_(question_ids))
            .order_by(col(WrittenRow.question_id), col(WrittenRow.turn))
        )
        for question_id, row in written:
            found[question_id].append(written_of(row))
    return {question_id: tuple(replies) for question_id, replies in found.items()}


def recorded_prompts(store: Store, claim: Claim) -> dict[str, str]:
    """Hashes of the prompts to which Answers are recorded, by question id."""
    with store.read() as session:
        found = session.exec(
            select(QuestionRow.content_id, AnswerRow.prompt_hash)
            .join(QuestionRow, col(QuestionRow.id) == col(AnswerRow.question_id))
            .where(col(AnswerRow.run_id) == claim.run_id)
        )
        return dict(found.all())


def amend(store: Store, claim: Claim, provenance: Provenance) -> None:
    """Keep that from now on the Run's packs are computed as `provenance` says: memory ran out, or the device changed.

    To be called before anything that was computed so is recorded. Raises `LeaseLost`.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        run, run.moved_at = held.run, held.now
        run.provenance = provenance_object(provenance)


def committed_packs(store: Store, claim: Claim) -> frozenset[int]:
    """Indexes of the packs that are recorded already, by whichever attempt. Raises `LeaseLost`."""
    with store.read() as session:
        run = session.get(RunRow, claim.run_id)
        if run is None or run.status != RunStatus.RUNNING or run.attempt != claim.attempt:
            raise LeaseLost(claim.run_id, claim.attempt)
        return frozenset(session.exec(select(PackRow.pack_index).where(col(PackRow.run_id) == claim.run_id)))


def record(store: Store, claim: Claim, pack_index: int, answers: Sequence[Answer], cost: Cost) -> bool:
    """Keep a pack's Answers, all or none, and extend the lease. Whether the Run is to go on, as `renew` says it.

    Raises
    ------
    LeaseLost
        where this attempt no longer holds the Run.
    AlreadyRecorded
        where the pack is there already, by whichever attempt.
    """
    with store.write() as session:
        connection = session.connection()
        run = connection.execute(_COUNTED[store.server_reckons], _counts(store, claim, answers)).one_or_none()
        if run is None:
            raise LeaseLost(claim.run_id, claim.attempt)
        pack = {"run_id": claim.run_id, "pack_index": pack_index}
        earlier = connection.execute(_RECORDED_BY, pack).scalar_one_or_none()
        if earlier is not None:
            raise AlreadyRecorded(claim.run_id, pack_index, earlier)
        asked = {"exam_id": run.exam_id, "content_ids": [answer.question_id for answer in answers]}
        ids = {content_id: row_id for content_id, row_id in connection.execute(_QUESTION_IDS, asked)}  # noqa: C416 -- typed
        connection.execute(
            _NEW_ANSWERS,
            [{**pack, "question_id": ids[answer.question_id], **answer_columns(answer)} for answer in answers],
        )
        written = [row for answer in answers for row in written_rows(claim.run_id, ids[answer.question_id], answer)]
        if written:
            connection.execute(_NEW_WRITTEN, written)
        # The sweep's row is locked from here to the commit: positions are taken in the order of commits.
        sweep = connection.execute(_NEXT_POSITION, {"sweep": run.sweep_id}).one()
        row = {
            "sweep_id": run.sweep_id, "position": sweep.feed, "attempt": claim.attempt, "questions": len(answers),
            "recorded_at": run.moved_at, **pack, **asdict(cost),
        }  # fmt: skip
        connection.execute(_NEW_PACK, row)
        return sweep.paused_at is None


def finish(store: Store, claim: Claim, measures: Measures, noise: Noise | None = None) -> None:
    """Running -> done. `measures` are this attempt's; the Run keeps the sum over its attempts.

    An attempt that ended without a word (its worker died) counts with what its packs took. `noise` is kept where it
    was measured.

    Raises
    ------
    LeaseLost
        where this attempt no longer holds the Run.
    IncompleteRun
        where a question has no Answer yet.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        run, now = held.run, held.now
        if run.answered != run.questions:
            raise IncompleteRun(claim.run_id, run.answered, run.questions)
        attempts.end(session, run, now, "done", measures=measures)
        run.status, run.ended_at, run.reason, run.traceback = RunStatus.DONE, now, "", ""
        if noise is not None:
            run.noise = asdict(noise)
        total, first = attempts.measures_of_all(session, run), run.measures is None
        run.measures = measures_object(total)
        if first:  # else it was done before, and is again with its noise
            lanes.add_to_pace(store, session, run.lane, total)


def fail(store: Store, claim: Claim, reason: str, traceback: str = "", *, final: bool = False) -> None:
    """An error of the Run itself: running -> pending, or failed at the third failure, or at once where `final`.

    Raises `LeaseLost`.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        run, now = held.run, held.now
        run.traceback = storable(traceback)
        attempts.end(session, run, now, "failed", reason).traceback = run.traceback
        attempts.count_failure(session, run, now, storable(reason), final=final)


def hand_back(store: Store, claim: Claim, measures: Measures | None = None, reason: str = "") -> None:
    """Running -> pending, for another worker or a later day: no failure, what is recorded stays. Raises `LeaseLost`.

    `measures` of the part that was done, if known, count into the Run's.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        attempts.give_back(session, held.run, held.now, reason, measures)


def refuse(store: Store, claim: Claim, me: WorkerCard, reason: str, *, whole_lane: bool) -> RunStatus:
    """This worker can't do the Run and another may: it won't be given it again, nor, `whole_lane`, any of its lane.

    Running -> pending, and no failure; but failed where the worker was started for this sweep alone and no other one
    that is alive could take the Run: nobody would ever come. Returns which. Raises `LeaseLost`.
    """
    with store.write() as session:
        held = _fenced(store, session, claim)
        run, now = held.run, held.now
        eligibility.refuse(
            session, store, me.name, run.lane, reason, now, eligibility.WHOLE_LANE if whole_lane else _id(run)
        )
        if me.sweep_id is None or eligibility.others_can(session, run, me.name, now):
            attempts.give_back(session, run, now, reason)
        else:
            attempts.end(session, run, now, "failed", reason)
            attempts.count_failure(session, run, now, storable(reason), final=True)
        return RunStatus(run.status)


def release(store: Store, worker_name: str, reason: str, *, counted: bool = True) -> int:
    """Take back what a dead worker held, at once: its Runs are pending (or failed, at the third time).

    Returns how many they were. `reason` says how it died. Not `counted` is for a worker that was ended from outside,
    by a person or with its command: that is no failure of the Runs, which are pending again.
    """
    with store.write() as session:
        now = store.now(session)
        held = session.exec(
            select(RunRow)
            .where(col(RunRow.status) == RunStatus.RUNNING, col(RunRow.worker) == worker_name)
            .order_by(col(RunRow.id))
            .with_for_update()
        ).all()
        for run in held:
            if counted:
                attempts.lose(session, run, now, storable(reason))
            else:
                attempts.give_back(session, run, now, reason)
        return len(held)


def overdue(store: Store, worker_name: str, limit_s: float) -> Overdue | None:
    """The Run of this worker that was claimed, begun and moved on by a pack last more than `limit_s` seconds ago."""
    with store.read() as session:
        now = store.now(session)
        run = session.exec(
            select(RunRow)
            .where(
                col(RunRow.status) == RunStatus.RUNNING,
                col(RunRow.worker) == worker_name,
                col(RunRow.moved_at) < now - timedelta(seconds=limit_s),
            )
            .order_by(col(RunRow.moved_at))
            .limit(1)
        ).one_or_none()
        if run is None or run.moved_at is None:
            return None
        return Overdue(_id(run), run.attempt, (now - run.moved_at).total_seconds())


@dataclass(frozen=True)
class _Held:
    """A Run that its attempt still holds, and the time at which that was seen."""

    run: RunRow
    now: datetime


def _fenced(store: Store, session: Session, claim: Claim) -> _Held:
    """The claim's Run, locked and its lease extended, if this attempt holds it: the first statement of every write."""
    lease = timedelta(seconds=claim.lease_s)
    run = session.exec(_FENCE[store.server_reckons], params=_held_by(store, claim)).scalar_one_or_none()
    if run is None or run.lease_until is None:
        raise LeaseLost(claim.run_id, claim.attempt)
    return _Held(run, run.lease_until - lease)


def _held_by(store: Store, claim: Claim) -> dict[str, object]:
    """What `_while_held` asks for."""
    until = store.hence(timedelta(seconds=claim.lease_s))
    return {"held": claim.run_id, "by": claim.attempt, "until": until}


def _while_held(*, by_server: bool) -> Update:
    """The Run, its lease extended, if this attempt holds it."""
    return (
        update(RunRow)
        .where(
            col(RunRow.id) == bindparam("held"),
            col(RunRow.attempt) == bindparam("by"),
            col(RunRow.status) == RunStatus.RUNNING,
        )
        .values(lease_until=after("until", by_server=by_server))
    )


def _fence(*, by_server: bool) -> ReturningUpdate[RunRow]:
    return _while_held(by_server=by_server).returning(RunRow).execution_options(synchronize_session=False)


def _counted(*, by_server: bool) -> ReturningUpdate[int, int, datetime | None]:
    """The same for a pack, with its Answers counted: the row is read and written at once."""
    return (
        _while_held(by_server=by_server)
        .values(
            moved_at=after("moved", by_server=by_server),
            pack_made=0,
            pack_size=0,
            answered=col(RunRow.answered) + bindparam("answers"),
            correct=col(RunRow.correct) + bindparam("right"),
            tied=col(RunRow.tied) + bindparam("ties"),
            correct_norm=col(RunRow.correct_norm) + bindparam("right_norm"),
            partial=col(RunRow.partial) + bindparam("some_points"),
        )
        .returning(col(RunRow.sweep_id), col(RunRow.exam_id), col(RunRow.moved_at))
    )


def _counts(store: Store, claim: Claim, answers: Sequence[Answer]) -> dict[str, object]:
    """What `_counted` adds."""
    return {
        **_held_by(store, claim),
        "moved": store.hence(timedelta()),
        "answers": len(answers),
        "right": sum(answer.correct for answer in answers),
        "ties": sum(not answer.answered for answer in answers),
        "right_norm": sum(answer.correct_norm for answer in answers),
        "some_points": math.fsum(answer.partial or 0.0 for answer in answers),
    }


# Made once: each pack takes them. Two of a kind are by whether the server reckons the time.
_FENCE = {by_server: _fence(by_server=by_server) for by_server in (False, True)}
_COUNTED = {by_server: _counted(by_server=by_server) for by_server in (False, True)}
_RECORDED_BY = select(PackRow.attempt).where(
    col(PackRow.run_id) == bindparam("run_id"), col(PackRow.pack_index) == bindparam("pack_index")
)
_QUESTION_IDS = select(QuestionRow.content_id, QuestionRow.id).where(
    col(QuestionRow.exam_id) == bindparam("exam_id"),
    col(QuestionRow.split) == TEST,
    col(QuestionRow.content_id).in_(bindparam("content_ids", expanding=True)),
)
_NEXT_POSITION = (
    update(SweepRow)
    .where(col(SweepRow.id) == bindparam("sweep"))
    .values(feed=SweepRow.feed + 1)
    .returning(col(SweepRow.feed), col(SweepRow.paused_at))
)
_NEW_ANSWERS, _NEW_WRITTEN, _NEW_PACK = insert(AnswerRow), insert(WrittenRow), insert(PackRow)


def _template_date(session: Session, run: RunRow, spec: RunSpec) -> date | None:
    """The date that the chat templates of a sweep are told: the one that was named, else that of its submission."""
    if not spec.conditions.chat_template:
        return None
    if spec.conditions.template_date:
        return date.fromisoformat(spec.conditions.template_date)
    return session.exec(select(SweepRow.created_at).where(col(SweepRow.id) == run.sweep_id)).one().date()


def _id(run: RunRow) -> int:
    assert run.id is not None
    return run.id
