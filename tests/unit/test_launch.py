"""Which devices get a worker, and how it is told who it is."""

from __future__ import annotations

import pytest

from proctor.errors import BadInput, WorkersUnavailable
from proctor.machine import Gpu, Machine
from proctor.nouns import Device, WorkerCard
from workers.card import card_environ, read_card
from workers.launch import Wanted, check_packages, posts

GPUS = (Gpu(0, "GPU-a", "H100", 80 << 30), Gpu(1, "GPU-b", "H100", 80 << 30))
BARE = Machine(8, 32 << 30, 16 << 30, cpu_bfloat16=True, cpu_name="EPYC")
EQUIPPED = Machine(8, 32 << 30, 16 << 30, cpu_bfloat16=True, cpu_name="EPYC", gpus=GPUS)


def names(machine: Machine, devices: str) -> list[str]:
    return [post.card.name for post in posts(machine, Wanted(devices), "here", "7")]


def test_every_gpu_gets_a_worker_that_sees_no_other() -> None:
    found = posts(EQUIPPED, Wanted(), "here", "7")
    assert [(post.card.name, post.cuda_visible_devices) for post in found] == [
        ("gpu0@here:7", "GPU-a"),
        ("gpu1@here:7", "GPU-b"),
    ]
    assert {post.card.device for post in found} == {Device.GPU}


def test_a_machine_without_gpus_gets_one_worker_for_its_cpu_that_sees_none() -> None:
    (post,) = posts(BARE, Wanted(), "here", "7")
    assert post.card == WorkerCard("cpu@here:7", "here", Device.CPU, "EPYC", 32 << 30)
    assert post.cuda_visible_devices == ""


def test_devices_can_be_chosen() -> None:
    assert names(EQUIPPED, "cpu") == ["cpu@here:7"]
    assert names(EQUIPPED, "1") == ["gpu1@here:7"]
    assert names(EQUIPPED, "0,1") == names(EQUIPPED, "cuda") == ["gpu0@here:7", "gpu1@here:7"]


def test_lanes_and_sweep_stand_on_every_card() -> None:
    found = posts(EQUIPPED, Wanted("auto", ("gpu/*/4bit",), 5), "here", "7")
    assert {(post.card.lanes, post.card.sweep_id) for post in found} == {(("gpu/*/4bit",), 5)}


@pytest.mark.parametrize(
    ("machine", "devices", "message"),
    [
        (BARE, "cuda", "shows no GPU"),
        (BARE, "0", "no GPU 0.*There are: none"),
        (EQUIPPED, "0,4", "no GPU 4.*There are: 0, 1"),
        (EQUIPPED, "tpu", "no GPU tpu"),
    ],
)
def test_a_device_that_is_not_there_is_named_with_those_that_are(machine: Machine, devices: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        posts(machine, Wanted(devices), "here", "7")


def test_a_worker_reads_the_card_that_it_was_given() -> None:
    card = WorkerCard("gpu0@here:7", "here", Device.GPU, "H100", 80 << 30, ("gpu/*",), 3)
    assert read_card(card_environ(card, 5)) == card


@pytest.mark.parametrize("told", [{}, {"PROCTOR_WORKER_CARD": "{"}, {"PROCTOR_WORKER_CARD": "{}"}])
def test_a_worker_that_no_launcher_started_says_what_to_use(told: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="proctor worker"):
        read_card(told)


def test_packages_that_are_missing_are_named_with_the_command_that_installs_them() -> None:
    with pytest.raises(WorkersUnavailable, match=r"no_such_package.*pip install 'proctor-exams\[worker\]'"):
        check_packages(["json", "no_such_package"])
