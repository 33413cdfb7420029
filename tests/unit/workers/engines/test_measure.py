"""Times and peaks of memory, and the device that they are measured on."""

from __future__ import annotations

import time

import pytest
import torch

from proctor.errors import BadInput
from proctor.nouns.models import Device
from tests import tiny
from tests.support import printed_by
from workers.engines.devices import own_device
from workers.engines.measure import Meter

MB = 1_000_000


def test_waiting_takes_wall_time_and_no_cpu_time() -> None:
    with Meter(tiny.CPU) as waiting:
        time.sleep(0.2)
    assert waiting.cost.wall_s >= 0.2
    assert waiting.cost.cpu_s < 0.15
    assert waiting.cost.gpu_s == 0


def test_computing_takes_cpu_time() -> None:
    with Meter(tiny.CPU) as computing:
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
    assert computing.cost.cpu_s >= 0.1


def test_work_that_fails_is_measured_and_its_error_kept() -> None:
    with pytest.raises(KeyError), Meter(tiny.CPU) as failing:
        raise KeyError
    assert failing.cost.wall_s > 0


# In processes of their own: here, what earlier tests left is given back at any moment, and counts against a peak.
TOUCH = """
import mmap, time
from pathlib import Path
from tests import tiny
from workers.engines import measure as meter
from workers.engines.measure import PeakMemory
MB = 1_000_000
def touch(size):
    with mmap.mmap(-1, size) as pages:
        for place in range(0, size, mmap.PAGESIZE):
            pages[place] = 1
        time.sleep(0.1)
"""


def test_a_peak_is_of_its_own_block_not_of_the_process() -> None:
    small, large, on_the_device = printed_by(f"""{TOUCH}
touch(400 * MB)
with PeakMemory(tiny.CPU) as small:
    touch(20 * MB)
with PeakMemory(tiny.CPU) as large:
    touch(200 * MB)
print(small.rss_bytes, large.rss_bytes, large.device.used_bytes)
""")
    assert int(large) - int(small) > 120 * MB
    assert int(on_the_device) == 0


def test_where_the_kernel_keeps_no_mark_a_thread_samples() -> None:
    grown, *exact = printed_by(f"""{TOUCH}
meter._CLEAR_REFS = Path("/no such folder/clear_refs")
with PeakMemory(tiny.CPU) as peak:
    before = peak.rss_bytes
    touch(50 * MB)
print(peak.rss_bytes - before, peak.exact, meter.peaks_are_exact())
""")
    assert exact == ["False", "False"]
    assert int(grown) > 40 * MB


def test_the_cpu_is_described() -> None:
    threads = torch.get_num_threads()
    try:
        device = own_device(Device.CPU)
    finally:
        torch.set_num_threads(threads)
    assert (device.kind, device.torch) == (Device.CPU, torch.device("cpu"))
    assert "threads" in device.name
    assert 0 < device.available_bytes() <= device.memory_bytes


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(BadInput, match="torch sees none"):
        own_device(Device.GPU)
