"""What this machine has: cores, memory, GPUs. Read without torch, so that planning stays light."""

from __future__ import annotations

import csv
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_QUERY = "--query-gpu=index,uuid,name,memory.total"
_CAPABILITY = ",compute_cap"  # drivers before 510 don't know it, and then answer nothing at all
_FORMAT = "--format=csv,noheader,nounits"
_NOT_APPLICABLE = "[N/A]"
_LIMIT_S = 60.0  # eight GPUs without persistence take half a minute
_CPUINFO = Path("/proc/cpuinfo")
_DRIVER = Path("/proc/driver/nvidia/version")
_CGROUP = Path("/sys/fs/cgroup")
_MIB = 1 << 20
# CPU flags (Linux, x86 and ARM) that mean native bfloat16 products; without one, bfloat16 is slower than float32.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True)
class Gpu:
    """A CUDA GPU that this process may use. `uuid` is what a worker's CUDA_VISIBLE_DEVICES should say: it can't be
    mistaken, while indexes depend on CUDA_DEVICE_ORDER."""

    index: int  # nvidia-smi's
    uuid: str
    name: str
    memory_bytes: int
    capability: tuple[int, int] | None = None  # compute capability, such as (9, 0); None: not told
    bfloat16: bool | None = None  # whether it multiplies bfloat16 natively; None: not asked


@dataclass(frozen=True)
class Machine:
    """Cores, memory and GPUs as they are now."""

    cores: int  # physical ones that this process may use
    memory_bytes: int  # of the machine, or of the container where that has less
    available_bytes: int  # of it, free for a new process
    cpu_bfloat16: bool
    cpu_name: str
    gpus: tuple[Gpu, ...] = ()
    gpus_unusable: str = ""  # why GPUs that are there can't be used, as `proctor.gpus` found


def look(environ: Mapping[str, str]) -> Machine:
    """This machine, as a process with this environment sees it. Never raises: what can't be seen isn't there."""
    memory, available = _memory()
    return Machine(
        cores=_cores(),
        memory_bytes=memory,
        available_bytes=available,
        cpu_bfloat16=bool(_cpu_flags() & _BFLOAT16_FLAGS) or _sysctl("hw.optional.arm.FEAT_BF16") == "1",
        cpu_name=_cpu_name(),
        gpus=visible(_gpus(memory), environ.get("CUDA_VISIBLE_DEVICES")),
    )


def visible(gpus: Sequence[Gpu], mask: str | None) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES lets through, in its order.

    As CUDA reads it: unset is all, and the list ends at its first entry that names no GPU (so "" and "-1" are none).
    Entries are indexes or beginnings of UUIDs.
    """
    if mask is None:
        return tuple(gpus)
    chosen: list[Gpu] = []
    for entry in mask.split(","):
        name = entry.strip()
        found = [gpu for gpu in gpus if name == str(gpu.index) or (name[:4] == "GPU-" and gpu.uuid.startswith(name))]
        if len(found) != 1:
            break
        chosen.append(found[0])
    return tuple(chosen)


def driver() -> str:
    """The version of the loaded NVIDIA driver, such as 580.65.06; "" where none tells."""
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", _read(_DRIVER))
    return found[0] if found else ""


def parse_gpus(text: str, shared_bytes: int = 0) -> tuple[Gpu, ...]:
    """GPUs from nvidia-smi's CSV of index, uuid, name, total memory in MiB and, where it tells, compute capability.

    A GPU without memory of its own (`[N/A]`: GB10, Jetson) has that of the machine, `shared_bytes`. Lines of another
    shape are skipped.
    """
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    return tuple(
        Gpu(
            int(row[0]), row[1], row[2], int(row[3]) * _MIB if row[3].isdigit() else shared_bytes, _capability(*row[4:])
        )
        for row in rows
        if len(row) in (4, 5) and row[0].isdigit() and (row[3].isdigit() or row[3] == _NOT_APPLICABLE)
    )


def _gpus(shared_bytes: int) -> tuple[Gpu, ...]:
    told = _output("nvidia-smi", _QUERY + _CAPABILITY, _FORMAT) or _output("nvidia-smi", _QUERY, _FORMAT)
    return parse_gpus(told, shared_bytes)


def _capability(told: str = "") -> tuple[int, int] | None:
    major, dot, minor = told.partition(".")
    return (int(major), int(minor)) if dot and major.isdigit() and minor.isdigit() else None


def _cores() -> int:
    physical = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed))


def _memory() -> tuple[int, int]:
    """(total, available) in bytes: the machine's, bounded by the container's limit (cgroup v2) where there is one."""
    machine = psutil.virtual_memory()
    limit, used = _read(_CGROUP / "memory.max").strip(), _read(_CGROUP / "memory.current").strip()
    if not (limit.isdigit() and used.isdigit()) or int(limit) >= machine.total:
        return machine.total, machine.available
    # The page cache of files counts as used and is given back when it is needed.
    stat = dict(line.split() for line in _read(_CGROUP / "memory.stat").splitlines())
    free = int(limit) - int(used) + int(stat.get("inactive_file", 0))
    return int(limit), min(machine.available, max(0, free))


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _cpu_flags() -> frozenset[str]:
    lines = _read(_CPUINFO).splitlines()
    flags = next((line.partition(":")[2] for line in lines if line.startswith(("flags", "Features"))), "")
    return frozenset(flags.split())


def _cpu_name() -> str:
    lines = _read(_CPUINFO).splitlines()
    named = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return named or _sysctl("machdep.cpu.brand_string") or platform.processor() or platform.machine() or "CPU"


def _sysctl(key: str) -> str:
    """A fact that macOS tells; "" elsewhere."""
    return _output("sysctl", "-n", key).strip() if sys.platform == "darwin" else ""


def _output(program: str, *arguments: str) -> str:
    """What a program prints; "" where it isn't there or fails (nvidia-smi does without its driver)."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 -- fixed commands of this module
            [path, *arguments], capture_output=True, text=True, timeout=_LIMIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
