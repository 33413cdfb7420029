"""Runs on exams in a form as lm-evaluation-harness 0.4.13 lays out its own samples: a line a question and filter.

`doc` holds the question as it was written out, not the data set's row, which isn't kept: `doc_hash` is of that, and
equals the harness's nowhere. What was asked is its own to the byte, and so is `prompt_hash`. Whether an option is the
likeliest is known of a single text alone, elsewhere it stands as `None`; the prompts of a chat are empty.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from analysis.exchange.lm_eval_format import about_run
from proctor.errors import BadExam
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.judging.marking import Result, results
from proctor.exams.judging.metrics import KNOWN_LATER, summary_of, summed_up
from proctor.exams.judging.replies import read
from proctor.exams.judging.sets import mean
from proctor.exams.reading.identity import prompt_hash
from proctor.exams.tasks.asking import ask
from proctor.exams.tasks.form import Form, Kind, read_form
from proctor.nouns.exams import Ask, Choose, Exam, Exchange, Question, Scored, Write
from proctor.store.reads.export import ExportRow
from proctor.store.reads.records import RunRecord

Json = dict[str, Any]
NOT_KNOWN = "exact_match"  # of options: it goes by whether they are the likeliest, which isn't kept
ENDLESS = Examinee(count_tokens=len, window_tokens=1 << 62)
OUTPUT_TYPES = {
    Kind.CHOOSE: "multiple_choice",
    Kind.WRITE: "generate_until",
    Kind.LOGLIKELIHOOD: "loglikelihood",
    Kind.ROLLING: "loglikelihood_rolling",
}


@dataclass(frozen=True)
class FormTask:
    """One Run on an exam in a form, as a task of the harness."""

    record: RunRecord
    exam: Exam
    rows: tuple[ExportRow, ...]

    @property
    def name(self) -> str:
        """The task's own, which is the subject's."""
        return self.record.spec.subject

    @cached_property
    def form(self) -> Form:
        """The exam's, without the metrics that stored Answers can't be judged by."""
        return judgeable(read_form(self.exam.form))

    @cached_property
    def judged(self) -> list[tuple[Result, ...]]:
        """What each metric says of each question, on each filter."""
        by_id = self.questions
        return [results(self.form, by_id[row.question_id], self._exchanges(row)) for row in self.rows]

    @cached_property
    def questions(self) -> dict[str, Question]:
        return {question.id: question for question in self.exam.questions}

    def _exchanges(self, row: ExportRow) -> list[Exchange]:
        if row.written:
            return [Exchange(Write(""), reply) for reply in row.written]
        greedy = (row.correct,) if self.form.kind is Kind.LOGLIKELIHOOD else ()
        return [Exchange(Choose("", ()), Scored(row.options_logprob, greedy))]


def judgeable(form: Form) -> Form:
    """The form with the metrics that stored Answers can be judged by. Raises `BadExam` where its headline's is none."""
    left_out = left_out_of(form)
    if form.headline.metric in left_out:
        raise BadExam(
            f"{form.source.task} is judged by {form.headline.metric}, which can't be had from what is stored.",
            "Take --format jsonl.",
        )
    return replace(form, metrics=tuple(one for one in form.metrics if one.name not in left_out))


def left_out_of(form: Form) -> frozenset[str]:
    """Names of metrics that stored Answers can't be judged by."""
    return frozenset({NOT_KNOWN}) if form.kind is Kind.CHOOSE else KNOWN_LATER


def samples(task: FormTask) -> Iterator[Json]:
    """The lines of `samples_TASK_DATE.jsonl`, in the order of the exam, filter by filter as the harness writes them."""
    chains = dict.fromkeys(one.chain for one in task.judged[0])
    for chain in chains:
        for row, judged in zip(task.rows, task.judged, strict=True):
            yield _sample(task, row, [one for one in judged if one.chain == chain])


def figures(task: FormTask) -> Json:
    """The task's entry of `results`: each metric on each filter, with the standard error of a mean."""
    found: Json = {"name": task.name, "alias": task.name, "sample_len": len(task.rows)}
    for column in zip(*task.judged, strict=True):
        metric, chain = column[0].metric, column[0].chain or "none"
        items = [one.worth.item for one in column]
        found[f"{metric.name},{chain}"] = summed_up(task.form.kind, metric, items)
        averaged = summary_of(task.form.kind, metric) is mean
        found[f"{metric.name}_stderr,{chain}"] = _error(items) if averaged and len(items) > 1 else "N/A"
    return found


def config(task: FormTask) -> Json:
    """The task's entry of `configs`, as far as its form says it."""
    form, said = task.form, task.record.spec.conditions
    return {
        "task": task.name,
        "dataset_path": form.source.data,
        "dataset_name": form.source.config,
        "output_type": OUTPUT_TYPES[form.kind],
        "description": form.description,
        "target_delimiter": form.target_delimiter,
        "fewshot_delimiter": form.fewshot_delimiter,
        "num_fewshot": said.shots,
        "metric_list": [
            {"metric": one.name, "aggregation": one.aggregation, "higher_is_better": one.higher_is_better}
            for one in form.metrics
        ],
        **({"generation_kwargs": _generation(form)} if form.kind is Kind.WRITE else {}),
        "repeats": form.repeats,
        "should_decontaminate": False,
        "metadata": {"version": form.source.version, "exam_hash": task.exam.content_hash},
    }


