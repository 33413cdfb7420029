"""Replies that are programs, run and marked: what `proctor mark --run-code` does, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from proctor.exams.judging.marking import headline_outcome
from proctor.exams.judging.programs import passed, programs
from proctor.exams.judging.sandbox.isolation import LIMITS, Limits, Outcome, require_isolation, run_program
from proctor.exams.tasks.form import Form
from proctor.nouns.exams import Exchange, Mark, Question

Asked = tuple[Question, Sequence[Exchange]]


@dataclass(frozen=True)
class Ran:
    """A question's mark by its programs, and which of them passed; of a question without an answer none was run."""

    mark: Mark
    passed: tuple[bool, ...]


def run_code(form: Form, asked: Sequence[Asked], limits: Limits = LIMITS) -> list[Ran]:
    """What came of each question's programs, of which as many run at a time as there are cores.

    A question of which nothing was extracted is no answer, and nothing of it is run.

    Raises
    ------
    BadInput
        where this machine gives no isolation; nothing was run then.
    BadExam
        for a question without tests, and for a headline that wants more programs than there are replies.
    """
    require_isolation()
    head = form.headline
    metric = next(one for one in form.metrics if one.name == head.metric and one.chain in {"", head.chain})
    extracted = [headline_outcome(form, *one).extracted for one in asked]
    sources = [
        programs(form, *one) if text is not None else () for one, text in zip(asked, extracted, strict=True)
    ]  # fmt: skip
    with ThreadPoolExecutor(os.cpu_count()) as cores:
        try:
            running = [[cores.submit(run_program, source, limits) for source in some] for some in sources]
            ended = [[one.result() is Outcome.PASSED for one in some] for some in running]
        except BaseException:  # of a person who breaks it off, too: what hasn't begun won't
            cores.shutdown(wait=False, cancel_futures=True)
            raise
    return [
        Ran(Mark(passed(metric, outcomes).points, extracted=text), tuple(outcomes))
        if text is not None
        else Ran(Mark(0.0), (False,) * form.repeats)
        for outcomes, text in zip(ended, extracted, strict=True)
    ]
