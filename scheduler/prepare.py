"""Finds what a request names (models, exams, devices) and plans it; everything wrong with it comes out at once."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from proctor.allotment import WHOLE, Allotment, group_name
from proctor.errors import BadInput, ProctorError, SeveralFaults
from proctor.exams.reading.assembly import NO_DEV
from proctor.gpus import usable
from proctor.hardware import Machine, look
from proctor.nouns.exams import Conditions, Exam, Scoring
from proctor.nouns.models import Device, ModelRef, Quant
from proctor.nouns.runs import SweepRequest
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.runs import sweeps, workers
from scheduler.device_notes import SAID, begun_notes, device_notes, float16_notes, gpu_notes
from scheduler.faults import tried
from scheduler.found_models import as_put, bench_of, candidate, found, in_float16, template_notes, window_notes
from scheduler.judging import bias_notes, judged, open_notes, with_judges
from scheduler.plan import (
    VLLM,
    Plan,
    Target,
    choose_device,
    conditions_of,
    expand,
    run_spec,
    serving_faults,
    undecided,
)
from scheduler.programs import program_notes
from scheduler.request_exams import RowSource, fitted_shots, loaded, versioned
from scheduler.workplace import HERE, Workplace, of_a_server


@dataclass(frozen=True)
class Prepared:
    """A sweep that can be submitted: its plan, the exams in full, and what a person should know beforehand."""

    plan: Plan
    exams: tuple[Exam, ...]
    notes: tuple[str, ...]
    told: tuple[str, ...] = ()  # those of them that are said at each submission
    stored: Mapping[str, int] = field(default_factory=dict)  # Runs that are judged and were there before, by identity


def prepare(
    request: SweepRequest,
    settings: Settings,
    store: Store,
    place: Workplace = HERE,
    *,
    default_shots: bool = False,
    fresh: bool = False,
    rows: RowSource | None = None,
) -> Prepared:
    """Plan a request against what is there: nothing is written, nothing is started.

    With `default_shots` nobody said how many: exams without any dev question are asked with 0, and a note says so.
    `place` is what each worker of this machine would be given, or ask. Without `fresh` the request may be that of an
    earlier sweep, which `--device auto` then leaves on its device.

    Raises
    ------
    SeveralFaults
        with every fault of the request: models, benchmark, subjects, shots, devices, memory, questions that are too
        long.
    """
    faults: list[ProctorError] = []
    request = of_a_server(request, place, faults, in_fleet=settings.broker_url is not None)
    machine, allotment = seen(request, settings), place.allotment
    targets = fleet(store) if settings.broker_url else tried(faults, partial(here, machine, place)) or ()
    if not settings.broker_url:
        faults += torch_faults(request)
    sets = loaded(request, rows or RowSource(), faults, default_shots=default_shots)
    exams = tuple(exam for one in sets for exam in one.exams.values())
    request = versioned(request, sets, faults)
    request, shots_told = fitted_shots(request, exams, default=default_shots)
    in_fleet = settings.broker_url is not None
    programs_told = program_notes(exams, faults)
    put = as_put(request, exams)
    models = [each for name in request.models if (each := tried(faults, partial(found, name, put))) is not None]
    device, begun = choose_device(request.device, targets)[0], None
    if in_fleet and request.device == "auto":
        begun = None if fresh else begun_on(store, request, [model.ref for model in models], exams, device)
        faults += undecided(targets, begun)
    begun_told, device = begun_notes(begun, device), begun or device
    bfloat16 = all(gpu.bfloat16 is not False for gpu in machine.gpus) if device is Device.GPU else machine.cpu_bfloat16
    heaviest = heaviest_of(request.conditions, exams)
    candidates = [
        candidate(model, replace(request, conditions=heaviest), device, bfloat16=bfloat16) for model in models
    ]
    settled = replace(request, device=VLLM if request.device == VLLM else SAID[device])
    if in_fleet or targets:
        faults += allotment_faults(allotment, None if in_fleet else device)
    bench = bench_of(settled, device, faults, bfloat16=bfloat16)
    plan = None
    if device is Device.GPU and machine.gpus_unusable and not machine.gpus:
        faults.append(BadInput(f"--device cuda: {machine.gpus_unusable}.", "Mend that, or use --device cpu."))
    else:
        plan = tried(faults, partial(expand, settled, candidates, exams, targets, others_may_come=in_fleet))
    plan = plan and judged(plan, bench, () if in_fleet else targets, device, faults)
    windows_told = window_notes(models, exams, request.conditions, settings.cache, faults)
    if faults or plan is None:
        raise SeveralFaults(faults)
    waits = serving_faults(settled, candidates, targets) if in_fleet else []
    told = (
        *shots_told,
        *programs_told,
        *begun_told,
        *template_notes(put, models),
        *windows_told,
        *open_notes(exams, request.judges),
        *bias_notes(bench, request.models),
        *gpu_notes(machine, device),
    )
    notes = (
        *device_notes(request.quants, device, targets),
        *float16_notes(in_float16(models, request, device) if not bfloat16 else ()),
        *told,
        *(f"Its Runs will wait: {fault}" for fault in waits),
    )
    found_notes = [
        note for one in sets for note in one.notes if request.conditions.shots or not note.startswith(NO_DEV)
    ]
    return Prepared(replace(plan, request=request), exams, (*found_notes, *notes), told)


def torch_faults(request: SweepRequest) -> list[ProctorError]:
    """That this installation can't load models, where it is to."""
    if request.device in (SAID[Device.NET], VLLM) or importlib.util.find_spec("torch") is not None:
        return []
    return [BadInput("This installation can't load models: torch is missing.", "pip install 'proctor-exams[worker]'")]


