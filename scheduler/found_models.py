"""The models that a request names, with what their files tell: memory, chat templates; and those that are to judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from proctor.catalog.endpoint import ref_of
from proctor.catalog.memory import computed_dtype, predicted_memory
from proctor.catalog.resolve import chat_template, resolve, weights_of
from proctor.catalog.template import SPECIAL, Turns, render, renderer
from proctor.catalog.tokenizer import tokenizer_files
from proctor.catalog.weights import Weights
from proctor.errors import BadInput, CantBeAsked, ProctorError
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.chat_prompts import Habits, Message, Unwritten, habits, midnight, write
from proctor.nouns.exams import Conditions, Exam
from proctor.nouns.models import Device, DType, ModelRef
from proctor.nouns.runs import SweepRequest
from scheduler.faults import tried
from scheduler.judging import Judge
from scheduler.plan import Candidate, conditions_of
from scheduler.windows import Paper, dropped, fit, fits, left_to_workers, papers, refusal

Template = Callable[[Sequence[Message]], str]
CHATS_ALONE = "Leave --chat-template out, and exams that are always chats; or take an instruct model."


@dataclass(frozen=True)
class Found:
    """A model that a name led to, and what the headers of its files tell; None where a server has it."""

    ref: ModelRef
    weights: Weights | None


def found(name: str, request: SweepRequest) -> Found:
    """The model of this name, with what its files tell.

    Raises `BadModel`, also where its files are here and the request wants a chat template: there is none, or it fails
    or leaves out the question.
    """
    if request.device == Device.NET.value:
        return Found(ref_of(name), None)
    ref = resolve(name)
    weights = weights_of(ref)
    if request.conditions.chat_template:
        template_habits(ref, request)
    return Found(ref, weights)


def candidate(model: Found, request: SweepRequest, device: Device, *, bfloat16: bool) -> Candidate:
    """The model with the memory that it will need on this device, in bytes, by quantization; 0 of a server's."""
    if model.weights is None:
        return Candidate(model.ref, dict.fromkeys(request.quants, 0))
    needs = {
        quant: predicted_memory(
            model.weights,
            quant,
            computed_dtype(request.dtype, model.weights.dtype, quant, device, bfloat16),
            device,
            request.conditions,
        )
        for quant in request.quants
    }
    return Candidate(model.ref, needs)


def in_float16(models: Sequence[Found], request: SweepRequest, device: Device) -> list[str]:
    """Labels of the models that are to compute in float16 and were not made for it."""
    return [
        model.ref.label
        for model in models
        if request.dtype is DType.AUTO
        and model.weights is not None
        and model.weights.dtype is not DType.FLOAT16
        and any(
            computed_dtype(request.dtype, model.weights.dtype, quant, device, has_bfloat16=False) is DType.FLOAT16
            for quant in request.quants
        )
    ]


def template_habits(ref: ModelRef, request: SweepRequest) -> Habits | None:
    """What the model's chat template does with exams; None where that can't be known here, and the worker will see.

    Raises
    ------
    CantBeAsked
        where there is none, or it fails or leaves out what it is given.
    """
    source = chat_template(ref)
    if source is None:
        return None
    if not source:
        raise CantBeAsked(ref.name, "its tokenizer has no chat template", CHATS_ALONE)
    render = renderer(source)
    if render is None:
        return None
    try:
        return habits(render, shots=request.conditions.shots > 0)
    except Unwritten as fault:
        raise CantBeAsked(ref.name, str(fault), CHATS_ALONE) from fault


def template_notes(request: SweepRequest, models: Sequence[Found]) -> Iterator[str]:
    """What the models' chat templates do to the exam's words."""
    if not request.conditions.chat_template:
        return
    day = told_day(request.conditions)
    for one in models:
        habit = template_habits(one.ref, request)
        for note in habit.notes(day) if habit is not None else ():
            yield f"{one.ref.label}: {note}."


def told_day(conditions: Conditions) -> date:
    """The day that chat templates are told."""
    named = conditions.template_date
    return date.fromisoformat(named) if named else datetime.now(UTC).date()


