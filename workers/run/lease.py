"""A worker's hold on the Run that it sits: renewed by a thread beside the work, and the way to everything it writes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Self

from proctor import logs
from proctor.errors import BadExam, LeaseLost, StoreUnavailable
from proctor.exams.judges.cases import exam_of_replies
from proctor.exams.reading.identity import content_hash
from proctor.nouns.exams import Answer, Exam, Reply
from proctor.nouns.runs import Claim, Cost, Measures, Noise, Provenance
from proctor.retry import OutageRetry
from proctor.store.database.session import Store
from proctor.store.runs import briefs, exams, runs
from proctor.store.runs.leasing import RENEWALS
from workers.run.liveness import Liveness

log = logging.getLogger(__name__)


class Lease:
    """`with Lease(store, claim, patience, pulse) as lease:` renews the claim every quarter of its time, until its end.

    Every method waits out a database that is away, and raises `StoreUnavailable` when `retry` is at an end. Those
    that write raise `LeaseLost` once another worker holds the Run or it was cancelled, and nothing is written then:
    that is the store's promise, since every write names the attempt. The thread only notices it sooner.
    """

    def __init__(self, store: Store, claim: Claim, retry: OutageRetry, liveness: Liveness) -> None:
        self.store, self.claim, self.retry, self.liveness = store, claim, retry, liveness
        self.under_way = (0, 0)  # replies of the pack under way that are at their end, and how many there are to be
        self._lost = threading.Event()
        self._paused = threading.Event()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{claim.run_id}", daemon=True)

    @property
    def paused(self) -> bool:
        """Whether the Run's sweep was paused since it was claimed: it is to be handed back."""
        return self._paused.is_set()

    def load_exam(self) -> Exam:
        """The Exam that the Run is about, equal to what was submitted; a judge's has the replies that it judges.

        Raises
        ------
        BadExam
            where it is here in parts only, with imported Answers.
        """
        spec = self.claim.spec
        exam = self.retry(partial(exams.load_exam, self.store, spec.benchmark, spec.subject, spec.exam_hash))
        if content_hash(exam.subject, exam.dev, exam.questions, exam.form) != spec.exam_hash:
            raise BadExam(
                f"Exam {spec.benchmark}/{spec.subject} isn't here as a whole: it came with imported answers.",
                "Submit a sweep on that subject here, which brings the exam along, then `proctor retry` this one.",
            )
        if spec.conditions.brief is None:
            return exam
        return exam_of_replies(
            exam, *(self.retry(partial(briefs.replies, self.store, one)) for one in self.claim.judged)
        )

    def begin(self, provenance: Provenance) -> Provenance:
        """Say what this attempt computes with; returns what the Run's numbers are recorded under."""
        return self.retry(partial(runs.begin, self.store, self.claim, provenance))

    def amend(self, provenance: Provenance) -> None:
        """Say that from now on packs are computed as `provenance` tells: in parts, or on another device."""
        self._check()
        self.retry(partial(runs.amend, self.store, self.claim, provenance))

    def committed_packs(self) -> frozenset[int]:
        """Indexes of the packs that are recorded, by whichever attempt: none before the first."""
        if self.claim.attempt == 1:
            return frozenset()
        return self.retry(partial(runs.committed_packs, self.store, self.claim))

    def record(self, pack_index: int, answers: Sequence[Answer], cost: Cost) -> None:
        """Keep a pack's Answers, all or none, once."""
        self._check()
        self.under_way = (0, 0)
        try:
            self._heed(self.retry(partial(runs.record, self.store, self.claim, pack_index, answers, cost)))
        except runs.AlreadyRecorded:
            # Only this attempt can have done so: the database went away between its commit and its answer to us.
            log.info("pack %d was recorded at the first try after all", pack_index)

    def recorded_replies(self, question_ids: Sequence[str]) -> dict[str, tuple[Reply, ...]]:
        """Replies that are recorded, by question id, by whichever attempt."""
        return self.retry(partial(runs.recorded_replies, self.store, self.claim, question_ids))

    def recorded_prompts(self) -> dict[str, str]:
        """Hashes of the prompts that are answered, by question id, by whichever attempt."""
        return self.retry(partial(runs.recorded_prompts, self.store, self.claim))

    def finish(self, measures: Measures, noise: Noise | None = None) -> None:
        """The Run is done: every question has its Answer."""
        self._check()
        self.retry(partial(runs.finish, self.store, self.claim, measures, noise))

    def hand_back(self, measures: Measures, reason: str) -> None:
        """Give the Run back before its end; what is recorded stays, and no failure is counted."""
        self._check()
        self.retry(partial(runs.hand_back, self.store, self.claim, measures, reason))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join(timeout=self.claim.lease_s)  # a renewal under way may wait for the database

    def _check(self) -> None:
        if self._lost.is_set():
            raise LeaseLost(self.claim.run_id, self.claim.attempt)

    def _heed(self, goes_on: bool) -> None:
        if not goes_on:
            self._paused.set()

    def _renew(self) -> None:
        with logs.about(f"run-{self.claim.run_id}.{self.claim.attempt}"):
            while not self._left.wait(self.claim.lease_s / RENEWALS):
                try:
                    self._heed(runs.renew(self.store, self.claim, moved=self.liveness.taken(), pack=self.under_way))
                except LeaseLost:
                    self._lost.set()
                    return
                except StoreUnavailable as error:
                    log.warning("the lease could not be renewed: %s", error.problem)
