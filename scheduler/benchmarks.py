"""Benchmarks for a reader: a line for each, and a question of one of them as it is put to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from proctor.errors import BadExam, UnknownName
from proctor.exams.benchmarks.base import Benchmark, Examinee, ask_first
from proctor.exams.benchmarks.registry import load_benchmark, of_version
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark
from proctor.exams.chat_prompts import Message
from proctor.exams.judges.cases import BY_TURN, references_of
from proctor.exams.judging.metrics import OF_JUDGES
from proctor.exams.judging.references import parts_of
from proctor.exams.tasks.definition import Settings
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import SHOTS, Ask, Choose, Conditions, Question, Roll, Write
from proctor.printing import printable
from scheduler.plan import conditions_of
from scheduler.request_exams import parted

PACKAGED = "in the package"
WINDOW = 1 << 30  # tokens: no example is left out
ASKED = {"choose": "a choice", "write": "a text", "loglikelihood": "one word", "rolling": "a page"}


@dataclass(frozen=True)
class Entry:
    """A line of the list."""

    name: str
    asks: str
    data: str
    licence: str
    needs: str  # beside the data: what isn't there; "" for nothing
    version: str

    def as_object(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class ShownQuestion:
    """A question as a model is asked it."""

    benchmark: str
    subject: str
    number: int
    question: Question
    plain: Ask
    chat: tuple[Message, ...]  # the same as a chat, for a model's own template; none: it can't be one
    metrics: tuple[str, ...] = field(default=())

    def as_object(self) -> dict[str, Any]:
        """Everything, as JSON takes it."""
        return {
            "benchmark": self.benchmark,
            "subject": self.subject,
            "number": self.number,
            "question": asdict(self.question),
            "prompt": asdict(self.plain),
            "chat": [asdict(message) for message in self.chat],
            "metrics": list(self.metrics),
        }

    def as_text(self) -> str:
        """Headed paragraphs; what was written by others is made safe to print."""
        examples = f"{self.plain.shots} example{'' if self.plain.shots == 1 else 's'}"
        said = [
            f"{self.benchmark} / {self.subject}, question {self.number} ({self.question.id}), {examples}",
            "--- as text", _safe(self.plain.text),
            *(["--- as a chat"] if self.chat else []),
            *(f"[{message.role}] {_safe(message.content)}" for message in self.chat),
            *(line for turn in self.question.turns for line in ("--- then, behind the reply", _safe(turn))),
            "--- what is scored", *_scored(self.plain),
            *_right(self.question),
        ]  # fmt: skip
        if self.metrics:
            said += ["--- judged by", ", ".join(self.metrics)]
        return "\n".join(said)


def entry(benchmark: Benchmark) -> Entry:
    """What is known of a built-in benchmark without its rows."""
    if not isinstance(benchmark, TaskBenchmark):
        data, licence = (PACKAGED, "CC0") if benchmark.name == "demo" else ("cais/mmlu", "MIT")
        return Entry(benchmark.name, ASKED["choose"], data, licence, "", benchmark.version)
    try:
        tasks, needs = benchmark.tasks(Settings()), ""
    except BadExam as fault:
        tasks, needs = (), fault.next_step
    kinds = {task.kind.value for task in tasks} or {"write" if benchmark.asks is Write else "choose"}
    data = PACKAGED if benchmark.at is not None else ", ".join(sorted({task.rows.data for task in tasks}))
    licence = ", ".join(sorted({task.rows.licence for task in tasks if task.rows.licence}))
    if any(metric.name in OF_JUDGES for task in tasks for metric in task.judging.metrics):
        needs = "another model judges its answers: --judge-model, or later `proctor judge`"
    if any(task.runs_code for task in tasks):
        needs = "its answers are programs, which `proctor mark --run-code` runs in isolation"
    asks = " or ".join(ASKED[kind] for kind in sorted(kinds))
    return Entry(benchmark.name, asks, data, licence, needs, benchmark.version)


def as_table(entries: Sequence[Entry]) -> str:
    """The list, in columns; what a benchmark lacks stands below it."""
    columns = [("name", "asks for", "data", "licence")]
    columns += [(one.name, one.asks, one.data or "?", one.licence or "?") for one in entries]
    widths = [max(len(row[place]) for row in columns) for place in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in columns]
    reasons = dict.fromkeys(one.needs for one in entries if one.needs)
    lacking = [f"{', '.join(one.name for one in entries if one.needs == reason)}: {reason}" for reason in reasons]
    return "\n".join([*lines, *(["", *lacking] if lacking else [])])


def shown(named: str, number: int, settings: Settings) -> ShownQuestion:
    """Question `number` of a benchmark's first subject, or of that behind the name's colon.

    Raises
    ------
    BadExam
        for rows that can't be had or read.
    UnknownName
        for an unknown benchmark, subject or question.
    """
    name, subjects = parted(named, ())
    found = load_benchmark(name, subjects, settings)
    exam = next(iter(found.exams.values()))
    if number >= len(exam.questions):
        raise UnknownName("question", str(number), [], f"{exam.subject} has {len(exam.questions)}, from 0.")
    question = exam.questions[number]
    shots = min(SHOTS if settings.shots is None else settings.shots, len(exam.dev))
    conditions = conditions_of(Conditions(shots=shots, prompt_version=found.version), exam)
    benchmark = of_version(conditions.prompt_version)
    without = replace(conditions, chat_template=False)
    plain = ask_first(benchmark, exam, question, without, Examinee(len, WINDOW)).ask
    chat: list[Message] = []

    def heard(messages: Sequence[Message]) -> str:
        chat[:] = messages
        return "".join(message.content for message in messages)

    if not isinstance(plain, Roll):  # a page is never a chat
        ask_first(benchmark, exam, question, replace(conditions, chat_template=True), Examinee(len, WINDOW, heard))
    metrics = tuple(metric.name for metric in read_form(exam.form).metrics) if exam.form else ("acc", "acc_norm")
    return ShownQuestion(found.name, exam.subject, number, question, plain, tuple(chat), metrics)


def _scored(ask: Ask) -> list[str]:
    if isinstance(ask, Choose):
        each = ask.contexts or ("",) * len(ask.options)
        return [f"{_quoted(option)}" + (f" behind {_quoted(text)}" if text else "") for option, text in zip(
            ask.options, each, strict=True)]  # fmt: skip
    if isinstance(ask, Roll):
        return ["the whole text, in windows as long as the model's"]
    stops = ", ".join(_quoted(stop) for stop in ask.sampling.stop) or "none"
    longest = ask.sampling.max_tokens or "the rest of the window"
    how = "greedy" if ask.sampling.greedy else f"temperature {ask.sampling.temperature:g}"
    return [f"a reply of {longest} tokens at most, {how}; it stops at: {stops}"]


def _right(question: Question) -> list[str]:
    """What is right, under its heading; of what a judge tells apart the references that it is shown."""
    if question.choices:
        places = sorted({question.key, *question.further})
        return ["--- right", _safe("; ".join(f"{place}: {question.choices[place]}" for place in places))]
    if BY_TURN in parts_of(question):
        shown = [f"{number}: {_safe(text)}" for number, text in enumerate(references_of(question), start=1) if text]
        return ["--- what a judge is shown beside the replies", *(shown or ["no reference"])]
    return ["--- right", _safe(question.reference)]


def _safe(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _quoted(text: str) -> str:
    """A text with what can't be seen spelled out, in double quotes."""
    return '"' + printable(text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')) + '"'
