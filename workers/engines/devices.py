"""The one device that a worker process owns, a CPU or some GPUs: what it is, what it can do, what memory is left."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

from proctor import hardware
from proctor.catalog.memory import computed_dtype
from proctor.errors import BadInput, OutOfMemory
from proctor.nouns.models import Device, DType, Quant
from workers.engines import heap
from workers.engines.base import DevicePeak

TORCH_DTYPES = {
    DType.FLOAT32: torch.float32,
    DType.BFLOAT16: torch.bfloat16,
    DType.FLOAT16: torch.float16,
}

# How torch's allocators and NVIDIA's libraries say that memory is out; cuBLAS does where torch's cache took everything.
_SHORTAGES = (
    "DefaultCPUAllocator",
    "CUDA error: out of memory",
    "CUDA out of memory",
    "HIP out of memory",
    "MPS backend out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
_CUDA_ERROR_MEMORY = 2  # cudaErrorMemoryAllocation


@dataclass(frozen=True)
class DeviceMap:
    """Where a model's layers go, as `from_pretrained` takes it."""

    device_map: str | dict[str, str]
    max_memory: dict[int, int] | None = None  # bytes by GPU; without "cpu" among the keys no layer is put there


def place(first: str, needs_bytes: int, free_by_gpu: Sequence[int]) -> DeviceMap:
    """All of a model on the `first` device, unless a group's first GPU is too small: then over the whole group.

    One GPU is preferred, since of a model that is spread one GPU computes at a time.

    `needs_bytes` counts weights and a pack; `free_by_gpu` is empty where there is no group.
    """
    if not free_by_gpu or needs_bytes <= free_by_gpu[0]:
        return DeviceMap({"": first})
    return DeviceMap("balanced", dict(enumerate(free_by_gpu)))


@dataclass(frozen=True)
class TorchDevice:
    """A device as torch knows it. Make it with `own_device`, once a process."""

    torch: torch.device  # of several GPUs the first, where what goes into a model lies
    kind: Device
    name: str
    memory_bytes: int  # of all its GPUs together
    has_bfloat16: bool  # natively: without it bfloat16 works and is slow
    gpus: int = 0  # 0 on the CPU
    limit_bytes: int | None = None  # what this process may take, where that is less than there is

    def available_bytes(self) -> int:
        """Memory that a new model may take, in bytes, now."""
        if self.kind is Device.GPU:
            taken = sum(torch.cuda.memory_reserved(gpu) for gpu in range(self.gpus))
            unused = taken - sum(torch.cuda.memory_allocated(gpu) for gpu in range(self.gpus))  # in torch's own cache
            free = unused + sum(torch.cuda.mem_get_info(gpu)[0] for gpu in range(self.gpus))
            taken -= unused
        else:
            free, taken = hardware.look(os.environ).available_bytes, psutil.Process().memory_info().rss
        return free if self.limit_bytes is None else max(0, min(free, self.limit_bytes - taken))

    def free_by_gpu(self) -> tuple[int, ...]:
        """Memory that a new model may take on each GPU of a group, in bytes; empty for the CPU and for one GPU."""
        if self.gpus < 2:
            return ()
        return tuple(self._free_of(gpu) for gpu in range(self.gpus))

    def _free_of(self, gpu: int) -> int:
        free, total = torch.cuda.mem_get_info(gpu)
        taken = torch.cuda.memory_allocated(gpu)
        free += torch.cuda.memory_reserved(gpu) - taken  # torch's own cache
        if self.limit_bytes is None:
            return free
        return max(0, min(free, self.limit_bytes * total // self.memory_bytes - taken))

    @property
    def versions(self) -> dict[str, str]:
        """What numbers of a GPU depend on besides libraries: CUDA, the driver, the compute capability."""
        if self.kind is Device.CPU:
            return {}
        major, minor = torch.cuda.get_device_capability(self.torch)
        told = {"cuda": torch.version.cuda or torch.version.hip or "", "compute_capability": f"{major}.{minor}"}
        driver = hardware.driver()
        return {**told, "driver": driver} if driver else told

    def release(self) -> None:
        """Give back memory that no object holds any more."""
        gc.collect()
        heap.give_back()
        if self.kind is Device.GPU:
            torch.cuda.empty_cache()

    def keep_freed(self, keep: bool) -> None:
        """Whether this process keeps memory of the CPU that it frees, from now on; see `workers.engines.heap`."""
        if self.kind is Device.CPU:
            heap.keep_freed() if keep else heap.let_go_freed()

    def begin_gpu_time(self) -> Callable[[], float]:
        """Time what the first GPU does from now on, by CUDA events: from its first kernel to its last."""
        if self.kind is not Device.GPU:
            return lambda: 0.0
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        first.record()

        def end() -> float:
            last.record()
            last.synchronize()
            return float(first.elapsed_time(last)) / 1000

        return end

    def begin_peak(self) -> Callable[[], DevicePeak]:
        """Watch from now on what torch's allocator gives out, and what it holds, on all GPUs together.

        nvidia-smi shows what it holds, and CUDA's context beside it.
        """
        if self.kind is not Device.GPU:
            return DevicePeak
        for gpu in range(self.gpus):
            torch.cuda.reset_peak_memory_stats(gpu)
        return lambda: DevicePeak(
            used_bytes=sum(torch.cuda.max_memory_allocated(gpu) for gpu in range(self.gpus)),
            reserved_bytes=sum(torch.cuda.max_memory_reserved(gpu) for gpu in range(self.gpus)),
        )

    def resolve(self, wanted: DType, own: DType, quant: Quant) -> DType:
        """The type to compute in on this device; the rule is `proctor.catalog.memory.computed_dtype`."""
        return computed_dtype(wanted, own, quant, self.kind, self.has_bfloat16)

    @contextmanager
    def reporting_shortage(self, model: str) -> Iterator[None]:
        """Turn the device's own out-of-memory errors into `OutOfMemory`."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_shortage(error):
                raise
            # The traceback holds the frames, and those the tensors that filled the memory. Until the caller's `except`
            # is over some of them are alive: it calls `release` behind it.
            error.__traceback__ = None
            raise OutOfMemory(model, self.name) from error


def is_shortage(error: BaseException) -> bool:
    """Whether this is a library's or Python's way to say that memory is out, on a GPU or the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, torch.AcceleratorError) and getattr(error, "error_code", None) == _CUDA_ERROR_MEMORY:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SHORTAGES)


