"""Which devices of a machine get a worker, and what each may claim. Pure: the machine and the wish are arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape

from proctor.allotment import WHOLE, Allotment, group_name
from proctor.catalog.endpoint import Endpoint, Vllm
from proctor.errors import BadInput
from proctor.hardware import Gpu, Machine
from proctor.nouns.models import Device, Quant
from proctor.nouns.workers import WorkerCard
from proctor.wire import to_json
from workers.launcher.identity import ENDPOINT, VLLM

# Packs have other shapes each: blocks that grow leave no gaps between them that no pack fits in.
_ALLOCATOR, _GROWING = {"PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"}, "expandable_segments:True"
# What bitsandbytes asks of a GPU: https://huggingface.co/docs/bitsandbytes/main/en/installation
NEEDED_CAPABILITY = {Quant.EIGHT_BIT: (7, 5), Quant.FOUR_BIT: (6, 0)}


@dataclass(frozen=True)
class LauncherOptions:
    """What workers are started for: devices as `--devices` takes them, and what they serve if not everything."""

    devices: str = "auto"
    lanes: tuple[str, ...] = ()
    sweep_id: int | None = None
    allotment: Allotment = field(default_factory=Allotment)
    endpoint: Endpoint | Vllm | None = None  # a server that is asked, which needs no device; or vLLM on each


@dataclass(frozen=True)
class Seat:
    """A device to be served: the worker's card, and what its process may see of CUDA."""

    card: WorkerCard
    cuda_visible_devices: str
    endpoint: Endpoint | Vllm | None = None

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment of its process, beside that of the launcher."""
        own = {"CUDA_VISIBLE_DEVICES": self.cuda_visible_devices}
        if self.card.device is Device.GPU and not _ALLOCATOR & environ.keys():
            own["PYTORCH_ALLOC_CONF"] = _GROWING
        if self.endpoint is not None:
            own[VLLM if isinstance(self.endpoint, Vllm) else ENDPOINT] = to_json(self.endpoint)
        return {**environ, **own}


@dataclass(frozen=True)
class LauncherId:
    """What all workers of one launcher have in common."""

    host: str
    mark: str  # tells these workers from all others on hosts of this name
    versions: Mapping[str, str]  # of the libraries here

    @property
    def quantizes(self) -> bool:
        return "bitsandbytes" in self.versions


def seats(machine: Machine, wanted: LauncherOptions, place: LauncherId) -> list[Seat]:
    """A post for each device, or group of GPUs, that is wanted: `auto` is every GPU, or the CPU where there is none.

    Raises
    ------
    BadInput
        for a GPU that isn't there, with those that are, and for GPUs that don't make whole groups.
    """

    def post(name: str, device: Device, device_name: str, memory_bytes: int, gpus: Sequence[Gpu]) -> Seat:
        card = WorkerCard(
            name=f"{name}@{place.host}:{place.mark}",
            host=place.host,
            device=device,
            device_name=device_name,
            memory_bytes=wanted.allotment.within(memory_bytes),
            lanes=wanted.lanes,
            sweep_id=wanted.sweep_id,
            quants=quants_of(gpus, quantizes=place.quantizes),
            versions=place.versions,
        )
        return Seat(card, ",".join(gpu.uuid for gpu in gpus))

    if isinstance(wanted.endpoint, Endpoint):
        return [endpoint_seat(wanted, wanted.endpoint, place)]
    if wanted.endpoint is not None:
        on_devices = seats(machine, replace(wanted, endpoint=None), place)
        return [vllm_seat(seat, wanted.endpoint) for seat in on_devices]
    if wanted.devices == "cpu" or (wanted.devices == "auto" and not machine.gpus):
        wanted.allotment.check_for_cpu()
        return [post("cpu", Device.CPU, machine.cpu_name, machine.memory_bytes, ())]
    return [
        post(
            "gpu" + "-".join(str(gpu.index) for gpu in group),
            Device.GPU,
            group_name(group),
            sum(gpu.memory_bytes for gpu in group),
            group,
        )
        for group in wanted.allotment.groups_of(chosen_gpus(machine, wanted.devices))
    ]


def endpoint_seat(wanted: LauncherOptions, endpoint: Endpoint, place: LauncherId) -> Seat:
    """The one post that asks a server, for the models that were named or else all of the server's.

    Raises
    ------
    BadInput
        where devices of this machine are wanted as well.
    """
    if wanted.devices not in ("auto", Device.NET.value) or wanted.allotment != WHOLE:
        raise BadInput(
            "--endpoint is for a worker that asks a server, which owns no device and no memory here.",
            "Leave --devices, --group and --max-memory out, or start another worker for them.",
        )
    named = tuple(f"{Device.NET}/{escape(name)}/{Quant.NONE}" for name in endpoint.models)
    card = WorkerCard(
        name=f"{Device.NET}@{place.host}:{place.mark}",
        host=place.host,
        device=Device.NET,
        device_name=endpoint.url,
        memory_bytes=0,
        lanes=(*wanted.lanes, *named),
        sweep_id=wanted.sweep_id,
        quants=(Quant.NONE,),
        versions=place.versions,
    )
    return Seat(card, "", endpoint)


def vllm_seat(seat: Seat, vllm: Vllm) -> Seat:
    """The same post for a worker whose model vLLM has."""
    card = replace(
        seat.card,
        name=f"vllm-{seat.card.name}",
        device=Device.NET,
        device_name=f"vLLM on {seat.card.device_name}",
        quants=(Quant.NONE,),
    )
    return replace(seat, card=card, endpoint=vllm)


def chosen_gpus(machine: Machine, devices: str) -> tuple[Gpu, ...]:
    """The GPUs that `auto`, `cuda` or a list of indexes means; at least one, or `BadInput`."""
    if devices in ("auto", "cuda"):
        if not machine.gpus:
            why = machine.gpus_unusable or "this machine shows no GPU"
            raise BadInput(f"--devices {devices}: {why}.", "Check nvidia-smi, or say --devices cpu.")
        return machine.gpus
    asked = devices.split(",")
    chosen = tuple(gpu for gpu in machine.gpus if str(gpu.index) in asked)
    missing = set(asked) - {str(gpu.index) for gpu in chosen}
    if missing:
        there = ", ".join(str(gpu.index) for gpu in machine.gpus) or "none"
        raise BadInput(f"--devices {devices}: no GPU {', '.join(sorted(missing))}.", f"There are: {there}.")
    return chosen


def quants_of(gpus: Sequence[Gpu], *, quantizes: bool) -> tuple[Quant, ...]:
    """The quantizations that bitsandbytes does on these GPUs, or on the CPU where there are none.

    A GPU that doesn't tell its compute capability is trusted: a load that fails is refused then.
    """
    if not quantizes:
        return (Quant.NONE,)
    return tuple(
        quant
        for quant in Quant
        if all(gpu.capability is None or gpu.capability >= NEEDED_CAPABILITY.get(quant, (0, 0)) for gpu in gpus)
    )
