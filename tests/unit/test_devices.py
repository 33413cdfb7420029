"""What of a device a worker may take, and where the layers of a model go."""

from __future__ import annotations

from dataclasses import replace

import psutil
import torch

from proctor.nouns import Device
from tests import tiny
from workers.devices import limit_of, own_device


def test_a_limit_counts_where_it_is_below_what_is_there() -> None:
    assert limit_of(5, 10) == 5
    assert limit_of(10, 10) is None
    assert limit_of(None, 10) is None


def test_a_limited_cpu_has_what_its_limit_leaves_beside_this_process() -> None:
    mine = psutil.Process().memory_info().rss
    limited = replace(tiny.CPU, limit_bytes=mine + (64 << 20))
    assert 0 <= limited.available_bytes() <= 80 << 20
    assert replace(tiny.CPU, limit_bytes=1).available_bytes() == 0
    assert tiny.CPU.available_bytes() > 80 << 20


def test_a_worker_of_the_cpu_takes_the_limit_of_its_card() -> None:
    threads = torch.get_num_threads()
    try:
        assert own_device(Device.CPU, 1 << 30).limit_bytes == 1 << 30
        assert own_device(Device.CPU, 1 << 60).limit_bytes is None
    finally:
        torch.set_num_threads(threads)


def test_a_model_goes_to_one_device_or_evenly_over_a_group() -> None:
    assert tiny.CPU.placement == {"": "cpu"}
    assert replace(tiny.CPU, kind=Device.GPU, gpus=1).placement == {"": "cpu"}
    assert replace(tiny.CPU, kind=Device.GPU, gpus=2).placement == "balanced"