def task_hash(task: FormTask) -> str:
    """The task's entry of `task_hashes`."""
    return _sha256("".join(one["doc_hash"] + one["prompt_hash"] + one["target_hash"] for one in samples(task)))


def results_of(tasks: Sequence[FormTask], model: str, date_s: float) -> Json:
    """The content of `results_DATE.json`; each task stands alone, as groups are the harness's own."""
    higher = {task.name: {one.name: one.higher_is_better for one in task.form.metrics} for task in tasks}
    return {
        "results": {task.name: figures(task) for task in tasks},
        "group_subtasks": {},
        "configs": {task.name: config(task) for task in tasks},
        "versions": {task.name: _version(task.form.source.version) for task in tasks},
        "n-shot": {task.name: task.record.spec.conditions.shots for task in tasks},
        "higher_is_better": higher,
        "n-samples": {task.name: {"original": len(task.exam.questions), "effective": len(task.rows)} for task in tasks},
        "task_hashes": {task.name: task_hash(task) for task in tasks},
        **about_run([task.record for task in tasks], model, date_s),
    }


def _sample(task: FormTask, row: ExportRow, judged: Sequence[Result]) -> Json:
    question = task.questions[row.question_id]
    doc, target = _doc(question), _target(question)
    resps, filtered = _replies(task, row, judged)
    metrics = {one.metric.name: _plain(one.worth.item) for one in judged}
    return {
        "doc_id": row.question_index,
        "doc": doc,
        "target": target,
        "arguments": _arguments(task, row, question),
        "resps": resps,
        "filtered_resps": filtered,
        "filter": judged[0].chain or "none",
        "metrics": list(metrics),
        "doc_hash": _sha256(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": row.prompt_hash,
        "target_hash": _sha256(target),
        **metrics,
    }


def _replies(task: FormTask, row: ExportRow, judged: Sequence[Result]) -> tuple[list[Any], list[Any]]:
    """`resps` and `filtered_resps`: replies cut at their stop strings, or log-probabilities in words."""
    form = task.form
    if row.written:
        outcome = judged[0].outcome
        texts = [read(reply, form.until, form.think_end).text for reply in row.written]
        return [texts], [piece.text for piece in outcome.pieces] if outcome else []
    if form.kind is Kind.ROLLING:
        return [[str(value)] for value in row.options_logprob], [str(value) for value in row.options_logprob]
    greedy = str(row.correct) if form.kind is Kind.LOGLIKELIHOOD else "None"
    scores = [[str(value), greedy] for value in row.options_logprob]
    return [[score] for score in scores], scores


def _arguments(task: FormTask, row: ExportRow, question: Question) -> Json:
    asked = _asked(task, row, question)
    if isinstance(asked, Write) or task.form.kind is Kind.WRITE:
        pairs: list[tuple[str, Any]] = [(asked.text if asked else "", _generation(task.form))]
    elif isinstance(asked, Choose):
        contexts = asked.contexts or (asked.text,) * len(asked.options)
        pairs = list(zip(contexts, asked.options, strict=True))
    elif task.form.kind is Kind.ROLLING:
        return {"gen_args_0": {"arg_0": asked.text if asked else ""}}
    else:
        pairs = [("", "")] * len(row.options_logprob)
    return {f"gen_args_{n}": {"arg_0": prompt, "arg_1": behind} for n, (prompt, behind) in enumerate(pairs)}


def _asked(task: FormTask, row: ExportRow, question: Question) -> Ask | None:
    """What was put, which `prompt_hash` vouches for; None of a chat, and where the examples aren't here."""
    said = task.record.spec.conditions
    shown = question.shots[len(question.shots) - row.shots :] if row.shots else ()
    if said.chat_template or any(place >= len(task.exam.dev) for place in shown):
        return None
    asked = ask(task.exam, replace(question, shots=shown), said, ENDLESS, ())
    return asked if asked is not None and prompt_hash(asked.text) == row.prompt_hash else None


def _generation(form: Form) -> Json:
    return {
        "until": list(form.until),
        "do_sample": form.temperature > 0,
        "temperature": form.temperature,
        "max_gen_toks": form.max_tokens,
    }


def _doc(question: Question) -> Json:
    found: Json = {"text": question.text, "choices": list(question.choices), "right": question.answer}
    more = {
        "further": list(question.further),
        "contexts": list(question.contexts),
        "answer_begins": question.opening,
        "reference": question.reference,
    }
    return found | {name: value for name, value in more.items() if value}


def _target(question: Question) -> str:
    if question.answer is None:
        return question.reference
    if question.contexts:
        return question.text
    return str([question.answer, *question.further]) if question.further else str(question.answer)


def _version(said: str) -> float | str:
    try:
        return float(said)
    except ValueError:
        return said


def _plain(item: object) -> object:
    return list(item) if isinstance(item, tuple) else item


def _error(items: Sequence[Any]) -> float:
    """Standard error of the mean, of the sample."""
    values = [float(item) for item in items]
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1) / len(values))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
