"""What a person should know beforehand of the device that a sweep will run on, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from proctor.hardware import Machine
from proctor.nouns.models import Device, Quant
from scheduler.plan import Target

SAID = {Device.GPU: "cuda", Device.CPU: "cpu", Device.NET: "net"}  # a device in the words of --device


def gpu_notes(machine: Machine, device: Device) -> Iterator[str]:
    """Why GPUs that are there stay idle; nothing where there are none, or nobody asked."""
    if machine.gpus_unusable:
        instead = "The CPU does it" if device is Device.CPU else "Other GPUs do it"
        yield f"{instead}: {machine.gpus_unusable}."


def begun_notes(begun: Device | None, auto: Device) -> tuple[str, ...]:
    """That a sweep goes on where it was begun, although `auto` would take another device by now."""
    if begun in (None, auto):
        return ()
    return (f"It was begun on the {begun} and goes on there; --device {SAID[auto]} begins it anew on the {auto}.",)


def float16_notes(models: Sequence[str]) -> Iterator[str]:
    """That these models of bfloat16 are computed otherwise on a GPU that has none."""
    if models:
        yield (
            f"This GPU has no bfloat16: {', '.join(models)} will compute in float16, or in float32, which takes twice "
            "the memory, where float16 overflows."
        )


def device_notes(quants: Sequence[Quant], device: Device, targets: Sequence[Target]) -> Iterator[str]:
    if not targets:
        yield "No worker is alive yet: the Runs will wait. Start one with `proctor worker`."
    if device is Device.CPU and any(quant is not Quant.NONE for quant in quants):
        yield "8 bit and 4 bit are slower than none on a CPU (2 to 5 times); the numbers are right."
