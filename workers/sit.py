"""The main job: one claimed Run, from its model to its last Answer. `workers.drain` claims it, and files its failures.

Promised, whatever is killed, paused or cut off meanwhile: every Answer of a Run is recorded exactly once, and a Run
that was resumed has the Answers of an undisturbed one, bit for bit on one machine with as many cores, or with the same
GPU, driver and torch. The database holds the first (`proctor.store.runs.runs`), packs the second: what goes through the
model together never depends on what is left to do. tests/chaos kills each part in the middle of a sweep and counts.
"""

from __future__ import annotations

from proctor.nouns.runs import Claim
from workers.context import WorkerContext
from workers.held_run import BrokenOff, hold


def sit(worker: WorkerContext, claim: Claim) -> bool:
    """Sit one claimed Run: load, ask, pack, answer, mark, record, finish. Whether it is done; else it was handed back.

    Raises
    ------
    LeaseLost
        where another worker holds the Run by now, or it was cancelled; nothing more was written then.
    NotHere, OtherWay
        where this worker can't sit it, and another one may.
    Away
        where something was away for longer than anybody waits, or than until the worker was to stop.
    ProctorError
        where this Run can't be sat, with the reason.
    """
    with hold(worker, claim) as run:  # the lease is renewed beside the work
        engine = run.load()  # at no cost where it is held already
        paper = run.write_paper(engine)  # prompts, each fitted into the model's window
        prepared = run.prepare(engine, paper)  # token ids; what all prompts begin with, computed once
        answerer = run.begin(engine, paper)  # in the way that earlier packs were computed, or not at all
        for pack in paper.packs(prepared):
            if pack.index in run.recorded:  # by an earlier attempt: resumed, not repeated
                continue
            worker.chat.answer_between_packs()
            if run.must_stop:
                return run.hand_back()
            try:
                replies = answerer.answer(prepared, pack)  # in parts where memory runs out, and remembered so
            except BrokenOff:
                return run.hand_back()
            run.record(paper, pack, replies)  # one transaction, fenced by the attempt
        return run.finish(answerer, paper, prepared)
