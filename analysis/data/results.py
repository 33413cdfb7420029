"""From the store to frames and panels: what notebooks begin with, and everything else in this room stands on.

from proctor.store.database.session import Store
from analysis.data.results import read_results

results = read_results(Store("sqlite:///proctor.db"), [1])
results.runs_frame()        # a row a Run
results.panels[0].questions # a row a question
answers_frame(results.panels[0])  # a row an Answer
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.data.groups import assessed_of, comparable_groups, contestant_of, labels_of, terms_of
from analysis.data.judged import JudgedRun, read_judged
from analysis.data.panel import Panel
from analysis.data.replies import read_replies
from analysis.data.sets import set_names, short
from analysis.data.shots import by_shots
from analysis.data.terms import Terms
from proctor.contestants import Contestant
from proctor.exams.judging.likelihoods import words_of
from proctor.exams.tasks.form import Kind, read_form
from proctor.nouns.exams import Question, Scoring
from proctor.nouns.runs import RunStatus, ShotsShown
from proctor.store.database.session import Store
from proctor.store.reads.columns import (
    AnswerColumns,
    QuestionColumns,
    answer_columns,
    prompts_apart,
    question_columns,
    shots_shown,
)
from proctor.store.reads.records import RunRecord, runs

ANSWERS_AT_A_TIME = 100_000


@dataclass(frozen=True, eq=False)
class Results:
    """What was run and what came of it: a panel for each set of Runs that may be compared.

    `superseded` are answered Runs that a fuller or later one of the same contestant on the same exam replaced;
    `panels` is empty where nothing was answered.
    """

    records: tuple[RunRecord, ...]
    panels: tuple[Panel, ...]
    superseded: tuple[RunRecord, ...] = ()
    imported: tuple[Panel, ...] = ()  # those of the panels that were computed elsewhere
    reworded: Mapping[int, int] = field(default_factory=dict)  # superseded Run -> its questions in another prompt
    notes: tuple[str, ...] = ()  # what an import passed over or dropped
    shots: Mapping[int, ShotsShown] = field(default_factory=dict)  # Run -> the shots that it showed
    judged: tuple[JudgedRun, ...] = ()  # what judges said, verdict by verdict

    def set_named(self, record: RunRecord) -> str:
        """`Set 2`, or its benchmark, for a Run of the second panel; "" where it is in none, or there is one alone.

        A Run stands in several where an exam beside its own has several contents (`analysis.data.groups`).
        """
        at = [number for number, panel in enumerate(self.panels) if record.run_id in panel.run_ids]
        if not at or len(self.panels) == 1:
            return ""
        if len(at) == 1:
            return short(set_names(self.panels)[at[0]])
        return f"Sets {', '.join(str(number + 1) for number in at)}"

    def unfinished(self) -> tuple[RunRecord, ...]:
        """Runs that aren't done: failed, cancelled, pending or still running."""
        return tuple(record for record in self.records if record.status is not RunStatus.DONE)

    def runs_frame(self) -> pd.DataFrame:
        """A row a Run: who, on what, how it went, times in seconds, memory in bytes (see `run_row`)."""
        rows = [run_row(record, self.shots.get(record.run_id)) for record in self.records]
        return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


RUN_COLUMNS = (
    "run_id", "sweep", "model", "revision", "quant", "device", "dtype", "benchmark", "subject", "shots",
    "chat_template", "limit", "status", "attempt", "questions", "answered", "correct", "tied", "accuracy",
    "scoring", "accuracy_norm", "noise_flips", "noise_questions", "noise_largest",
    "load_wall_s", "tokenize_wall_s", "prefix_wall_s", "write_wall_s",
    "wall_s", "cpu_s", "gpu_s", "peak_rss_bytes", "peak_device_bytes", "questions_per_s", "reason",
    "fewest_shots", "most_shots", "short_of_shots", "peak_reserved_bytes",
)  # fmt: skip


