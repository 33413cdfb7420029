"""The models that a request names, with what their files tell: memory, chat templates; and those that are to judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial

from proctor.catalog.endpoint import ref_of
from proctor.catalog.memory import computed_dtype, predicted_memory
from proctor.catalog.resolve import chat_template, resolve, weights_of
from proctor.catalog.template import renderer
from proctor.catalog.weights import Weights
from proctor.errors import CantBeAsked, ProctorError
from proctor.exams.chat_prompts import Habits, Unwritten, habits
from proctor.nouns.exams import Exam
from proctor.nouns.models import Device, DType, ModelRef
from proctor.nouns.runs import SweepRequest
from scheduler.faults import tried
from scheduler.judging import Judge
from scheduler.plan import Candidate, conditions_of

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
    named = request.conditions.template_date
    day = date.fromisoformat(named) if named else datetime.now(UTC).date()
    for one in models:
        habit = template_habits(one.ref, request)
        for note in habit.notes(day) if habit is not None else ():
            yield f"{one.ref.label}: {note}."


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
