"""Written answers judged again from their stored replies: every filter chain beside the one that counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.data.groups import names_of
from analysis.data.phrases import listed
from proctor.errors import BadInput, UnknownName
from proctor.exams.judging.metrics import is_open
from proctor.exams.judging.repeats import Repeats
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Mark
from proctor.nouns.runs import RunStatus
from proctor.store.database.session import Store
from proctor.store.reads.records import RunRecord, runs
from proctor.store.reads.replies import written_runs
from proctor.store.runs.marks import remark
from proctor.written_answers import Changed, Figure, by_chain, changed, figures, marks, repeated, runs_programs


@dataclass(frozen=True)
class Judged:
    """A Run judged again. `changed` are the answers that stand in the database otherwise than `chain` marks them."""

    record: RunRecord
    label: str  # of its contestant
    chain: str  # the filter by which its Answers are marked; with another one asked for, that
    figures: tuple[Figure, ...]
    changed: tuple[Changed, ...]
    marks: tuple[Mark, ...]
    question_ids: tuple[str, ...]
    own_chain: str  # of its exam's form
    repeats: tuple[Repeats, ...] = ()  # where a question has several replies: one by one, a filter each


@dataclass(frozen=True)
class Again:
    """What came of judging a sweep's stored replies again, and in words what was left as it is."""

    runs: tuple[Judged, ...]
    notes: tuple[str, ...]


def judge_again(store: Store, sweep_ids: Sequence[int], chain: str = "") -> Again:
    """Judge all stored replies of these sweeps again, by `chain` where that is named. Nothing is written.

    Raises
    ------
    BadInput
        where there is no written answer.
    UnknownName
        where none of the exams has that filter.
    """
    records = runs(store, sweep_ids)
    labels, by_id = names_of(records), {record.run_id: record for record in records}
    found, notes, refused = [], [], []
    for run in written_runs(store, list(by_id)):
        record, form = by_id[run.run_id], read_form(run.form)
        if runs_programs(form):
            notes.append(f"{record.spec.subject} is left as it is: its answers are programs, which --run-code runs")
            continue
        if is_open(form):
            notes.append(
                f"{record.spec.subject} is left as it is: a judge alone tells its answers apart (proctor judge)"
            )
            continue
        held = "" if record.provenance is None else record.provenance.judged_by
        try:
            by_chain(form, chain)
        except UnknownName as error:
            refused.append(error)
            notes.append(f"{record.spec.subject} is left as it is: it has no filter {chain!r} for its headline")
            continue
        wanted = chain or held or form.headline.chain
        marked = marks(run, wanted)
        found.append(
            Judged(
                record,
                labels[run.run_id],
                wanted,
                tuple(figures(run)),
                tuple(changed(run, marked)),
                tuple(marked),
                tuple(one.question.id for one in run.answers),
                form.headline.chain,
                tuple(repeated(run)),
            )
        )
    if not found and refused:
        raise refused[0]
    if not found and not notes:
        raise BadInput(
            "There is no written answer.", "Options are judged from their log-probabilities: see proctor report"
        )
    return Again(tuple(found), tuple(dict.fromkeys(notes)))


def keep(store: Store, again: Again) -> None:
    """Write the marks of all these Runs, a Run a transaction.

    Raises
    ------
    BadInput
        where one of them isn't done; nothing is written then.
    """
    open_ = [one.record.run_id for one in again.runs if one.record.status is not RunStatus.DONE]
    if open_:
        raise BadInput(
            f"Not done: Run {listed([str(run_id) for run_id in open_])}.",
            "What is marked by two filters can't be one Run: mark again when all are done.",
        )
    for one in again.runs:
        given = dict(zip(one.question_ids, one.marks, strict=True))
        remark(store, one.record.run_id, given, "" if one.chain == one.own_chain else one.chain)
