"""Measuring a piece of work: time by clock, CPU and GPU, and the peak of memory within it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from proctor.nouns.runs import Cost
from workers.engines.base import ComputeDevice, DevicePeak

_SAMPLE_S = 0.01
_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class Meter:
    """`with Meter(device) as meter: work()`, then `meter.cost`.

    CPU time is the whole process's, all threads. GPU time is between the first and the last kernel of the
    block, which ends when the device has finished.
    """

    def __init__(self, device: ComputeDevice) -> None:
        self.device = device
        self.cost = Cost()

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._end_gpu_time = self.device.begin_gpu_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gpu_s = self._end_gpu_time() if error is None else 0.0
        self.cost = Cost(time.perf_counter() - self._wall, time.process_time() - self._cpu, gpu_s)


class PeakMemory:
    """`with PeakMemory(device) as peak: work()`, then `peak.rss_bytes` and `peak.device`: this block's peaks.

    The kernel's own high-water mark is reset on entry where the system allows it (Linux; `exact` is then True).
    Elsewhere a thread samples a hundred times a second, which can miss a shorter peak. One block at a time a process.
    """

    def __init__(self, device: ComputeDevice) -> None:
        self._on = device
        self.rss_bytes = 0
        self.device = DevicePeak()
        self.exact = False

    def __enter__(self) -> Self:
        self._device_peak = self._on.begin_peak()
        self.exact = _reset_high_water_mark()
        self.rss_bytes = psutil.Process().memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="peak-memory", daemon=True)
        if not self.exact:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.exact:
            self.rss_bytes = max(self.rss_bytes, _high_water_mark())
        else:
            self._stop.set()
            self._thread.join()
        self.device = self._device_peak()

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.rss_bytes = max(self.rss_bytes, process.memory_info().rss)
            if self._stop.wait(_SAMPLE_S):
                return


def peaks_are_exact() -> bool:
    """Whether `PeakMemory` can use the kernel's mark here; it samples where not, which a Run's notes must say."""
    return os.access(_CLEAR_REFS, os.W_OK) and _high_water_mark() > 0


def _reset_high_water_mark() -> bool:
    """Set VmHWM to the present size (proc(5), clear_refs: 5). False where that isn't possible."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return _high_water_mark() > 0


def _high_water_mark() -> int:
    """The process's peak resident set since the last reset, in bytes (VmHWM); 0 where it isn't told."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
