"""Stored replies that are programs, run in isolation and marked: asked for by name, never done by the way."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.data.groups import names_of
from analysis.verdicts.marked import Again, Judged
from proctor.errors import BadInput
from proctor.exams.judging.fared import fared
from proctor.exams.judging.repeats import Repeats
from proctor.exams.judging.sandbox.running import run_code
from proctor.exams.tasks.form import read_form
from proctor.store.database.session import Store
from proctor.store.reads.records import runs
from proctor.store.reads.replies import written_runs
from proctor.written_answers import Figure, changed, exchanges_of, outcomes, runs_programs


def judge_programs(store: Store, sweep_ids: Sequence[int]) -> Again:
    """Run the programs of these sweeps in isolation, and mark their Answers by what passed. Nothing is written.

    Raises
    ------
    BadInput
        where there are none, or this machine gives no isolation.
    """
    records = runs(store, sweep_ids)
    labels, by_id = names_of(records), {record.run_id: record for record in records}
    found: list[Judged] = []
    for run in written_runs(store, list(by_id)):
        form = read_form(run.form)
        if not runs_programs(form):
            continue
        ran = run_code(form, [(one.question, exchanges_of(one)) for one in run.answers])
        marked = [one.mark for one in ran]
        points = tuple(mark.points for mark in marked)
        how = fared(zip(outcomes(run), points, strict=True))
        chain = form.headline.chain
        figure = Figure(chain, form.headline.metric, sum(points) / len(points), points, how)
        found.append(
            Judged(
                by_id[run.run_id],
                labels[run.run_id],
                chain,
                (figure,),
                tuple(changed(run, marked)),
                tuple(marked),
                tuple(one.question.id for one in run.answers),
                chain,
                (Repeats(chain, form.headline.metric, tuple(one.passed for one in ran)),) if form.repeats > 1 else (),
            )
        )
    if not found:
        raise BadInput("There is no program among these answers.", "Leave --run-code away.")
    return Again(tuple(found), ())
