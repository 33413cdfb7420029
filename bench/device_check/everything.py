"""All checks, in the order of their worth: a time that is too short loses the last ones."""

from __future__ import annotations

from bench.device_check import of_device, of_memory, of_replies, of_scores, of_speed, of_whole
from bench.device_check.check import Check
from proctor.nouns.models import DType

CHECKS: tuple[Check, ...] = (
    *of_device.checks(),
    *of_scores.checks(),
    *of_replies.checks(),
    *of_device.shortages(),
    of_whole.sweep(),
    of_whole.demo(DType.FLOAT32),
    of_whole.demo(DType.BFLOAT16),
    *of_memory.checks(),
    of_whole.group(),
    of_speed.rates(),
    *(check for shape in of_speed.SHAPES for check in of_speed.scoring(shape)),
    *(check for shape in of_speed.SHAPES for check in of_speed.replying(shape)),
)
