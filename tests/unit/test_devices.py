"""What of a device a worker may take, and where the layers of a model go."""

from __future__ import annotations

from dataclasses import replace

import psutil
import pytest
import torch

from proctor.nouns import Device
from tests import tiny
from workers.devices import is_of_the_device, is_shortage, limit_of, own_device


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


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
    ],
    ids=str,
)
def test_a_shortage_of_memory_is_known_however_it_is_said(error: Exception) -> None:
    assert is_shortage(error)
    assert is_of_the_device(error)


def test_another_error_of_cuda_is_the_devices_and_no_shortage() -> None:
    sick = torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")
    assert (is_shortage(sick), is_of_the_device(sick)) == (False, True)


def test_an_error_of_the_model_is_neither() -> None:
    wrong = RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)")
    assert (is_shortage(wrong), is_of_the_device(wrong)) == (False, False)
