"""The device of a worker that asks a server: no memory, no cores, but a connection with a key and a patience."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from proctor.catalog.endpoint import Endpoint, client
from proctor.nouns.models import Device
from workers.engines.base import DevicePeak
from workers.engines.endpoint.retries import PATIENCE, Patience
from workers.engines.endpoint.server import Server


@dataclass(frozen=True)
class EndpointDevice:
    """The `ComputeDevice` that asks elsewhere; see `Server` for `moved` and `stopped`."""

    endpoint: Endpoint
    moved: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    patience: Patience = PATIENCE
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)  # with the key
    kind: Device = field(default=Device.NET, init=False)
    gpus: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        return self.endpoint.url

    def connect(self) -> Server:
        """A connection of its own."""
        return Server(
            self.endpoint.url,
            client(self.endpoint.url, self.environ),
            self.endpoint.in_flight,
            patience=self.patience,
            moved=self.moved,
            stopped=self.stopped,
        )

    def release(self) -> None:
        """It holds no memory."""

    def begin_gpu_time(self) -> Callable[[], float]:
        return lambda: 0.0

    def begin_peak(self) -> Callable[[], DevicePeak]:
        return DevicePeak
