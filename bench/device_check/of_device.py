"""Whether the device is what it is taken for: torch's probe, the way a worker goes, the kernel, words for no memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from bench.device_check.check import Check
from bench.device_check.results import Found
from bench.device_check.workshop import Need, Workshop
from proctor.gpus import ask_torch
from proctor.hardware import look
from proctor.nouns.models import Device, DType
from workers.engines.hf.scoring import varlen
from workers.engines.hf.scoring.cascade import AttentionRule, explicit
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.varlen_check import Attended, kernel_of
from workers.launcher.versions import versions

_LIMIT_S = 120.0  # for a process that runs out of memory on purpose
_OUT, _LOGSUMEXP = 0.03, 2e-3  # what 16-bit inputs and results explain
_HIDDEN = -1e30


def checks() -> list[Check]:
    """The probe and the way first: whoever is in a hurry has what matters most."""
    kernels = [
        Check(
            f"kernel-{dtype}",
            f"torch's kernel off attention spelled out by at most {_OUT:g}, its sums by {_LOGSUMEXP:g} nats",
            _kernel(TYPES[dtype]),
            (Need.KERNEL,),
        )
        for dtype in TYPES
    ]
    return [
        Check("probe", "a process that asks torch sees the GPUs that this one computes on", probe),
        Check("way", "a bfloat16 model is scored by the cascade, on GPUs since Ampere through the kernel", way),
        *kernels,
    ]


def shortages() -> list[Check]:
    """Errors that CUDA makes on purpose, each in a process of its own, since it may break the device there."""
    return [Check(f"error-{one.name}", one.expects, _shortage(one), one.needs) for one in ERRORS]


def probe(shop: Workshop) -> Found:
    """What torch says in a process of its own, beside what is seen here and what nvidia-smi shows."""
    answer = ask_torch(dict(os.environ))
    shown = look(os.environ).gpus
    told = [f"{one.name}, {one.memory_bytes >> 30} GiB, {one.capability[0]}.{one.capability[1]}" for one in answer.gpus]
    sick = [one.why for one in answer.gpus if one.why]
    here = shop.device.gpus if shop.device.kind is Device.GPU else torch.cuda.device_count()
    good = len(answer.gpus) == here and not sick and len(shown) in (0, len(answer.gpus))
    libraries = {name: version for name, version in versions().items() if name != "git"}
    said = "; ".join([*told, *sick, *filter(None, [answer.why])]) or "no GPU"
    native = all(one.bfloat16 for one in answer.gpus) if answer.gpus else None
    return Found(
        f"{said}; computing on {shop.device.name}",
        good,
        {"gpus": here, "shown_by_nvidia_smi": len(shown), "bfloat16": native, **libraries, **shop.device.versions},
    )


def way(shop: Workshop) -> Found:
    """How a worker would score a small model here, and which kernel it would trust."""
    engine = shop.load(shop.checkpoint("llama", DType.BFLOAT16), DType.AUTO)
    scorer, why_plain = scorer_for(engine.model, engine.tokenizer, shop.device)
    kernel, why_not = kernel_of(shop.device.torch, engine.model.model.dtype)
    wanted = "varlen" if not shop.lacks(Need.KERNEL) else kernel
    words = [f"{scorer.name}{f' ({kernel})' if kernel else ''} in {engine.dtype}", why_plain, why_not]
    return Found("; ".join(filter(None, words)), scorer.name == "cascade" and kernel == wanted)


# ---------------------------------------------------------------------------------------------------- the kernel

TYPES = {DType.BFLOAT16: torch.bfloat16, DType.FLOAT16: torch.float16}
_HEADS = ((8, 8, 64), (32, 8, 64), (28, 4, 128), (9, 3, 64), (8, 2, 96), (4, 1, 256))  # heads, of keys, their width
_LINES = ((300,), (1,), (1, 1, 1), (5, 130, 1, 77), (128, 64, 33, 2) * 4)  # tokens of the lines of a row
_PREFIX, _WINDOW, _SCALE = 257, 17, 0.11


def _kernel(dtype: torch.dtype) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        out = total = 0.0
        count = 0
        for found, expected in _cases(shop.device.torch, dtype):
            out = _larger(out, found[0].float() - expected[0])
            total = _larger(total, found[1] - expected[1])
            count += 1
        good = out <= _OUT and total <= _LOGSUMEXP
        return Found(
            f"{out:.2g} and {total:.2g} in {count} cases", good, {"out_off": out, "sums_off": total, "cases": count}
        )

    return run


def _larger(so_far: float, apart: torch.Tensor) -> float:
    found = float(apart.abs().max())
    return found if not found <= so_far else so_far  # NaN is larger than anything


def _cases(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[Attended, Attended]]:
    """What the kernel gives, and what it should: of lines, of lines with a window, of a prefix."""
    draw = torch.Generator().manual_seed(0)

    def rows(heads: int, tokens: int, width: int) -> torch.Tensor:
        return (torch.randn(1, heads, tokens, width, generator=draw) * 1.5).to(device, dtype)

    for heads, grouped, width in _HEADS:
        for lengths in _LINES:
            count = sum(lengths)
            query, key, value = rows(heads, count, width), rows(grouped, count, width), rows(grouped, count, width)
            before = rows(grouped, _PREFIX, width), rows(grouped, _PREFIX, width)
            for window in (None, _WINDOW):
                found = varlen.within(query, key, value, varlen.bounds(lengths, device), _SCALE, window)
                yield found, _spelled_out(query, key, value, _seen(lengths, window, device))
            yield varlen.behind(query, *before, _SCALE), _spelled_out(query, *before, None)


def _spelled_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None) -> Attended:
    out, total = explicit(query.float(), key.float(), value.float(), AttentionRule(_SCALE, None), mask=mask)
    return out.transpose(1, 2), total


def _seen(lengths: tuple[int, ...], window: int | None, device: torch.device) -> torch.Tensor:
    """(N, N) to be added to scores: 0 where a token sees another of its line, else so little that nothing is left."""
    line = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    distance = torch.arange(len(line))[:, None] - torch.arange(len(line))
    hidden = (line[:, None] != line) | (distance < 0)
    if window is not None:
        hidden |= distance >= window
    return torch.zeros(hidden.shape).masked_fill(hidden, _HIDDEN).to(device)


# ---------------------------------------------------------------------------------------------- errors on purpose


@dataclass(frozen=True)
class OnPurpose:
    """A program that fails, and what its error is to be taken for."""

    name: str
    program: str
    shortage: bool  # of memory: a pack is cut, a model doesn't fit
    of_the_device: bool  # no fault of a model
    needs: tuple[Need, ...] = (Need.CUDA,)

    @property
    def expects(self) -> str:
        if self.shortage:
            return "is taken for a shortage of memory"
        return "is taken for an error of the device, not of the model, and for no shortage of memory"


ERRORS = (
    OnPurpose("too-much", "torch.empty(1 << 50, dtype=torch.int8, device=DEVICE)", True, True, ()),
    OnPurpose(
        "cublas-without-room",
        "torch.cuda.set_per_process_memory_fraction(0.001)\n"
        "  a = torch.ones(64, 64, device=DEVICE, dtype=torch.bfloat16)\n  (a @ a).sum().item()",
        True,
        True,
    ),
    OnPurpose(
        "device-assert",
        "x = torch.zeros(4, device=DEVICE)\n  x[torch.tensor([9], device=DEVICE)].sum().item()",
        False,
        True,
    ),
)

_PROGRAM = """
import sys, torch
from workers.engines.devices import is_of_the_device, is_shortage
DEVICE = sys.argv[1]
try:
  {program}
except Exception as error:
  print(is_shortage(error), is_of_the_device(error), type(error).__name__, str(error).splitlines()[0][:200], sep="|")
else:
  print("it did not fail")
"""


def _shortage(one: OnPurpose) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        command = [sys.executable, "-c", _PROGRAM.format(program=one.program), str(shop.device.torch)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        told = done.stdout.strip() or f"-|-|{done.stderr.strip()[-200:]}"
        shortage, found, *words = [*told.split("|"), ""]
        good = (shortage, found) == (str(one.shortage), str(one.of_the_device))
        return Found(": ".join(filter(None, words)) or shortage, good, {"shortage": shortage, "of_the_device": found})

    return run
