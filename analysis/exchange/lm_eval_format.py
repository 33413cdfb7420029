"""Runs as lm-evaluation-harness 0.4.13 lays out its own (`--output_path` with `--log_samples`), for its tools.

`acc` is ours: where two options tie for the first place nothing is right, while the harness takes the first of them.
Two things that it writes aren't known here, and stand as that: whether an option would have been generated greedily is
`None`, and the prompts of a chat, which only the model's template can write, are empty (`prompt_hash` is theirs all the
same). The format is that of `lm_eval/evaluator.py` and `lm_eval/loggers/evaluation_tracker.py`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.exchange.export import picked_norm
from proctor import __version__
from proctor.exams.benchmarks.mmlu_prompts import options, render
from proctor.exams.reading.identity import prompt_hash
from proctor.nouns.exams import LETTERS, Exam, Question, Scoring
from proctor.store.reads.export import ExportRow
from proctor.store.reads.records import RunRecord

Json = dict[str, Any]
TASK_VERSION = 1.0  # of its tasks `mmlu` and `mmlu_continuation`, whose prompts ours are
ASKED = {
    Scoring.LETTERS: "{{question.strip()}}\n"
    + "".join(f"{letter}. {{{{choices[{place}]}}}}\n" for place, letter in enumerate("ABCD"))
    + "Answer:",
    Scoring.TEXT: "Question: {{question.strip()}}\nAnswer:",
}


@dataclass(frozen=True)
class Task:
    """One Run, as a task of the harness."""

    record: RunRecord
    exam: Exam
    rows: tuple[ExportRow, ...]

    @property
    def name(self) -> str:
        """`mmlu_anatomy`, or `mmlu_anatomy_continuation` where options were scored by their text."""
        spec = self.record.spec
        name = re.sub(r"\W+", "_", f"{spec.benchmark}_{spec.subject}").strip("_")
        return f"{name}_continuation" if self.scoring is Scoring.TEXT else name

    @property
    def scoring(self) -> Scoring:
        return self.record.spec.conditions.scoring

    @property
    def metrics(self) -> dict[str, list[bool]]:
        """Right or wrong for each question, by metric."""
        found = {"acc": [row.correct for row in self.rows]}
        if self.scoring is Scoring.TEXT:
            found["acc_norm"] = [picked_norm(row) == row.answer for row in self.rows]
        return found


def samples(task: Task) -> list[Json]:
    """A line of `samples_TASK_DATE.jsonl` for each question, in the order of the exam."""
    by_id = {question.id: question for question in task.exam.questions}
    right = task.metrics
    return [
        _sample(task, row, by_id[row.question_id], {name: float(each[place]) for name, each in right.items()})
        for place, row in enumerate(task.rows)
    ]


def results(tasks: Sequence[Task], group: str, model: str, date_s: float) -> Json:
    """The content of `results_DATE.json`: metrics by task and over all as `group`, and what was asked of whom."""
    everything: dict[str, list[bool]] = {}
    for task in tasks:
        for metric, each in task.metrics.items():
            everything.setdefault(metric, []).extend(each)
    names = [task.name for task in tasks]
    whole = _metrics(group, everything)
    spec = tasks[0].record.spec
    return {
        "results": {group: whole, **{task.name: _metrics(task.name, task.metrics) for task in tasks}},
        "groups": {group: whole},
        "group_subtasks": {group: names},
        "configs": {task.name: _config(task) for task in tasks},
        "versions": dict.fromkeys([group, *names], TASK_VERSION),
        "n-shot": {task.name: spec.conditions.shots for task in tasks},
        "higher_is_better": {name: dict.fromkeys(everything, True) for name in [group, *names]},
        "n-samples": {task.name: {"original": len(task.exam.questions), "effective": len(task.rows)} for task in tasks},
        "task_hashes": {task.name: _task_hash(task) for task in tasks},
        **about_run([task.record for task in tasks], model, date_s),
    }


def about_run(records: Sequence[RunRecord], model: str, date_s: float) -> Json:
    """What `results_DATE.json` says of the model and the run, alike for tasks of every kind."""
    spec = records[0].spec
    return {
        "config": _run_config(records[0]),
        "git_hash": _versions(records[0]).get("git"),
        "date": date_s,
        "transformers_version": _versions(records[0]).get("transformers"),
        "lm_eval_version": None,
        "proctor_version": __version__,
        "model_source": "proctor",
        "model_name": spec.model.name,
        "model_name_sanitized": model,
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": spec.conditions.chat_template and spec.conditions.shots_as_turns,
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(
            sum(record.measures.scoring.wall_s for record in records if record.measures is not None)
        ),
    }


def sanitized(model: str) -> str:
    """A model's name as the harness makes a folder's of it."""
    return re.sub(r'["<>:/|\\?*\[\]]+', "__", model)


def _sample(task: Task, row: ExportRow, question: Question, metrics: dict[str, float]) -> Json:
    said = task.record.spec.conditions
    prompt = "" if said.chat_template else _prompt(task, row, question)
    scored = options(question, said.scoring, chat=said.chat_template)
    scores = [[str(value), "None"] for value in row.options_logprob]
    doc = _doc(task, question)
    return {
        "doc_id": row.question_index,
        "doc": doc,
        "target": str(row.answer),
        "arguments": {f"gen_args_{n}": {"arg_0": prompt, "arg_1": option} for n, option in enumerate(scored)},
        "resps": [[score] for score in scores],
        "filtered_resps": scores,
        "filter": "none",
        "metrics": list(metrics),
        "doc_hash": _sha256(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": row.prompt_hash,
        "target_hash": _sha256(str(row.answer)),
        **metrics,
    }


def _prompt(task: Task, row: ExportRow, question: Question) -> str:
    """The prompt that was put, which `prompt_hash` vouches for; empty where this release would write another."""
    said = task.record.spec.conditions
    text = render(task.exam, question, said.shots, dropped=said.shots - row.shots, scoring=said.scoring)
    return text if prompt_hash(text) == row.prompt_hash else ""


def _doc(task: Task, question: Question) -> Json:
    return {
        "question": question.text,
        "subject": task.exam.subject,
        "choices": list(question.choices),
        "answer": question.answer,
    }


def _task_hash(task: Task) -> str:
    return _sha256("".join(one["doc_hash"] + one["prompt_hash"] + one["target_hash"] for one in samples(task)))


def _metrics(name: str, right: dict[str, list[bool]]) -> Json:
    """Means with their standard errors, of the sample, as the harness computes them."""
    found: Json = {"name": name, "alias": name, "sample_len": len(right["acc"])}
    for metric, each in right.items():
        mean = sum(each) / len(each)
        found[f"{metric},none"] = mean
        found[f"{metric}_stderr,none"] = math.sqrt(mean * (1 - mean) / (len(each) - 1)) if len(each) > 1 else "N/A"
    return found


def _config(task: Task) -> Json:
    said = task.record.spec.conditions
    text = task.scoring is Scoring.TEXT
    widest = max(len(question.choices) for question in task.exam.questions)
    kind = "questions" if text else "multiple choice questions"
    subject = task.exam.subject.replace("_", " ")
    return {
        "task": task.name,
        "dataset_path": task.exam.benchmark,
        "dataset_name": task.exam.subject,
        "test_split": "test",
        "fewshot_split": "dev",
        "doc_to_text": ASKED[task.scoring],
        "doc_to_target": "answer",
        "doc_to_choice": "{{choices}}" if text else list(LETTERS[:widest]),
        "description": f"The following are {kind} (with answers) about {subject}.\n\n",
        "target_delimiter": " ",
        "fewshot_delimiter": "\n\n",
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": said.shots,
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in task.metrics],
        "output_type": "multiple_choice",
        "repeats": 1,
        "should_decontaminate": False,
        "metadata": {"version": TASK_VERSION, "exam_hash": task.exam.content_hash},
    }


def _run_config(record: RunRecord) -> Json:
    spec, made = record.spec, record.provenance
    return {
        "model": "proctor",
        "model_args": {"pretrained": spec.model.name, "quantization": spec.quant.value},
        "model_dtype": str(spec.dtype if made is None else made.dtype),
        "model_revision": spec.model.revision,
        "model_sha": "",
        "batch_size": None,
        "batch_sizes": [],
        "device": spec.device.value,
        "use_cache": None,
        "limit": spec.conditions.limit,
        "apply_chat_template": spec.conditions.chat_template,  # ours alone: the template's own text isn't kept
        "bootstrap_iters": 0,
        "gen_kwargs": None,
    }


def _versions(record: RunRecord) -> dict[str, str]:
    made = record.provenance
    return {} if made is None else dict(made.versions)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
