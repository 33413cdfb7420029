"""What of a device a worker may take, and where the layers of a model go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from proctor.catalog.memory import pack_bytes, weight_bytes
from proctor.catalog.weights import read_folder
from proctor.nouns.models import Device, DType, Quant
from tests import tiny
from workers.engines.devices import DeviceMap, is_of_the_device, is_shortage, limit_of, own_device, place
from workers.engines.hf.load import placement
from workers.run.costs import AttemptCosts


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


def test_a_model_without_a_group_goes_to_its_device_whole() -> None:
    assert tiny.CPU.free_by_gpu() == ()
    assert replace(tiny.CPU, kind=Device.GPU, gpus=1).free_by_gpu() == ()
    assert place("cpu", 10**12, ()) == DeviceMap({"": "cpu"})


def test_a_model_that_fits_on_the_first_gpu_of_a_group_is_not_spread() -> None:
    assert place("cuda:0", 70, (70, 80)) == DeviceMap({"": "cuda:0"})


def test_a_model_too_large_for_the_first_gpu_is_spread_over_the_gpus_alone() -> None:
    assert place("cuda:0", 71, (70, 80)) == DeviceMap("balanced", {0: 70, 1: 80})


def test_a_model_is_placed_for_the_packs_that_are_asked_for(tmp_path: Path) -> None:
    weights = read_folder(tiny.make(tmp_path))
    room = weight_bytes(weights, Quant.NONE, DType.FLOAT32) + pack_bytes(weights, DType.FLOAT32, 2048)
    pair = tiny.Group((room, room))
    assert placement(weights, Quant.NONE, DType.FLOAT32, 2048, pair) == DeviceMap({"": "cpu"})
    assert placement(weights, Quant.NONE, DType.FLOAT32, 2049, pair).device_map == "balanced"


def test_each_gpu_of_a_group_gives_what_is_free_and_its_share_of_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: ((50, 100), (90, 300))[gpu])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda gpu: (10, 20)[gpu])
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda gpu: (15, 20)[gpu])
    two = replace(tiny.CPU, kind=Device.GPU, gpus=2, memory_bytes=400)
    assert two.free_by_gpu() == (55, 90)
    assert replace(two, limit_bytes=100).free_by_gpu() == (25 - 10, 75 - 20)
    assert replace(two, limit_bytes=4).free_by_gpu() == (0, 0)


def test_a_peak_of_the_gpus_is_of_all_together_in_use_and_held(monkeypatch: pytest.MonkeyPatch) -> None:
    used, held = {0: 70, 1: 30}, {0: 100, 1: 64}
    reset: list[int] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", used.__getitem__)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", held.__getitem__)
    with AttemptCosts(replace(tiny.CPU, kind=Device.GPU, gpus=2)) as costs:
        assert reset == [0, 1]
        used[0] = 75
    assert (costs.measures.peak_device_bytes, costs.measures.peak_reserved_bytes) == (75 + 30, 100 + 64)
    with AttemptCosts(tiny.CPU) as costs:
        pass
    assert (costs.measures.peak_device_bytes, costs.measures.peak_reserved_bytes) == (0, 0)


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


def test_a_gpu_sums_16_bit_products_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    matmul = torch.backends.cuda.matmul
    l4 = SimpleNamespace(name="NVIDIA L4", total_memory=23 << 30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: l4)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    before = matmul.allow_bf16_reduced_precision_reduction, matmul.allow_fp16_reduced_precision_reduction
    try:
        found = own_device(Device.GPU)
        assert (found.name, found.gpus, found.has_bfloat16, found.limit_bytes) == ("NVIDIA L4", 1, True, None)
        assert not matmul.allow_bf16_reduced_precision_reduction
        assert not matmul.allow_fp16_reduced_precision_reduction
    finally:
        matmul.allow_bf16_reduced_precision_reduction, matmul.allow_fp16_reduced_precision_reduction = before
