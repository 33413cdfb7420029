"""What one worker is given of its machine: so many GPUs together, and so much memory at most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.errors import BadInput
from proctor.hardware import Gpu

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30,
         "TIB": 2**40}  # fmt: skip


@dataclass(frozen=True)
class Allotment:
    """`--group` and `--max-memory`."""

    group: int = 1  # GPUs of one worker
    max_memory_bytes: int | None = None  # of one worker; None: all that its devices have

    def __post_init__(self) -> None:
        if self.group < 1:
            raise BadInput(f"--group {self.group} is below 1.")

    @property
    def arguments(self) -> list[str]:
        """The same for a command line; nothing for what is left at its default."""
        group = [] if self.group == 1 else [f"--group={self.group}"]
        return group if self.max_memory_bytes is None else [*group, f"--max-memory={self.max_memory_bytes}"]

    def within(self, memory_bytes: int) -> int:
        """Bytes that a worker may take of a device that has `memory_bytes`."""
        return memory_bytes if self.max_memory_bytes is None else min(memory_bytes, self.max_memory_bytes)

    def groups_of(self, gpus: Sequence[Gpu]) -> list[tuple[Gpu, ...]]:
        """Neighbours together, `group` at a time, in their order; raises `BadInput` where some would be left over."""
        left = len(gpus) % self.group
        if left:
            whole = ",".join(str(gpu.index) for gpu in gpus[: len(gpus) - left])
            raise BadInput(
                f"--group {self.group}: {len(gpus)} GPUs make no whole groups.",
                f"Leave the rest alone by --devices {whole} (of `proctor worker`), or CUDA_VISIBLE_DEVICES={whole}."
                if whole
                else "Make groups smaller.",
            )
        return [tuple(gpus[start : start + self.group]) for start in range(0, len(gpus), self.group)]

    def check_for_cpu(self) -> None:
        """Raise `BadInput` where a group is wanted of workers that take the CPU."""
        if self.group > 1:
            raise BadInput(
                f"--group {self.group} is for GPUs, and the worker here takes the CPU.", "Leave --group away."
            )


WHOLE = Allotment()  # one device each, with all its memory


def group_name(group: Sequence[Gpu]) -> str:
    """`NVIDIA L4` for one, `2 x NVIDIA L4` for two."""
    names = sorted({gpu.name for gpu in group})
    return names[0] if len(group) == 1 else f"{len(group)} x {' and '.join(names)}"


def memory_bytes(text: str) -> int:
    """Bytes of what a person writes: `8GB` is 8 · 10⁹, `8GiB` is 8 · 2³⁰, a bare number is bytes.

    Raises
    ------
    BadInput
        for anything else, and for nothing at all.
    """
    read = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(read[1]) * UNITS[(read[2] or "").upper()]) if read else 0
    if size < 1:
        raise BadInput(f"--max-memory {text!r} is no size.", "Write a number with a unit, such as 8GB or 7.5GiB.")
    return size