def run_row(record: RunRecord, shown: ShotsShown | None) -> tuple[object, ...]:
    """One Run as `RUN_COLUMNS`. `wall_s`, `cpu_s`, `gpu_s` are of scoring; None where they aren't known.

    `shots` were asked for; `short_of_shots` questions were put after fewer, where the window held no more.
    """
    spec, measures = record.spec, record.measures
    conditions, score = spec.conditions, None if measures is None else measures.scoring
    contestant, noise = contestant_of(record), record.noise
    return (
        record.run_id, record.sweep_name, spec.model.name, spec.model.revision, spec.quant.value, spec.device.value,
        contestant.dtype, spec.benchmark, spec.subject, conditions.shots, conditions.chat_template, conditions.limit,
        record.status.value, record.attempt, spec.questions, record.answered, record.correct, record.tied,
        record.points / record.answered if record.answered else None,
        conditions.scoring.value, record.correct_norm / record.answered if record.answered else None,
        noise and noise.flips, noise and noise.questions, noise and noise.largest,
        measures and measures.load.wall_s, measures and measures.tokenize.wall_s,
        measures and measures.prefix.wall_s, measures and measures.write.wall_s,
        score and score.wall_s, score and score.cpu_s, score and score.gpu_s,
        measures and measures.peak_rss_bytes, measures and measures.peak_device_bytes,
        record.answered / score.wall_s if score and score.wall_s > 0 else None, record.reason,
        shown and shown.fewest, shown and shown.most, shown and shown.short,
        measures and measures.peak_reserved_bytes,
    )  # fmt: skip


def answers_frame(panel: Panel) -> pd.DataFrame:
    """A row an Answer: contestant, subject, question_id, shots shown, picked (missing for no answer), correct.

    Points too, where some are between 0 and 1.
    """
    who, question = np.nonzero(panel.asked)
    picked = panel.picked[who, question].astype(np.int64)
    return pd.DataFrame(
        {
            "contestant": pd.Categorical.from_codes(who, categories=pd.Index(panel.labels)),
            "subject": panel.questions["subject"].to_numpy()[question],
            "question_id": panel.questions["question_id"].to_numpy()[question],
            "shots": None if panel.shots is None else panel.shots[who, question],
            "picked": pd.Series(picked, dtype="Int8").mask(picked < 0),
            "correct": panel.correct[who, question],
            **({"points": panel.marks[who, question]} if panel.graded else {}),
        }
    )


def read_results(store: Store, sweep_ids: Sequence[int]) -> Results:
    """Everything about these sweeps. Runs that may not be compared come in panels of their own."""
    return results_of(store, runs(store, sweep_ids))


def results_of(store: Store, records: Sequence[RunRecord], among: Sequence[RunRecord] = ()) -> Results:
    """The same for Runs that the caller has chosen, so that no other Answer is read.

    Contestants are called what tells them apart `among` these Runs, which include the chosen; by default among those.
    """
    names = labels_of(among or records)
    chosen, superseded = _newest(record for record in records if record.answered and tells_of_points(record))
    panels = [part for group in comparable_groups(chosen) for part in by_shots(_read_panel(store, group, names))]
    panels = [panel for panel in panels if panel.asked.any()]  # else a judge has told nothing
    reworded, shots = _reworded(store, chosen, superseded), _shots(store, records)
    judged = read_judged(store, [record for record in records if record.judged and record.answered])
    return Results(tuple(records), tuple(panels), tuple(superseded), reworded=reworded, shots=shots, judged=judged)


def tells_of_points(record: RunRecord) -> bool:
    """Whether a Run's Answers are worth points by themselves: not where a judge is to tell, nor of pairs."""
    return record.spec.conditions.scoring is not Scoring.OPEN and len(record.judged) < 2


def _shots(store: Store, records: Sequence[RunRecord]) -> dict[int, ShotsShown]:
    """The shots that each Run showed, by run id: as it recorded them, else as its Answers say; not of those without."""
    said = {record.run_id: record.provenance.shots for record in records if record.provenance is not None}
    untold = [record.run_id for record in records if record.answered and said.get(record.run_id) is None]
    told = {run_id: shots for run_id, shots in said.items() if shots is not None}
    return told | shots_shown(store, untold)


