"""Workers: who they are, and what waits for them on a lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from proctor.nouns.models import Device, Lane, Quant


@dataclass(frozen=True)
class WorkerCard:
    """Who a worker is: one process that owns one device."""

    name: str  # unique while it lives: cpu@host:pid
    host: str
    device: Device
    device_name: str
    memory_bytes: int  # what its models may take, all its GPUs together
    lanes: tuple[str, ...] = ()  # patterns (fnmatch) of lanes that it may serve; empty: all
    sweep_id: int | None = None  # the one sweep that it was started for; None: any
    quants: tuple[Quant, ...] = tuple(Quant)  # what its libraries and its device can do
    versions: Mapping[str, str] = field(default_factory=dict)  # library -> version


@dataclass(frozen=True)
class LaneLoad:
    """What waits on one lane, as the choice of the next lane sees it."""

    lane: Lane
    priority: int  # the highest among its waiting Runs; higher goes first
    waiting: int
    workers: int  # other workers that hold this lane now
    mean_run_s: float | None = None  # None: none has finished yet
    mean_load_s: float | None = None
    share: int = 0  # other workers that serve the sweep that waits here; of several, the one that is served least
    turn: int = 0  # that sweep's place among those that wait, the one that a worker went to longest ago first
    needs_bytes: int | None = None  # what the lane's model is predicted to need; None: not known
