"""Which of this machine's GPUs torch can use: asked of torch in a process of its own, so that planning stays light.

nvidia-smi tells what is plugged in. Whether torch can compute there is another matter: its build may be without CUDA,
need a newer driver, or hold no kernels for a GPU's generation. So torch multiplies something on each GPU, once. A good
answer is kept in the cache, and asked for again when torch, driver or GPUs change.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from proctor.hardware import Gpu, Machine

LIMIT_S = 300.0  # torch is some gigabytes on a disk that may be slow
_DRIVER = Path("/proc/driver/nvidia/version")
_HINT = "pick the build of torch for this driver at https://pytorch.org/get-started/locally"

# Prints one JSON object: why no GPU can be used, and of each that torch sees what it is and why it can't be used.
PROGRAM = """
import json
found = {"why": "", "gpus": []}
try:
    import torch
    if torch.version.cuda is None and torch.version.hip is None:
        found["why"] = f"torch {torch.__version__} is built without CUDA"
    else:
        torch.cuda.init()
        for number in range(torch.cuda.device_count()):
            facts, why = torch.cuda.get_device_properties(number), ""
            try:
                with torch.cuda.device(number):
                    if float((torch.ones(16, 16, device="cuda") @ torch.ones(16, 16, device="cuda")).sum()) != 4096.0:
                        why = "it multiplies wrongly"
                    native = bool(torch.cuda.is_bf16_supported(including_emulation=False))
            except Exception as error:
                why, native = f"{type(error).__name__}: {error}".splitlines()[0], False
            found["gpus"].append({
                "uuid": str(getattr(facts, "uuid", "")), "name": facts.name, "memory_bytes": facts.total_memory,
                "capability": [facts.major, facts.minor], "bfloat16": native, "why": why,
            })
except Exception as error:
    found["why"] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Told:
    """What torch says of one GPU. `why` it can't be used; "" where it can."""

    uuid: str  # without "GPU-"; "" where this torch doesn't tell
    name: str
    memory_bytes: int
    capability: tuple[int, int]
    bfloat16: bool  # natively
    why: str


@dataclass(frozen=True)
class Answer:
    """What torch says of all. `why` none can be used; "" where it could look."""

    why: str
    gpus: tuple[Told, ...] = ()


@dataclass(frozen=True)
class _Found:
    """A GPU, what torch says of it, and why it says nothing."""

    gpu: Gpu
    told: Told | None
    why: str


Ask = Callable[[Mapping[str, str]], Answer]


def usable(machine: Machine, environ: Mapping[str, str], cache: Path, ask: Ask | None = None) -> Machine:
    """The machine with the GPUs that torch can use, and why it can't use others (`gpus_unusable`).

    Nothing is asked where nothing points to an NVIDIA GPU, or where the environment hides them all. `cache` is a
    folder; `ask` takes the environment of the process that asks.
    """
    mask = environ.get("CUDA_VISIBLE_DEVICES")
    slices = [entry.strip() for entry in (mask or "").split(",") if entry.strip().startswith("MIG-")]
    asking = ask or (lambda seen_by: _remembered(machine.gpus, seen_by, cache))
    if slices:  # of one GPU (MIG): nvidia-smi names none of them, and CUDA shows a process the first alone
        pairs = [
            (Gpu(place, entry, "", 0), asking({**environ, "CUDA_VISIBLE_DEVICES": entry}))
            for place, entry in enumerate(slices)
        ]
        found = [_Found(gpu, answer.gpus[0] if answer.gpus else None, answer.why) for gpu, answer in pairs]
    elif machine.gpus or (mask is None and _nvidia_is_here()):
        answer = asking(environ)
        if answer.why and not machine.gpus:
            return replace(machine, gpus_unusable=_explained(answer.why))
        gpus = machine.gpus or tuple(Gpu(place, f"GPU-{one.uuid}", "", 0) for place, one in enumerate(answer.gpus))
        found = [_Found(gpu, _of(gpu, place, answer), answer.why) for place, gpu in enumerate(gpus)]
    else:
        return machine
    good = tuple(_filled(each.gpu, each.told) for each in found if each.told is not None and not each.told.why)
    bad = [_reason(each) for each in found if each.told is None or each.told.why]
    return replace(machine, gpus=good, gpus_unusable="; ".join(dict.fromkeys(bad)))


def ask_torch(environ: Mapping[str, str]) -> Answer:
    """Ask torch in a process with this environment. Never raises: what goes wrong is why no GPU can be used."""
    try:
        done = subprocess.run(  # noqa: S603 -- our own program
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environ
        )
    except subprocess.TimeoutExpired:
        return Answer(f"torch gave no answer within {LIMIT_S:.0f} s")
    except OSError as error:
        return Answer(f"torch could not be asked: {error}")
    try:
        return _read(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Answer(f"the process that asked torch failed: {last}")


def _read(said: Mapping[str, Any]) -> Answer:
    gpus = tuple(
        Told(one["uuid"], one["name"], int(one["memory_bytes"]), (int(one["capability"][0]), int(one["capability"][1])),
             bool(one["bfloat16"]), one["why"])
        for one in said["gpus"]
    )  # fmt: skip
    return Answer(said["why"], gpus)


def _of(gpu: Gpu, place: int, answer: Answer) -> Told | None:
    """What torch says of this GPU: by its UUID, or by its place where this torch tells none."""
    named = [one for one in answer.gpus if one.uuid and gpu.uuid.removeprefix("GPU-") == one.uuid]
    if named:
        return named[0]
    unnamed = place < len(answer.gpus) and not answer.gpus[place].uuid
    return answer.gpus[place] if unnamed else None


def _filled(gpu: Gpu, told: Told) -> Gpu:
    return replace(
        gpu,
        name=gpu.name or told.name,
        memory_bytes=told.memory_bytes,
        capability=told.capability,
        bfloat16=told.bfloat16,
    )


def _reason(found: _Found) -> str:
    told, name = found.told, found.gpu.name or (found.told.name if found.told else found.gpu.uuid)
    if told is not None:
        return f"{name} (compute capability {told.capability[0]}.{told.capability[1]}): {told.why}"
    return f"{name}: {_explained(found.why)}" if found.why else f"{name}: torch does not see it"


def _explained(why: str) -> str:
    return f"{why} ({_HINT})"


def _remembered(gpus: Sequence[Gpu], environ: Mapping[str, str], cache: Path) -> Answer:
    """A good answer of before, where torch, driver, GPUs and mask are the same; else a new one."""
    file = cache / "gpus" / f"{_key(gpus, environ)}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return _read(json.loads(file.read_bytes()))
    answer = ask_torch(environ)
    if answer.gpus and not answer.why and not any(one.why for one in answer.gpus):
        with contextlib.suppress(OSError):  # a cache that can't be written costs the seconds again
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps({"why": "", "gpus": [vars(one) for one in answer.gpus]}))
            part.replace(file)
    return answer


def _key(gpus: Sequence[Gpu], environ: Mapping[str, str]) -> str:
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = ""
    driver = _DRIVER.read_text() if _DRIVER.is_file() else ""
    facts = [sys.executable, torch, driver, environ.get("CUDA_VISIBLE_DEVICES"), [gpu.uuid for gpu in gpus]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _nvidia_is_here() -> bool:
    """A driver, or its program: also where nvidia-smi fails, is too slow, or is left out of a container."""
    return _DRIVER.is_file() or shutil.which("nvidia-smi") is not None
