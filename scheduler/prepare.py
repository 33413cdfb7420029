"""Finds what a request names (models, exams, devices) and plans it; everything wrong with it comes out at once."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from typing import TypeVar

from proctor.catalog.memory import computed_dtype, predicted_memory
from proctor.catalog.refs import chat_template, resolve, weights_of
from proctor.catalog.template import renderer
from proctor.errors import BadInput, CantBeAsked, ProctorError, SeveralFaults
from proctor.exams.assembly import NO_DEV
from proctor.exams.chats import Habits, Unwritten, habits
from proctor.exams.load import load_benchmark
from proctor.gpus import usable
from proctor.machine import Machine, look
from proctor.nouns import Device, Exam, ModelRef, Quant, SweepRequest
from proctor.settings import Settings
from proctor.store import workers
from proctor.store.session import Store
from scheduler.plan import Candidate, Plan, Target, choose_device, expand, serving_faults

Found = TypeVar("Found")


@dataclass(frozen=True)
class Prepared:
    """A sweep that can be submitted: its plan, the exams in full, and what a person should know beforehand."""

    plan: Plan
    exams: tuple[Exam, ...]
    notes: tuple[str, ...]
    told: tuple[str, ...] = ()  # those of them that are said at each submission


def prepare(request: SweepRequest, settings: Settings, store: Store, *, default_shots: bool = False) -> Prepared:
    """Plan a request against what is there: nothing is written, nothing is started.

    With `default_shots` nobody said how many: exams without any dev question are asked with 0, and a note says so.

    Raises
    ------
    SeveralFaults
        with every fault of the request: models, benchmark, subjects, shots, devices, memory.
    """
    faults: list[ProctorError] = []
    machine = look(os.environ)
    if not settings.broker_url and request.device != "cpu":
        machine = usable(machine, os.environ, settings.cache)
    targets = fleet(store) if settings.broker_url else here(machine)
    if not settings.broker_url and importlib.util.find_spec("torch") is None:
        faults.append(
            BadInput("This installation can't load models: torch is missing.", "pip install 'proctor-exams[worker]'")
        )
    benchmark = tried(faults, partial(load_benchmark, request.benchmark, request.subjects))
    exams = () if benchmark is None else tuple(benchmark.exams.values())
    request, shots_told = fitted_shots(request, exams, default=default_shots)
    device, _ = choose_device(request.device, targets)
    bfloat16 = all(gpu.bfloat16 is not False for gpu in machine.gpus) if device is Device.GPU else machine.cpu_bfloat16
    found = [tried(faults, partial(candidate, name, request, device, bfloat16=bfloat16)) for name in request.models]
    candidates = [each for each in found if each is not None]
    in_fleet = settings.broker_url is not None
    plan = None
    if device is Device.GPU and machine.gpus_unusable and not machine.gpus:
        faults.append(BadInput(f"--device cuda: {machine.gpus_unusable}.", "Mend that, or use --device cpu."))
    else:
        plan = tried(faults, partial(expand, request, candidates, exams, targets, others_may_come=in_fleet))
    if faults or benchmark is None or plan is None:
        raise SeveralFaults(faults)
    waits = serving_faults(request, candidates, targets) if in_fleet else []
    told = (*shots_told, *template_notes(request, candidates), *gpu_notes(machine, device))
    notes = (
        *device_notes(request.quants, device, targets),
        *told,
        *(f"Its Runs will wait: {fault}" for fault in waits),
    )
    found_notes = [note for note in benchmark.notes if request.conditions.shots or not note.startswith(NO_DEV)]
    return Prepared(plan, exams, (*found_notes, *notes), told)


def fitted_shots(
    request: SweepRequest, exams: Sequence[Exam], *, default: bool
) -> tuple[SweepRequest, tuple[str, ...]]:
    """The request with shots that the exams can show, and what is to be said of that.

    By `default` alone: a number that a person asked for stays, and is an error where the exams have fewer.
    """
    if not default or not exams or any(exam.dev for exam in exams):
        return request, ()
    said = f"{exams[0].benchmark} has no dev split, so no examples stand before its questions (--shots 0)."
    return replace(request, conditions=replace(request.conditions, shots=0)), (said,)


def candidate(name: str, request: SweepRequest, device: Device, *, bfloat16: bool) -> Candidate:
    """The model of this name with the memory that it will need, in bytes, by quantization.

    Raises `BadModel`, also where its files are here and the request wants a chat template: there is none, or it fails
    or leaves out the question.
    """
    ref = resolve(name)
    weights = weights_of(ref)
    if request.conditions.chat_template:
        template_habits(ref, request)
    needs = {
        quant: predicted_memory(
            weights,
            quant,
            computed_dtype(request.dtype, weights.dtype, quant, device, bfloat16),
            request.conditions.pack_tokens,
        )
        for quant in request.quants
    }
    return Candidate(ref, needs)


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
        raise CantBeAsked(ref.name, "its tokenizer has no chat template", "Leave --chat-template out.")
    render = renderer(source)
    if render is None:
        return None
    try:
        return habits(render, shots=request.conditions.shots > 0)
    except Unwritten as fault:
        raise CantBeAsked(ref.name, str(fault), "Leave --chat-template out.") from fault


def template_notes(request: SweepRequest, candidates: Sequence[Candidate]) -> Iterator[str]:
    """What the models' chat templates do to the exam's words."""
    if not request.conditions.chat_template:
        return
    named = request.conditions.template_date
    day = date.fromisoformat(named) if named else datetime.now(UTC).date()
    for one in candidates:
        found = template_habits(one.ref, request)
        for note in found.notes(day) if found is not None else ():
            yield f"{one.ref.label}: {note}."


def here(machine: Machine) -> tuple[Target, ...]:
    """What the embedded workers of this machine will have."""
    quantizes = importlib.util.find_spec("bitsandbytes") is not None
    gpus = [Target(Device.GPU, gpu.name, gpu.memory_bytes, quantizes) for gpu in machine.gpus]
    cpu = Target(Device.CPU, f"{machine.cpu_name} ({machine.cores} cores)", machine.available_bytes, quantizes)
    return (*gpus, cpu)


def fleet(store: Store) -> tuple[Target, ...]:
    """The workers that are alive; none where the fleet has not started yet."""
    alive = (worker.card for worker in workers.listing(store) if worker.alive)
    return tuple(
        Target(card.device, card.device_name, card.memory_bytes, quantizes=set(card.quants) != {Quant.NONE})
        for card in alive
    )


def gpu_notes(machine: Machine, device: Device) -> Iterator[str]:
    """Why GPUs that are there stay idle; nothing where there are none, or nobody asked."""
    if machine.gpus_unusable:
        instead = "The CPU does it" if device is Device.CPU else "Other GPUs do it"
        yield f"{instead}: {machine.gpus_unusable}."


def device_notes(quants: Sequence[Quant], device: Device, targets: Sequence[Target]) -> Iterator[str]:
    if not targets:
        yield "No worker is alive yet: the Runs will wait. Start one with `proctor worker`."
    if device is Device.CPU and any(quant is not Quant.NONE for quant in quants):
        yield "8 bit and 4 bit are slower than none on a CPU (2 to 5 times); the numbers are right."


def tried(faults: list[ProctorError], work: Callable[[], Found]) -> Found | None:
    """What `work` finds; what it raises of our own errors is added to `faults`, and None is returned."""
    try:
        return work()
    except SeveralFaults as several:
        faults += several.faults
    except ProctorError as fault:
        faults.append(fault)
    return None