def is_of_the_device(error: BaseException) -> bool:
    """Whether the device failed, and not the model on it: a shortage of memory, or an error of CUDA itself."""
    return is_shortage(error) or isinstance(error, torch.AcceleratorError)


def own_device(kind: Device, memory_bytes: int | None = None) -> TorchDevice:
    """The device of this process: the GPUs that CUDA_VISIBLE_DEVICES shows, or the CPU with all its cores.

    `memory_bytes` is what this process may take of its memory: on GPUs torch itself holds it, on the CPU a model that
    is larger isn't loaded. On GPUs products of 16-bit numbers are summed in 32 bits. On the CPU torch's threads are set
    to the physical cores (more of them only wait for one another), unless OMP_NUM_THREADS says a number; and the
    process keeps memory that it freed, and few of oneDNN's shapes.

    Raises
    ------
    BadInput
        where a GPU is wanted and torch sees none; the next step tells a torch without CUDA from a machine without.
    """
    if kind is Device.CPU:
        heap.keep_freed()
        heap.bound_caches()
        here = hardware.look(os.environ)
        if not os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(here.cores)
        name = f"{here.cpu_name} ({torch.get_num_threads()} threads)"
        limit = limit_of(memory_bytes, here.memory_bytes)
        return TorchDevice(torch.device("cpu"), kind, name, here.memory_bytes, here.cpu_bfloat16, limit_bytes=limit)
    if not torch.cuda.is_available():
        built = torch.version.cuda is not None
        raise BadInput(
            "This worker is to own a GPU and torch sees none.",
            "Check nvidia-smi and CUDA_VISIBLE_DEVICES." if built else "This torch is built without CUDA: install one.",
        )
    facts = [torch.cuda.get_device_properties(gpu) for gpu in range(torch.cuda.device_count())]
    total = sum(each.total_memory for each in facts)
    limit = limit_of(memory_bytes, total)
    if limit is not None:
        for gpu in range(len(facts)):
            torch.cuda.set_per_process_memory_fraction(limit / total, gpu)
    name = facts[0].name if len(facts) == 1 else f"{len(facts)} x {facts[0].name}"
    # Sums of 16-bit products in 32 bits, in the same order whatever cuBLAS would take to be quicker.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    first = torch.device("cuda", 0)
    return TorchDevice(first, kind, name, total, _has_bfloat16(), len(facts), limit)


def _has_bfloat16() -> bool:
    """Whether all GPUs multiply bfloat16 natively (Ampere or newer): emulated it is many times slower than float16."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def limit_of(wanted_bytes: int | None, there_bytes: int) -> int | None:
    """A limit that is below what is there anyway, or None."""
    return wanted_bytes if wanted_bytes is not None and wanted_bytes < there_bytes else None
