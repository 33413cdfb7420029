"""Finds what a request names (models, exams, devices) and plans it; everything wrong with it comes out at once."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from proctor.catalog.memory import computed_dtype, predicted_memory
from proctor.catalog.refs import has_chat_template, resolve, weights_of
from proctor.errors import BadInput, CantBeAsked, ProctorError, SeveralFaults
from proctor.exams.load import load_benchmark
from proctor.machine import Machine, look
from proctor.nouns import Device, Exam, Quant, SweepRequest
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


def prepare(request: SweepRequest, settings: Settings, store: Store) -> Prepared:
    """Plan a request against what is there: nothing is written, nothing is started.

    Raises
    ------
    SeveralFaults
        with every fault of the request: models, benchmark, subjects, shots, devices, memory.
    """
    faults: list[ProctorError] = []
    machine = look(os.environ)
    targets = fleet(store) if settings.broker_url else here(machine)
    if not settings.broker_url and importlib.util.find_spec("torch") is None:
        faults.append(
            BadInput("This installation can't load models: torch is missing.", "pip install 'proctor-exams[worker]'")
        )
    device, _ = choose_device(request.device, targets)
    bfloat16 = device is Device.GPU or machine.cpu_bfloat16
    found = [tried(faults, partial(candidate, name, request, device, bfloat16=bfloat16)) for name in request.models]
    candidates = [each for each in found if each is not None]
    benchmark = tried(faults, partial(load_benchmark, request.benchmark, request.subjects))
    exams = () if benchmark is None else tuple(benchmark.exams.values())
    in_fleet = settings.broker_url is not None
    plan = tried(faults, partial(expand, request, candidates, exams, targets, others_may_come=in_fleet))
    if faults or benchmark is None or plan is None:
        raise SeveralFaults(faults)
    waits = serving_faults(request, candidates, targets) if in_fleet else []
    notes = (*device_notes(request.quants, device, targets), *(f"Its Runs will wait: {fault}" for fault in waits))
    return Prepared(plan, exams, (*benchmark.notes, *notes))


def candidate(name: str, request: SweepRequest, device: Device, *, bfloat16: bool) -> Candidate:
    """The model of this name with the memory that it will need, in bytes, by quantization.

    Raises `BadModel`, also where its files are here and have no chat template while the request wants one.
    """
    ref = resolve(name)
    weights = weights_of(ref)
    if request.conditions.chat_template and has_chat_template(ref) is False:
        raise CantBeAsked(name, "its tokenizer has no chat template", "Leave --chat-template out.")
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
