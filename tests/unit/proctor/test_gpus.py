"""Which GPUs torch can use: what a build, a driver, a mask or a sick GPU make of those that are plugged in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from proctor import gpus
from proctor.gpus import Answer, Told, ask_torch, usable
from proctor.hardware import Gpu, Machine

L4 = Gpu(0, "GPU-aaaa", "NVIDIA L4", 23 << 30, (8, 9))
V100 = Gpu(1, "GPU-bbbb", "Tesla V100", 16 << 30, (7, 0))
BARE = Machine(2, 8 << 30, 4 << 30, cpu_bfloat16=True, cpu_name="a CPU")
EQUIPPED = replace(BARE, gpus=(L4, V100))
SEES_L4 = Told("aaaa", "NVIDIA L4", 22 << 30, (8, 9), True, "")
SEES_V100 = Told(
    "bbbb", "Tesla V100", 15 << 30, (7, 0), False, "AcceleratorError: CUDA error: no kernel image is available"
)


def answering(answer: Answer, asked: list[Mapping[str, str]] | None = None) -> gpus.Ask:
    def ask(environ: Mapping[str, str]) -> Answer:
        if asked is not None:
            asked.append(environ)
        return answer

    return ask


def test_gpus_that_torch_computes_on_are_used_with_what_it_says_of_them(tmp_path: Path) -> None:
    seen = usable(EQUIPPED, {}, tmp_path, answering(Answer("", (SEES_L4, replace(SEES_V100, why="")))))
    assert [(gpu.index, gpu.memory_bytes, gpu.bfloat16) for gpu in seen.gpus] == [
        (0, 22 << 30, True),
        (1, 15 << 30, False),
    ]
    assert seen.gpus_unusable == ""


def test_a_gpu_without_kernels_in_this_torch_is_left_alone_with_the_reason(tmp_path: Path) -> None:
    seen = usable(EQUIPPED, {}, tmp_path, answering(Answer("", (SEES_L4, SEES_V100))))
    assert [gpu.name for gpu in seen.gpus] == ["NVIDIA L4"]
    assert "Tesla V100 (compute capability 7.0): AcceleratorError: CUDA error: no kernel image" in seen.gpus_unusable


def test_gpus_behind_a_torch_that_cannot_reach_them_are_none_and_it_says_why(tmp_path: Path) -> None:
    old = Answer("RuntimeError: The NVIDIA driver on your system is too old (found version 12020)")
    seen = usable(EQUIPPED, {}, tmp_path, answering(old))
    assert seen.gpus == ()
    assert "NVIDIA L4: RuntimeError: The NVIDIA driver on your system is too old" in seen.gpus_unusable
    assert "pick the build of torch" in seen.gpus_unusable


def test_a_gpu_that_nvidia_smi_shows_and_torch_does_not_is_told(tmp_path: Path) -> None:
    seen = usable(EQUIPPED, {}, tmp_path, answering(Answer("", (SEES_L4,))))
    assert seen.gpus_unusable == "Tesla V100: torch does not see it"


def test_gpus_are_found_where_nvidia_smi_is_missing_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_nvidia_is_here", lambda: True)
    seen = usable(BARE, {}, tmp_path, answering(Answer("", (SEES_L4,))))
    assert [(gpu.index, gpu.uuid, gpu.name) for gpu in seen.gpus] == [(0, "GPU-aaaa", "NVIDIA L4")]


def test_slices_of_a_gpu_are_passed_through_as_they_are_named_and_asked_one_by_one(tmp_path: Path) -> None:
    asked: list[Mapping[str, str]] = []
    piece = Told("aaaa", "NVIDIA H100 MIG 1g.10gb", 10 << 30, (9, 0), True, "")
    seen = usable(BARE, {"CUDA_VISIBLE_DEVICES": "MIG-1, MIG-2"}, tmp_path, answering(Answer("", (piece,)), asked))
    assert [environ["CUDA_VISIBLE_DEVICES"] for environ in asked] == ["MIG-1", "MIG-2"]
    assert [(gpu.index, gpu.uuid, gpu.memory_bytes) for gpu in seen.gpus] == [
        (0, "MIG-1", 10 << 30),
        (1, "MIG-2", 10 << 30),
    ]


@pytest.mark.parametrize("environ", [{"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "-1"}])
def test_gpus_that_the_environment_hides_are_not_asked_for(
    environ: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "_nvidia_is_here", lambda: True)
    assert usable(BARE, environ, tmp_path, lambda _: pytest.fail("nobody is to ask")) == BARE


def test_a_machine_without_any_sign_of_a_gpu_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_nvidia_is_here", lambda: False)
    assert usable(BARE, {}, tmp_path, lambda _: pytest.fail("nobody is to ask")) == BARE


def test_a_good_answer_is_remembered_until_the_gpus_change_and_a_bad_one_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Answer("it was restarting"), Answer("", (SEES_L4,)), Answer("", (SEES_L4, SEES_V100))]
    asked: list[Answer] = []

    def ask(_environ: Mapping[str, str]) -> Answer:
        asked.append(answers[len(asked)])
        return asked[-1]

    monkeypatch.setattr(gpus, "ask_torch", ask)
    one = replace(BARE, gpus=(L4,))
    assert usable(one, {}, tmp_path).gpus == ()
    assert [usable(one, {}, tmp_path).gpus[0].memory_bytes for _ in range(3)] == [22 << 30] * 3
    assert len(asked) == 2
    assert [gpu.name for gpu in usable(EQUIPPED, {}, tmp_path).gpus] == ["NVIDIA L4"]
    assert len(asked) == 3


def test_torch_itself_is_asked_in_a_process_of_its_own_and_says_why_or_what() -> None:
    answer = ask_torch({"CUDA_VISIBLE_DEVICES": "-1"})
    assert answer.gpus == ()
    assert "torch" in answer.why or "CUDA" in answer.why or "NVIDIA" in answer.why, answer


def test_a_program_that_dies_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "PROGRAM", "import sys; sys.exit('the bus is on fire')")
    assert ask_torch({}) == Answer("the process that asked torch failed: the bus is on fire")
