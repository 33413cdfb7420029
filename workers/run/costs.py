"""What one attempt at a Run costs, added up as it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from proctor.nouns.runs import Cost, Measures
from workers.engines.base import ComputeDevice
from workers.engines.measure import Meter, PeakMemory
from workers.engines.scoring import Prepared
from workers.run.replies import PackReplies


class AttemptCosts:
    """`with AttemptCosts(device) as costs:` around the work; `costs.measures` has the peaks of memory after it."""

    def __init__(self, device: ComputeDevice) -> None:
        self._device = device
        self._peak = PeakMemory(device)
        self._load = self._tokenize = self._prefix = self._score = self._write = Cost()
        self._computed = self._saved = self._written = 0

    def loaded(self, cost: Cost) -> None:
        self._load += cost

    def prepared(self, prepared: Prepared) -> None:
        self._tokenize += prepared.tokenizing
        self._prefix += prepared.prefilling
        self._computed += prepared.prefix_tokens
        self._saved -= prepared.prefix_tokens  # each pack counts what it was spared, and once it was computed

    def answered(self, replies: PackReplies) -> None:
        self._score += replies.cost
        self._computed += replies.tokens_computed
        self._saved += replies.tokens_saved
        self._written += replies.tokens_written

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around what is written to the database."""
        with Meter(self._device) as meter:
            yield
        self._write += meter.cost

    @property
    def measures(self) -> Measures:
        return Measures(
            load=self._load,
            tokenize=self._tokenize,
            prefix=self._prefix,
            score=self._score,
            write=self._write,
            peak_rss_bytes=self._peak.rss_bytes,
            peak_device_bytes=self._peak.device.used_bytes,
            peak_reserved_bytes=self._peak.device.reserved_bytes,
            tokens_computed=self._computed,
            tokens_saved=self._saved,
            tokens_written=self._written,
        )

    def __enter__(self) -> Self:
        self._peak.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._peak.__exit__(kind, error, trace)
