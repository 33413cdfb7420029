"""Our Answers to exams in a form against the samples of lm-evaluation-harness: scores, replies, extractions, metrics.

A question is known by its place in its split and the hash of its first prompt; a task is the exam of its name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from analysis.data.groups import contestant_of, labels_of
from analysis.data.phrases import listed
from analysis.exchange.lm_eval_lines import Line, LinesFile, of_one_model
from analysis.exchange.verify import Selection, one_contestant
from proctor.errors import BadInput
from proctor.exams.judging.marking import results
from proctor.exams.judging.replies import read
from proctor.exams.marking.choice import best_of
from proctor.exams.tasks.form import Form, Kind, read_form
from proctor.nouns.exams import Exchange, Question, Write
from proctor.store.database.session import Store
from proctor.store.reads.columns import latest_sweep_with
from proctor.store.reads.export import ExportRow, export_rows
from proctor.store.reads.records import runs
from proctor.store.runs.sweeps import find

SAME = 1e-6  # figures that differ by less are equal


@dataclass(frozen=True)
class Met:
    """One question that both put to a model, in the same prompt."""

    ours: ExportRow
    theirs: Line

    @property
    def form(self) -> Form:
        return read_form(self.ours.run.form)

    @property
    def difference(self) -> float:
        """The largest of a log-probability, nats; 0 where replies were written."""
        mine, scores = self.ours.options_logprob, self.theirs.scores
        if len(mine) != len(scores):
            return math.inf
        return max((0.0 if a == b else abs(a - b) for a, b in zip(mine, scores, strict=True)), default=0.0)

    @property
    def same_pick(self) -> bool:
        """Whether the same option is best, or of one text the same is said of its being the likeliest."""
        if self.form.kind is Kind.LOGLIKELIHOOD:
            return self.theirs.greedy[0] in (None, self.ours.correct)
        return not self.ours.options_logprob or best_of(self.ours.options_logprob) == best_of(self.theirs.scores)

    @cached_property
    def replies(self) -> tuple[str, ...]:
        """Ours, as filters see them: what was thought split off, cut at stop strings."""
        form = self.form
        return tuple(read(reply, form.until, form.think_end).text for reply in self.ours.written)

    @property
    def same_reply(self) -> bool:
        """Whether the texts are equal to the letter, white space at their ends left out."""
        return [one.strip() for one in self.replies] == [one.strip() for one in self.theirs.replies]

    @property
    def letters_alike(self) -> int:
        """Characters of the first reply up to the first one that differs."""
        mine, theirs = ((texts or ("",))[0] for texts in (self.replies, self.theirs.replies))
        return next(
            (n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), min(len(mine), len(theirs))
        )

    @cached_property
    def judged_apart(self) -> tuple[str, ...]:
        """Of a reply that is the same: `filter metric` of the figures that aren't."""
        if not self.theirs.replies or not self.same_reply:
            return ()
        exchanges = [Exchange(Write(""), one) for one in self.ours.written]
        ours = {
            (one.chain, one.metric.name): one.worth.item for one in results(self.form, _question(self.ours), exchanges)
        }
        shared = [key for key in self.theirs.judged if isinstance(ours.get(key), int | float)]
        apart = [key for key in shared if abs(float(str(ours[key])) - self.theirs.judged[key]) > SAME]
        apart += [key for key, flags in self.theirs.flags.items() if key in ours and ours[key] != flags]
        return tuple(" ".join(key) for key in apart)


@dataclass(frozen=True)
class FormsVerified:
    """What came of it. It passes where every prompt was found, within the tolerance, and enough replies are equal."""

    sweep: str
    contestant: str
    tolerance: float  # nats
    least_equal: float  # share of written replies that must be equal
    met: tuple[Met, ...]
    missing: tuple[Line, ...]  # of questions that our Runs have, put in another prompt there
    unasked: int  # of tasks that our Runs aren't on, or beyond their --limit

    def of(self, task: str) -> tuple[Met, ...]:
        return tuple(one for one in self.met if one.theirs.task == task)

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([one.theirs.task for one in self.met] + [one.task for one in self.missing]))

    @property
    def written(self) -> tuple[Met, ...]:
        return tuple(one for one in self.met if one.theirs.replies)

    @property
    def equal_share(self) -> float | None:
        """Of the written replies; None without any."""
        written = self.written
        return sum(one.same_reply for one in written) / len(written) if written else None

    @property
    def differing(self) -> tuple[Met, ...]:
        """All that is not the same, scores furthest apart first, then replies by where they part."""
        found = [one for one in self.met if self._differs(one)]
        return tuple(sorted(found, key=lambda one: (-one.difference, one.letters_alike)))

    @property
    def passed(self) -> bool:
        share = self.equal_share
        enough = share is None or share >= self.least_equal
        wrong = any(self._differs(one) for one in self.met if not one.theirs.replies or one.judged_apart)
        return bool(self.met) and not self.missing and enough and not wrong

    def _differs(self, one: Met) -> bool:
        if one.theirs.replies:
            return not one.same_reply or bool(one.judged_apart)
        return one.difference > self.tolerance or not one.same_pick


def verify_forms(
    store: Store, files: Sequence[LinesFile], selection: Selection, tolerance: float, least_equal: float
) -> FormsVerified:
    """Hold the Answers of finished Runs against these samples. Raises as `verify.verify`."""
    of_one_model(files)
    lines = [line for file in files for line in file.lines if not selection.subjects or line.task in selection.subjects]
    if not lines:
        raise BadInput(f"No sample is of {listed(selection.subjects)}.", "Name a task of theirs.")
    records = runs(store, [_sweep(store, selection.sweep, lines)])
    names = labels_of(records)
    chosen = [
        run for run in one_contestant(records, names, selection) if run.spec.subject in {line.task for line in lines}
    ]
    if not chosen:
        raise BadInput(
            f"No finished Run of this contestant is on {listed(sorted({line.task for line in lines}))}.",
            "A task is compared with the exam of its name: see proctor status.",
        )
    ours = {
        (row.subject, row.question_index): row
        for row in export_rows(store, [chosen[0].sweep_id], [run.run_id for run in chosen])
        if row.run.form
    }
    met, missing, unasked = [], [], 0
    for line in lines:
        row = ours.get((line.task, line.doc_id))
        if row is None:
            unasked += 1
        elif row.prompt_hash == line.prompt_hash:
            met.append(Met(row, line))
        else:
            missing.append(line)
    label = names[contestant_of(chosen[0])]
    return FormsVerified(chosen[0].sweep_name, label, tolerance, least_equal, tuple(met), tuple(missing), unasked)


def _sweep(store: Store, wanted: str | None, lines: Sequence[Line]) -> int:
    if wanted is not None:
        return find(store, wanted).id
    latest = latest_sweep_with(store, {line.prompt_hash for line in lines})
    if latest is None:
        raise BadInput(
            f"No finished Run put any of the {len(lines):,} prompts of these samples to a model.",
            "Ask the same benchmark with the same --shots, or name a SWEEP to see what differs.",
        )
    return latest


def _question(row: ExportRow) -> Question:
    return Question(
        row.question_id, row.question_index, row.question, row.choices, row.answer, row.reference, row.turns,
        row.further, row.contexts, row.opening, row.examples,
    )  # fmt: skip


def by_task(found: FormsVerified) -> Iterator[tuple[str, tuple[Met, ...], int]]:
    """Each task with what was met and how many are missing."""
    for task in found.tasks:
        yield task, found.of(task), sum(one.task == task for one in found.missing)