def window_notes(
    models: Sequence[Found], exams: Sequence[Exam], asked: Conditions, cache: Path, faults: list[ProctorError]
) -> list[str]:
    """Which exams models ask with fewer examples than asked for; of questions that don't fit faults are added."""
    as_asked = papers(exams, asked)
    told: list[str] = []
    for model in models:
        if model.weights is None:  # a server's, which knows its window itself
            continue
        window = model.weights.max_positions or _window_said(model.ref, cache)
        if window:
            told += _fitted(model.ref, window, as_asked, cache, faults)
    return told


def _window_said(ref: ModelRef, cache: Path) -> int:
    files = tokenizer_files(ref, cache)
    return files.window if files is not None else 0


def _fitted(
    ref: ModelRef, window: int, as_asked: Sequence[Paper], cache: Path, faults: list[ProctorError]
) -> Iterator[str]:
    template = None
    if any(paper.conditions.chat_template for paper in as_asked):
        template = _template(ref, SPECIAL, told_day(as_asked[0].conditions))
        marks = _marks_of(template) if template is not None else 0
        as_asked = [paper.behind(marks) if paper.conditions.chat_template else paper for paper in as_asked]
    near = [paper for paper in as_asked if not fits(paper, window)]
    if not near:
        return
    files = tokenizer_files(ref, cache)
    counter = files.counter() if files is not None else None
    known = template is not None or not any(paper.conditions.chat_template for paper in near)
    if files is None or counter is None or not known:
        yield left_to_workers(ref.label, window)
        return
    if template is not None:
        template = _template(ref, files.special or SPECIAL, told_day(near[0].conditions))
    fewer = []
    for paper in near:
        try:
            found = fit(paper, Examinee(counter.count, window, template))
        except (BadInput, Unwritten):  # such as a template that leaves this question out: the worker says why
            continue
        if found.too_long:
            faults.append(refusal(ref.label, paper, found.too_long))
        if found.fewest_shots is not None:
            fewer.append((paper, found.fewest_shots))
    if fewer:
        yield dropped(ref.label, window, fewer)


def _template(ref: ModelRef, special: Mapping[str, str], day: date) -> Template | None:
    """The model's chat template as a worker applies it; None where there is none, or it can't be rendered here."""
    source = chat_template(ref)
    if not source or renderer(source) is None:
        return None

    def rendered(turns: Turns, moment: datetime) -> str:
        return render(source, turns, moment, special)

    return lambda messages: write(rendered, messages, midnight(day)).text


def _marks_of(template: Template) -> int:
    """Bytes that a template writes by itself, before all that is said."""
    try:
        return len(template([Message("system", "s"), Message("user", "u")]).encode())
    except Unwritten:
        return 0


def as_put(request: SweepRequest, exams: Sequence[Exam]) -> SweepRequest:
    """The request as its models have to be able to take it: with a chat template, where an exam is always a chat."""
    chat = any(conditions_of(request.conditions, exam).chat_template for exam in exams)
    return replace(
        request, conditions=replace(request.conditions, chat_template=chat or request.conditions.chat_template)
    )


def bench_of(request: SweepRequest, device: Device, faults: list[ProctorError], *, bfloat16: bool) -> list[Judge]:
    """The judges that a request names, each with the memory that it needs; none where it names none.

    One without a chat template is asked in plain text. Of one whose files aren't here yet a template is expected.
    """
    if request.judges is None:
        return []
    plain = replace(request.conditions, chat_template=False, template_date="")
    asked = replace(request, quants=request.judges.quants, conditions=plain)
    bench = []
    for name in dict.fromkeys(request.judges.models):
        model = tried(faults, partial(found, name, asked))
        if model is None:
            continue
        chat = chat_template(model.ref) != ""
        if chat:
            chatting = replace(asked, conditions=replace(plain, chat_template=True, shots=0))
            tried(faults, partial(template_habits, model.ref, chatting))
        bench.append(Judge(candidate(model, asked, device, bfloat16=bfloat16), chat))
    return bench
