"""Any history of claims, deaths, steering and late writes, against a model that fits on a page."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from proctor.errors import BadInput, LeaseLost
from proctor.nouns.runs import Claim, Cost, Measures, RunStatus
from proctor.nouns.workers import WorkerCard
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import runs, steering, sweeps, workers
from proctor.store.runs.exams import save_exam
from tests.integration.store_world import LEASE_S, PACKS, HandClock, card, exam, first_lane, pack_of, request, spec

GB = 1_000_000_000
MEMORY = {"one": 16 * GB, "two": 16 * GB, "small": 4 * GB}
WORKERS = tuple(MEMORY)
NEEDS = (1 * GB, 10 * GB)  # the first Run, and the second, which the small worker can't hold
models = itertools.count()


@dataclass
class ModelRun:
    """What a Run is, as simply as can be said."""

    status: RunStatus = RunStatus.PENDING
    attempt: int = 0
    failures: int = 0
    worker: str = ""
    lease_until: float = 0.0
    needs: int = 0
    packs: set[int] = field(default_factory=set)
    refused_by: set[str] = field(default_factory=set)

    def fails(self, final: bool = False) -> None:
        self.failures += 1
        self.status = RunStatus.FAILED if final or self.failures == 3 else RunStatus.PENDING

    def held_by(self, claim: Claim) -> bool:
        return self.status is RunStatus.RUNNING and self.attempt == claim.attempt


class History(RuleBasedStateMachine):
    """One sweep of two Runs, a lane each, and three workers that may hold on to claims for as long as they like."""

    claims: Bundle[Claim] = Bundle("claims")
    store: Store
    clock: HandClock

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        model = f"org/m{next(models)}"
        self.specs = [spec(f"{model}a", "a"), spec(f"{model}b", "b")]
        self.sweep_id = self._submit().sweep_id
        ids = [run.run_id for run in records.progress(self.store, self.sweep_id).runs]
        self.model = {run_id: ModelRun(needs=needs) for run_id, needs in zip(ids, NEEDS, strict=True)}
        self.cancelled = self.paused = False
        self.priority = 0

    def _submit(self) -> sweeps.Submission:
        for one in self.specs:
            save_exam(self.store, exam(one.subject, one.questions))
        needs = {one.lane: needs for one, needs in zip(self.specs, NEEDS, strict=True)}
        return sweeps.submit(self.store, request(), self.specs, needs)

    def _card(self, worker: str) -> WorkerCard:
        lanes = tuple(str(one.lane) for one in self.specs)  # other histories' sweeps are in this database too
        return replace(card(worker, lanes), memory_bytes=MEMORY[worker])

    def _open_to(self, worker: str, run: ModelRun) -> bool:
        return not self.paused and run.needs <= MEMORY[worker] and worker not in run.refused_by

    @rule(target=claims, worker=st.sampled_from(WORKERS), after_s=st.sampled_from((LEASE_S + 1, 1.0)))
    def claim(self, worker: str, after_s: float) -> MultipleResults[Claim] | Claim:
        self.clock.go_on(after_s)
        self.time += after_s
        got = runs.claim_best(self.store, self._card(worker), None, first_lane, LEASE_S)
        for run in self.model.values():
            if run.status is RunStatus.RUNNING and run.lease_until < self.time:
                run.fails()
            elif run.status is RunStatus.RUNNING and run.worker == worker:
                run.status = RunStatus.PENDING
        claimable = [
            run_id
            for run_id, run in self.model.items()
            if run.status is RunStatus.PENDING and self._open_to(worker, run)
        ]
        assert (got.run_id if got else None) == min(claimable, default=None)
        if got is None:
            return multiple()
        run = self.model[got.run_id]
        run.status, run.attempt, run.worker = RunStatus.RUNNING, run.attempt + 1, worker
        run.lease_until = self.time + LEASE_S
        assert got.attempt == run.attempt
        return got

    @rule(claim=claims, pack=st.sampled_from((0, 1)))
    def record(self, claim: Claim, pack: int) -> None:
        run = self.model[claim.run_id]
        if not run.held_by(claim):
            with pytest.raises(LeaseLost):
                runs.record(self.store, claim, pack, pack_of(claim, pack), Cost())
        elif pack in run.packs:
            with pytest.raises(runs.AlreadyRecorded):
                runs.record(self.store, claim, pack, pack_of(claim, pack), Cost())
        else:
            goes_on = runs.record(self.store, claim, pack, pack_of(claim, pack), Cost())
            assert goes_on is not self.paused
            run.packs.add(pack)
            run.lease_until = self.time + LEASE_S

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        run = self.model[claim.run_id]
        if run.held_by(claim):
            assert runs.renew(self.store, claim) is not self.paused
            run.lease_until = self.time + LEASE_S
        else:
            with pytest.raises(LeaseLost):
                runs.renew(self.store, claim)

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        run = self.model[claim.run_id]
        if not run.held_by(claim):
            with pytest.raises(LeaseLost):
                runs.finish(self.store, claim, Measures())
        elif len(run.packs) < len(PACKS):
            with pytest.raises(runs.IncompleteRun):
                runs.finish(self.store, claim, Measures())
        else:
            runs.finish(self.store, claim, Measures())
            run.status = RunStatus.DONE

    @rule(claim=consumes(claims), final=st.booleans())
    def fail(self, claim: Claim, final: bool) -> None:
        run = self.model[claim.run_id]
        if run.held_by(claim):
            runs.fail(self.store, claim, "an error", final=final)
            run.fails(final)
        else:
            with pytest.raises(LeaseLost):
                runs.fail(self.store, claim, "an error", final=final)

    @rule(claim=claims)
    def hand_back(self, claim: Claim) -> None:
        run = self.model[claim.run_id]
        if run.held_by(claim):
            runs.hand_back(self.store, claim)
            run.status = RunStatus.PENDING
        else:
            with pytest.raises(LeaseLost):
                runs.hand_back(self.store, claim)

    @rule(claim=claims)
    def refuse(self, claim: Claim) -> None:
        run = self.model[claim.run_id]
        if run.held_by(claim):
            runs.refuse(self.store, claim, self._card(run.worker), "not here", whole_lane=True)
            run.status = RunStatus.PENDING
            run.refused_by.add(run.worker)
        else:
            with pytest.raises(LeaseLost):
                runs.refuse(self.store, claim, self._card("one"), "not here", whole_lane=True)

    @rule(worker=st.sampled_from(WORKERS))
    def start_anew(self, worker: str) -> None:
        workers.leave(self.store, worker)
        for run in self.model.values():
            run.refused_by.discard(worker)

    @rule()
    def pause(self) -> None:
        if self.cancelled:
            with pytest.raises(BadInput):
                steering.pause(self.store, self.sweep_id)
            return
        left = steering.pause(self.store, self.sweep_id)
        statuses = [run.status for run in self.model.values()]
        assert (left.pending, left.running) == (statuses.count(RunStatus.PENDING), statuses.count(RunStatus.RUNNING))
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    def resume(self) -> None:
        steering.resume(self.store, self.sweep_id)
        self.paused = False

    @rule(priority=st.integers(-10, 10))
    def prioritize(self, priority: int) -> None:
        assert steering.prioritize(self.store, self.sweep_id, priority) == self.priority
        self.priority = priority

    @rule(worker=st.sampled_from(WORKERS))
    def look(self, worker: str) -> None:
        """What a worker's parent is told waits for it is what the worker would be given."""
        claimable = [
            run
            for run in self.model.values()
            if self._open_to(worker, run)
            and (run.status is RunStatus.PENDING or (run.status is RunStatus.RUNNING and run.lease_until < self.time))
        ]
        assert runs.waiting(self.store, self._card(worker)) == len(claimable)

    @rule(worker=st.sampled_from(WORKERS), counted=st.booleans())
    def die(self, worker: str, counted: bool) -> None:
        held = [run for run in self.model.values() if run.status is RunStatus.RUNNING and run.worker == worker]
        assert runs.release(self.store, worker, "gone", counted=counted) == len(held)
        for run in held:
            if counted:
                run.fails()
            else:
                run.status = RunStatus.PENDING

    @rule()
    def cancel(self) -> None:
        stopped = [run for run in self.model.values() if run.status in (RunStatus.PENDING, RunStatus.RUNNING)]
        assert sweeps.cancel(self.store, self.sweep_id) == len(stopped)
        for run in stopped:
            run.status = RunStatus.CANCELLED
        self.cancelled, self.paused = True, False

    @rule()
    def retry(self) -> None:
        again = [run for run in self.model.values() if run.status in (RunStatus.FAILED, RunStatus.CANCELLED)]
        assert sweeps.retry(self.store, self.sweep_id) == len(again)
        for run in again:
            run.status, run.failures = RunStatus.PENDING, 0
        self.cancelled = False

    @rule()
    def submit_again(self) -> None:
        if self.cancelled:
            return  # that would be a new sweep
        again = [run for run in self.model.values() if run.status is RunStatus.FAILED]
        made = self._submit()
        assert (made.sweep_id, made.continued, made.retried) == (self.sweep_id, True, len(again))
        assert made.resumed is self.paused
        self.paused, self.priority = False, 0
        for run in again:
            run.status, run.failures = RunStatus.PENDING, 0

    @invariant()
    def the_database_is_as_the_model_says(self) -> None:
        found = records.runs(self.store, [self.sweep_id])
        assert {run.run_id: (run.status, run.attempt, run.failures, run.answered) for run in found} == {
            run_id: (run.status, run.attempt, run.failures, sum(len(PACKS[pack]) for pack in run.packs))
            for run_id, run in self.model.items()
        }
        for run in found:
            open_attempts = [one.number for one in run.attempts if one.outcome == "running"]
            assert open_attempts == ([run.attempt] if run.status is RunStatus.RUNNING else [])

    @invariant()
    def the_sweep_is_as_it_was_steered(self) -> None:
        sweep = sweeps.find(self.store, str(self.sweep_id))
        assert (sweep.priority, sweep.paused_at is not None) == (self.priority, self.paused)

    def teardown(self) -> None:
        sweeps.cancel(self.store, self.sweep_id)


def test_any_history_of_claims_is_as_the_model_says(timed: Store, clock: HandClock) -> None:
    class OnThisStore(History):
        pass

    OnThisStore.store, OnThisStore.clock = timed, clock
    run_state_machine_as_test(
        OnThisStore,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes: set it when one fails
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
