"""Which devices get a worker, and how it is told who it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proctor.allotment import Allotment, memory_bytes
from proctor.catalog.endpoint import Endpoint, Vllm
from proctor.errors import BadInput, WorkersUnavailable
from proctor.hardware import Gpu, Machine
from proctor.nouns.models import Device, Quant
from proctor.nouns.workers import WorkerCard
from proctor.store.runs.eligibility import serves
from workers.launcher import run
from workers.launcher.identity import card_environ, read_card, read_endpoint, read_vllm
from workers.launcher.placement import LauncherId, LauncherOptions, quants_of, seats
from workers.launcher.run import check_packages

GPUS = (Gpu(0, "GPU-a", "H100", 80 << 30, (9, 0)), Gpu(1, "GPU-b", "H100", 80 << 30, (9, 0)))
VERSIONS = {"torch": "2.13.0", "bitsandbytes": "0.50.0"}
HERE = LauncherId("here", "7", VERSIONS)
BARE = Machine(8, 32 << 30, 16 << 30, cpu_bfloat16=True, cpu_name="EPYC")
EQUIPPED = Machine(8, 32 << 30, 16 << 30, cpu_bfloat16=True, cpu_name="EPYC", gpus=GPUS)


def names(machine: Machine, devices: str) -> list[str]:
    return [post.card.name for post in seats(machine, LauncherOptions(devices), HERE)]


def test_every_gpu_gets_a_worker_that_sees_no_other() -> None:
    found = seats(EQUIPPED, LauncherOptions(), HERE)
    assert [(post.card.name, post.cuda_visible_devices) for post in found] == [
        ("gpu0@here:7", "GPU-a"),
        ("gpu1@here:7", "GPU-b"),
    ]
    assert {post.card.device for post in found} == {Device.GPU}


def test_a_machine_without_gpus_gets_one_worker_for_its_cpu_that_sees_none() -> None:
    (post,) = seats(BARE, LauncherOptions(), HERE)
    assert post.card == WorkerCard("cpu@here:7", "here", Device.CPU, "EPYC", 32 << 30, versions=VERSIONS)
    assert post.cuda_visible_devices == ""


def test_a_gpus_process_has_an_allocator_without_gaps_unless_the_environment_says_another() -> None:
    (first, _), (cpu,) = seats(EQUIPPED, LauncherOptions(), HERE), seats(BARE, LauncherOptions(), HERE)
    assert first.environ({"HOME": "/"}) == {
        "HOME": "/", "CUDA_VISIBLE_DEVICES": "GPU-a", "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    }  # fmt: skip
    assert cpu.environ({"HOME": "/", "CUDA_VISIBLE_DEVICES": "0"}) == {"HOME": "/", "CUDA_VISIBLE_DEVICES": ""}
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        said = {name: "max_split_size_mb:512"}
        assert first.environ(said) == {**said, "CUDA_VISIBLE_DEVICES": "GPU-a"}


def test_devices_can_be_chosen() -> None:
    assert names(EQUIPPED, "cpu") == ["cpu@here:7"]
    assert names(EQUIPPED, "1") == ["gpu1@here:7"]
    assert names(EQUIPPED, "0,1") == names(EQUIPPED, "cuda") == ["gpu0@here:7", "gpu1@here:7"]


def test_lanes_and_sweep_stand_on_every_card() -> None:
    found = seats(EQUIPPED, LauncherOptions("auto", ("gpu/*/4bit",), 5), HERE)
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
        seats(machine, LauncherOptions(devices), HERE)


def test_a_worker_may_own_a_group_of_gpus_with_their_memory_together() -> None:
    (post,) = seats(EQUIPPED, LauncherOptions(allotment=Allotment(2)), HERE)
    assert post.card.name == "gpu0-1@here:7"
    assert (post.card.device_name, post.card.memory_bytes) == ("2 x H100", 160 << 30)
    assert post.cuda_visible_devices == "GPU-a,GPU-b"


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 12])
def test_groups_are_whole_and_hold_each_gpu_once_in_order(size: int) -> None:
    gpus = [Gpu(index, f"GPU-{index}", "L4", 1) for index in range(12)]
    groups = Allotment(size).groups_of(gpus)
    assert [gpu for group in groups for gpu in group] == gpus
    assert {len(group) for group in groups} == {size}


def test_gpus_that_make_no_whole_groups_are_refused_with_those_that_would() -> None:
    gpus = [Gpu(index, f"GPU-{index}", "L4", 1) for index in range(5)]
    with pytest.raises(BadInput, match=r"5 GPUs make no whole groups.*--devices 0,1,2,3 "):
        Allotment(2).groups_of(gpus)
    with pytest.raises(BadInput, match=r"Make groups smaller"):
        Allotment(2).groups_of(gpus[:1])
    with pytest.raises(BadInput, match=r"--group 2 is for GPUs"):
        seats(BARE, LauncherOptions(allotment=Allotment(2)), HERE)
    with pytest.raises(BadInput, match=r"--group 0"):
        Allotment(0)


def test_a_limit_of_memory_stands_on_the_card_and_never_above_what_is_there() -> None:
    (limited,) = seats(BARE, LauncherOptions(allotment=Allotment(max_memory_bytes=8 * 10**9)), HERE)
    assert limited.card.memory_bytes == 8 * 10**9
    (generous,) = seats(BARE, LauncherOptions(allotment=Allotment(max_memory_bytes=10**15)), HERE)
    assert generous.card.memory_bytes == 32 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 10**9),
        ("8gb", 8 * 10**9),
        ("7.5 GiB", 15 << 29),
        ("512MiB", 512 << 20),
        ("1TB", 10**12),
        ("1.5KB", 1500),
        ("3MB", 3_000_000),
        ("1000", 1000),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "8 G B", "0GB", "8XB", "1e3GB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"--max-memory .* is no size"):
        memory_bytes(text)


def test_quantizations_need_bitsandbytes_and_a_gpu_that_is_new_enough() -> None:
    def gpu(*capability: int) -> Gpu:
        return Gpu(0, "GPU-a", "some", 1, (capability[0], capability[1]) if capability else None)

    assert quants_of([], quantizes=False) == (Quant.NONE,)
    assert quants_of([], quantizes=True) == tuple(Quant)
    assert quants_of([gpu(9, 0)], quantizes=True) == tuple(Quant)
    assert quants_of([gpu(7, 0)], quantizes=True) == (Quant.NONE, Quant.FOUR_BIT)
    assert quants_of([gpu(5, 2)], quantizes=True) == (Quant.NONE,)
    assert quants_of([gpu()], quantizes=True) == tuple(Quant)
    assert quants_of([gpu(9, 0), gpu(7, 0)], quantizes=True) == (Quant.NONE, Quant.FOUR_BIT)
    (post,) = seats(BARE, LauncherOptions(), LauncherId("here", "7", {"torch": "2.13.0"}))
    assert post.card.quants == (Quant.NONE,)


def test_the_command_passes_on_what_its_launcher_understands() -> None:
    told = run._parser().parse_args(
        ["--devices", "0,1", "--group=2", "--max-memory=8GB", "--lanes=gpu/*", "--lanes=cpu/*"]
    )
    assert run.wanted(told) == LauncherOptions("0,1", ("gpu/*", "cpu/*"), None, Allotment(2, 8 * 10**9))


def test_a_worker_reads_the_card_that_it_was_given() -> None:
    quants = (Quant.NONE, Quant.FOUR_BIT)
    card = WorkerCard("gpu0@here:7", "here", Device.GPU, "H100", 80 << 30, ("gpu/*",), 3, quants, VERSIONS)
    assert read_card(card_environ(card, 5)) == card


@pytest.mark.parametrize("told", [{}, {"PROCTOR_WORKER_CARD": "{"}, {"PROCTOR_WORKER_CARD": "{}"}])
def test_a_worker_that_no_launcher_started_says_what_to_use(told: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="proctor worker"):
        read_card(told)


def test_packages_that_are_missing_are_named_with_the_command_that_installs_them() -> None:
    with pytest.raises(WorkersUnavailable, match=r"no_such_package.*pip install 'proctor-exams\[worker\]'"):
        check_packages(["json", "no_such_package"])


def test_a_worker_that_asks_a_server_owns_nothing_here_and_serves_the_models_that_were_named() -> None:
    endpoint = Endpoint("http://host/v1", ("org/a[1]", "b"))
    (post,) = seats(EQUIPPED, LauncherOptions(sweep_id=3, endpoint=endpoint), HERE)
    card = post.card
    assert (card.device, card.device_name, card.memory_bytes) == (Device.NET, "http://host/v1", 0)
    assert (card.quants, card.sweep_id) == ((Quant.NONE,), 3)
    assert serves(card, "net/org/a[1]/none")
    assert serves(card, "net/b/none")
    assert not serves(card, "net/c/none")
    assert not serves(card, "gpu/b/none")
    environ = post.environ({"PATH": "/bin"})
    assert environ["CUDA_VISIBLE_DEVICES"] == ""
    assert read_endpoint(environ) == endpoint


@pytest.mark.parametrize("wanted", [LauncherOptions("cuda"), LauncherOptions(allotment=Allotment(2))])
def test_a_worker_that_asks_a_server_takes_no_device(wanted: LauncherOptions) -> None:
    with pytest.raises(BadInput, match="owns no device and no memory here"):
        seats(EQUIPPED, replace(wanted, endpoint=Endpoint("http://host/v1")), HERE)


def test_a_worker_of_vllm_has_each_device_and_is_of_the_net() -> None:
    asked = Vllm("/vllm/bin/python", tolerance=0.2)
    found = seats(EQUIPPED, LauncherOptions(endpoint=asked, allotment=Allotment(2)), HERE)
    assert [(post.card.device, post.card.quants) for post in found] == [(Device.NET, (Quant.NONE,))] * len(found)
    assert found[0].card.name.startswith("vllm-gpu0-1@")
    assert found[0].card.device_name.startswith("vLLM on 2 x ")
    environ = found[0].environ({})
    assert environ["CUDA_VISIBLE_DEVICES"].count(",") == 1
    assert read_vllm(environ) == asked
    assert read_vllm({}) is None


def test_who_starts_vllm_is_told_the_same(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    asked = Vllm(str(python), 7, 0.2)
    assert run.wanted(run._parser().parse_args(asked.arguments)).endpoint == asked
    with pytest.raises(BadInput, match="two ways to a server"):
        run.wanted(run._parser().parse_args([*asked.arguments, "--endpoint=http://host/v1"]))
