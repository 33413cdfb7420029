"""Requests of lm-evaluation-harness 0.4.13 on real rows, and ours on the same: golden files, read and made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from proctor.exams.benchmarks.base import Examinee
from proctor.exams.chat_prompts import Message
from proctor.exams.tasks.asking import FORM_VERSION, ask
from proctor.exams.tasks.definition import Task
from proctor.exams.tasks.fields import of_question
from proctor.exams.tasks.splits import of_folder
from proctor.exams.tasks.writing import write_out
from proctor.nouns.exams import Choose, Conditions, Exam, Question, Roll, Write
from tests.support import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "benchmarks"
RELEASE_DEFAULTS = {"temperature": 0.0, "do_sample": False, "max_gen_toks": 256}


@dataclass(frozen=True)
class Mode:
    """How a golden file was asked: `own`, `5`, `2chat`, `0chatone`."""

    shots: int | None
    chat: bool
    turns: bool


def modes(text: str) -> Mode:
    own = text.removesuffix("one").removesuffix("chat")
    return Mode(None if own == "own" else int(own), "chat" in text, not text.endswith("one"))


def template(chat: Sequence[Message]) -> str:
    """The template of the goldens."""
    return "".join(f"<|im_start|>{one.role}\n{one.content}<|im_end|>\n" for one in chat) + "<|im_start|>assistant\n"


EXAMINEE = Examinee(len, 10**9, template)


def requests(task: Task, exam: Exam, question: Question, mode: Mode) -> list[list[object]]:
    """What is asked on a question, as the goldens have it."""
    conditions = Conditions(shots=0, chat_template=mode.chat, prompt_version=FORM_VERSION, shots_as_turns=mode.turns)
    match ask(exam, question, conditions, EXAMINEE, ()):
        case Choose() as made:
            contexts = made.contexts or (made.text,) * len(made.options)
            return [list(pair) for pair in zip(contexts, made.options, strict=True)]
        case Roll() as made:
            return [[made.text]]
        case Write() as made:
            return [[made.text, settings_of(task)]]
        case _:
            raise AssertionError("nothing is asked")


def settings_of(task: Task) -> dict[str, object]:
    """The settings of generation, as the release puts them into its requests."""
    given = dict(task.asking.generation or RELEASE_DEFAULTS)
    if "temperature" in given:
        given["temperature"] = float(str(given["temperature"]))
    return given if "until" in given else {**given, "until": [task.asking.fewshot_delimiter]}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def differences(task: Task, rows: Path, golden: Path, limit: int | None = None) -> Iterator[str]:
    """What differs from a golden file, a line each; nothing where all is equal, to the byte."""
    mode = modes(golden.name.split(".")[-2])
    split = partial(of_folder(rows), task.rows)
    exam = write_out(task, split, "golden", mode.shots).exam
    asked = split(task.rows.asked)
    asked = task.rows.prepare(asked) if task.rows.prepare else asked
    fields = of_question(task.name, task.asking, asked[0].keys())
    questions = {question.index: question for question in exam.questions}
    lines = golden.read_text("utf-8").splitlines()
    if len(lines) != len(questions) + exam.duplicates_dropped:
        yield f"{len(lines)} questions are {len(questions)} and {exam.duplicates_dropped} copies"
    for line in lines[:limit]:
        wanted: dict[str, Any] = json.loads(line)
        index = wanted["doc_id"]
        if sha256(str(fields.target(asked[index]))) != wanted["target_hash"]:
            yield f"{index}: the target {fields.target(asked[index])!r}"
        if index not in questions:
            continue  # a copy of an earlier one
        made = requests(task, exam, questions[index], mode)
        if sha256(json.dumps(made, ensure_ascii=False)) != wanted["arguments_hash"]:
            yield f"{index}: {made[0]!r}, wanted {(wanted.get('arguments') or [''])[0]!r}"
        if sha256(str(made[0][0])) != wanted["prompt_hash"] or len(made) != wanted["n"]:
            yield f"{index}: {len(made)} requests, or another first prompt"