TOKEN_BY_TOKEN = (Scoring.TEXT, Scoring.ONE_TEXT, Scoring.PAGES)  # what is scored so


def heaviest_of(conditions: Conditions, exams: Sequence[Exam]) -> Conditions:
    """The conditions of these exams under which a pack takes most memory: where texts are scored, token by token."""
    each = [conditions_of(conditions, exam) for exam in exams]
    return next((one for one in each if one.scoring in TOKEN_BY_TOKEN), conditions)


def begun_on(
    store: Store, request: SweepRequest, models: Sequence[ModelRef], exams: Sequence[Exam], first: Device
) -> Device | None:
    """The device of the sweep that this request goes on with, that on `first` before others; None where it is new."""
    for device in sorted(Device, key=lambda each: each is not first):
        specs = [
            run_spec(request, model, quant, device, exam)
            for model in models
            for quant in request.quants
            for exam in exams
        ]
        if specs and request.judges is not None:
            bench = bench_of(request, device, [], bfloat16=True)
            specs = list(with_judges(Plan(request, tuple(specs), (), 0), request.judges, bench, device).runs)
        if specs and sweeps.goes_on(store, specs):
            return device
    return None


def seen(request: SweepRequest, settings: Settings) -> Machine:
    """This machine, with the GPUs that the request may take and that torch can compute on."""
    machine = look(os.environ)
    if request.device in ("cpu", SAID[Device.NET]):
        return replace(machine, gpus=())
    return machine if settings.broker_url else usable(machine, os.environ, settings.cache)


def here(machine: Machine, place: Workplace) -> tuple[Target, ...]:
    """What the embedded workers of this machine will have. Raises `BadInput` where its GPUs make no whole groups."""
    if place.endpoint is not None:
        return (Target(Device.NET, place.endpoint.url, 0, quantizes=False),)
    if place.server is not None:
        on_devices = here(machine, replace(place, server=None))
        first = on_devices[0].device
        return tuple(
            replace(one, device=Device.NET, name=f"vLLM on {one.name}") for one in on_devices if one.device is first
        )
    allotment = place.allotment
    quantizes = importlib.util.find_spec("bitsandbytes") is not None
    limited = "" if allotment.max_memory_bytes is None else " by --max-memory"

    def target(device: Device, name: str, memory_bytes: int) -> Target:
        return Target(device, name + limited, allotment.within(memory_bytes), quantizes)

    gpus = [
        target(Device.GPU, group_name(group), sum(gpu.memory_bytes for gpu in group))
        for group in (allotment.groups_of(machine.gpus) if machine.gpus else ())
    ]
    return (*gpus, target(Device.CPU, f"{machine.cpu_name} ({machine.cores} cores)", machine.available_bytes))


def allotment_faults(allotment: Allotment, device: Device | None) -> list[ProctorError]:
    """What can't be of `--group` and `--max-memory` for workers on this device; None: in a fleet, none are started."""
    faults: list[ProctorError] = []
    if device is None and allotment != WHOLE:
        faults.append(
            BadInput(
                "--group and --max-memory are for the workers that this command starts, and with PROCTOR_BROKER_URL it "
                "starts none.",
                "Leave them out; say them at `proctor worker`, on the machines of the fleet.",
            )
        )
    if device is Device.CPU:
        tried(faults, allotment.check_for_cpu)
    return faults


def fleet(store: Store) -> tuple[Target, ...]:
    """The workers that are alive; none where the fleet has not started yet."""
    alive = (worker.card for worker in workers.listing(store) if worker.alive)
    return tuple(
        Target(card.device, card.device_name, card.memory_bytes, quantizes=set(card.quants) != {Quant.NONE})
        for card in alive
    )