def _newest(records: Iterator[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """Of several Runs of one contestant on one exam under the same terms: the fullest, then the latest; the rest."""
    kept: dict[object, RunRecord] = {}
    replaced = []
    for record in records:
        key = _sitting(record)
        other = kept.get(key)
        if other is None:
            kept[key] = record
            continue
        older, newer = sorted((other, record), key=lambda run: (run.answered, run.run_id))
        kept[key] = newer
        replaced.append(older)
    return list(kept.values()), replaced


def _sitting(record: RunRecord) -> tuple[Terms, Contestant, str, str]:
    """What two Runs have in common of which only one is shown."""
    return terms_of(record), assessed_of(record), record.spec.subject, record.spec.exam_hash


def _reworded(store: Store, chosen: Sequence[RunRecord], superseded: Sequence[RunRecord]) -> dict[int, int]:
    """Of superseded Runs, those that put other prompts than the Run in their place: on how many questions."""
    kept = {_sitting(record): record.run_id for record in chosen}
    counts = {run.run_id: prompts_apart(store, run.run_id, kept[_sitting(run)]) for run in superseded}
    return {run_id: count for run_id, count in counts.items() if count}


def _read_panel(store: Store, records: Sequence[RunRecord], names: Mapping[Contestant, str]) -> Panel:
    contestants = tuple(dict.fromkeys(assessed_of(record) for record in records))
    place = {contestant: index for index, contestant in enumerate(contestants)}
    seat = {record.run_id: place[assessed_of(record)] for record in records}
    questions = question_columns(store, list(seat))
    shape = (len(contestants), questions.question.size)
    widest = max(map(len, questions.choices), default=0) or 1  # without choices, one text may be scored
    asked, correct = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    picked, logprob = np.full(shape, -1, dtype=np.int8), np.full((*shape, widest), -np.inf, dtype=np.float32)
    prompt, shots = np.zeros(shape, dtype=np.uint64), np.zeros(shape, dtype=np.int8)
    points, answered = np.zeros(shape), np.zeros(shape, dtype=bool)
    for some in _portions(records):
        answers = answer_columns(store, some, options_logprob=True, prompt=True)
        who = np.array([seat[run] for run in answers.run_id.tolist()], dtype=np.int64)
        which = np.searchsorted(questions.question, answers.question)
        asked[who, which] = True
        correct[who, which] = answers.correct
        picked[who, which] = answers.picked
        shots[who, which] = answers.shots
        points[who, which], answered[who, which] = answers.points, answers.answered
        logprob[who, which] = _padded(answers, widest)
        if answers.prompt is not None:
            prompt[who, which] = answers.prompt
    terms = terms_of(records[0])
    by_judge = terms.judge is not None
    if by_judge:  # a question without a verdict has no points, neither 0 nor any other
        asked &= answered
    panel = Panel(
        terms,
        contestants,
        _questions_frame(questions),
        asked,
        correct,
        picked,
        logprob if np.isfinite(logprob).any() else None,
        None if by_judge else prompt,
        names=tuple(names[contestant] for contestant in contestants),
        shots=None if by_judge else shots,
        forms={} if by_judge else {s: form for s, form in zip(questions.subject, questions.form, strict=True) if form},
        exams={record.spec.subject: record.spec.exam_hash for record in records},
        runs={who: frozenset(run for run in seat if contestants[seat[run]] == who) for who in contestants},
        points=points if ((points > 0) & (points < 1)).any() else None,
        answered=answered if (answered != (picked >= 0)).any() else None,
        replies=read_replies(store, seat, questions.question, len(contestants), terms.scoring),
    )
    return panel.on(np.asarray(asked.any(axis=0)))


def _portions(records: Sequence[RunRecord]) -> Iterator[list[int]]:
    """Run ids in portions of about `ANSWERS_AT_A_TIME` Answers, so that Python objects never pile up."""
    portion: list[int] = []
    size = 0
    for record in records:
        portion.append(record.run_id)
        size += record.answered
        if size >= ANSWERS_AT_A_TIME:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _padded(answers: AnswerColumns, widest: int) -> NDArray[np.float32]:
    """(N, widest) log-probabilities, -inf where a question has fewer options."""
    padded = np.full((answers.question.size, widest), -np.inf, dtype=np.float32)
    if answers.options_logprob is not None:
        options = answers.options_logprob.shape[1]
        padded[:, :options] = np.nan_to_num(answers.options_logprob, nan=-np.inf, neginf=-np.inf)
    return padded


def _words(questions: QuestionColumns) -> dict[str, list[int]]:
    """The words of each page, where exams score whole pages: what their perplexity is reckoned by."""
    paged = [bool(form) and read_form(form).kind is Kind.ROLLING for form in questions.form]
    if not any(paged):
        return {}
    pages = zip(questions.text, questions.reference, strict=True)
    return {"words": [words_of(Question("", 0, text, reference=reference)) for text, reference in pages]}


def _questions_frame(questions: QuestionColumns) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subject": questions.subject,
            "question_id": questions.question_id,
            "question_index": questions.index,
            "question": questions.text,
            "choices": pd.Series(questions.choices, dtype=object),
            "answer": questions.key.astype(np.int8),
            **({"reference": questions.reference} if any(questions.reference) else {}),
            **_words(questions),
            **({"behind": questions.behind} if any(questions.behind) else {}),
            **({"further": pd.Series(questions.further, dtype=object)} if any(questions.further) else {}),
        }
    )
