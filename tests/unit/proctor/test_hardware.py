"""What a machine has, as far as it can be told from what its programs and files say."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from proctor import hardware
from proctor.hardware import Gpu, look, parse_gpus, visible

SMI = """0, GPU-aaaa1111, NVIDIA H100 80GB HBM3, 81559
1, GPU-aaaa2222, NVIDIA H100 80GB HBM3, 81559
2, GPU-bbbb3333, NVIDIA L4, 23034
"""
GPUS = parse_gpus(SMI)


def test_gpus_are_read_from_nvidia_smi() -> None:
    assert len(GPUS) == 3
    assert GPUS[2] == Gpu(2, "GPU-bbbb3333", "NVIDIA L4", 23034 * 1024 * 1024)


def test_a_driver_that_tells_the_compute_capability_is_heard() -> None:
    told = parse_gpus("0, GPU-a, NVIDIA L4, 23034, 8.9\n1, GPU-b, Old, 4096, [N/A]\n")
    assert [gpu.capability for gpu in told] == [(8, 9), None]
    assert GPUS[0].capability is None


def test_an_old_driver_that_does_not_know_the_question_is_asked_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f"case $1 in *compute_cap*) exit 2;; esac\ncat <<'END'\n{SMI}END"
    program(tmp_path, body)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert [gpu.index for gpu in look({}).gpus] == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "No devices were found\n", "0, GPU-1, Thing, [Unknown Error]\n"])
def test_what_is_no_list_of_gpus_is_no_gpu(text: str) -> None:
    assert parse_gpus(text) == ()


def test_a_gpu_that_shares_the_machines_memory_has_that_much() -> None:
    (shared,) = parse_gpus("0, GPU-1, NVIDIA GB10, [N/A], 12.1\n", shared_bytes=128 << 30)
    assert (shared.name, shared.memory_bytes, shared.capability) == ("NVIDIA GB10", 128 << 30, (12, 1))


@pytest.mark.parametrize(
    ("mask", "indexes"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("2,0", [2, 0]),
        ("1,-1,0", [1]),
        ("0,7,1", [0]),
        ("GPU-bbbb", [2]),
        ("GPU-aaaa2222, 0", [1, 0]),
        ("GPU-aaaa", []),  # names two
        ("MIG-1234", []),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(mask: str | None, indexes: list[int]) -> None:
    assert [gpu.index for gpu in visible(GPUS, mask)] == indexes


def program(folder: Path, body: str) -> None:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_the_programs_answer_becomes_gpus_that_the_mask_lets_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, f"cat <<'END'\n{SMI}END")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert [gpu.index for gpu in look({"CUDA_VISIBLE_DEVICES": "1"}).gpus] == [1]


def test_a_driver_that_is_not_loaded_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo 'NVIDIA-SMI has failed because it could not communicate with the driver' >&2; exit 9")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert look({}).gpus == ()


def test_this_machine_has_cores_and_memory() -> None:
    here = look({})
    assert here.cores >= 1
    assert 0 < here.available_bytes <= here.memory_bytes
    assert here.cpu_name


def test_a_container_with_less_memory_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("600000\n")
    (tmp_path / "memory.stat").write_text("anon 100000\ninactive_file 250000\n")
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    here = look({})
    assert (here.memory_bytes, here.available_bytes) == (1_000_000, 650_000)


@pytest.mark.parametrize(
    ("cpuinfo", "native"),
    [
        ("model name\t: AMD EPYC 9004\nflags\t\t: fpu avx512f avx512_bf16 avx2\n", True),
        ("model name\t: Intel Xeon 8488C\nflags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", True),
        ("model name\t: Intel Xeon E5\nflags\t\t: fpu avx2\n", False),
    ],
)
def test_native_bfloat16_is_read_from_the_cpus_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str, native: bool
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "cpuinfo")
    assert look({}).cpu_bfloat16 is native


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n", "550.54.15"),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\nGCC version: 12.2.0\n",
            "580.95.05",
        ),
        ("", ""),
    ],
)
def test_the_drivers_version_is_read_from_the_kernels_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, version: str
) -> None:
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(hardware, "_DRIVER", tmp_path / "version")
    assert hardware.driver() == version
