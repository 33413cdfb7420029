"""`--group`, `--max-memory` and `--pack-tokens` of `submit-sweep`: what is planned, and how workers are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from proctor.allotment import WHOLE, Allotment
from proctor.errors import BadInput, SeveralFaults
from proctor.hardware import Gpu, Machine
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.runs import SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs.sweeps import fingerprint_of
from scheduler.plan import Target
from scheduler.prepare import Prepared, allotment_faults, here, prepare
from scheduler.workplace import Workplace
from tests import tiny
from workers.launcher import run as launch

GPUS = tuple(Gpu(number, f"GPU-{number}", "L4", 24 << 30, (8, 9)) for number in range(4))
EQUIPPED = Machine(8, 32 << 30, 16 << 30, cpu_bfloat16=True, cpu_name="EPYC", gpus=GPUS)


def planned(
    folder: Path, allotment: Allotment = WHOLE, *, pack_tokens: int = 2048, broker_url: str | None = None
) -> Prepared:
    tiny.make(folder / "m")
    request = SweepRequest(
        (str(folder / "m"),), (Quant.NONE,), "demo", ("arithmetic",), "cpu", DType.AUTO,
        Conditions(limit=2, pack_tokens=pack_tokens),
    )  # fmt: skip
    settings = Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}", broker_url)
    with open_store(settings) as store:
        return prepare(request, settings, store, Workplace(allotment))


def test_groups_of_gpus_are_planned_with_their_memory_together() -> None:
    gpus = [target for target in here(EQUIPPED, Workplace(Allotment(2))) if target.device is Device.GPU]
    assert [(target.name, target.memory_bytes) for target in gpus] == [("2 x L4", 48 << 30)] * 2


def test_a_limit_is_planned_with_where_it_is_below_what_is_there() -> None:
    limited = here(EQUIPPED, Workplace(Allotment(1, 20 << 30)))
    assert {target.memory_bytes for target in limited if target.device is Device.GPU} == {20 << 30}
    assert [target.memory_bytes for target in limited if target.device is Device.CPU] == [16 << 30]
    assert here(EQUIPPED, Workplace(WHOLE))[-1] == Target(Device.CPU, "EPYC (8 cores)", 16 << 30, limited[-1].quantizes)


def test_what_the_limit_does_not_hold_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SeveralFaults, match=r"needs about .* by --max-memory has 0\.0 GB"):
        planned(tmp_path, Allotment(max_memory_bytes=1_000_000))


def test_gpus_that_make_no_whole_groups_are_refused_before_anything_starts() -> None:
    with pytest.raises(BadInput, match=r"--group 3: 4 GPUs make no whole groups.*CUDA_VISIBLE_DEVICES=0,1,2"):
        here(EQUIPPED, Workplace(Allotment(3)))


def test_a_group_on_the_cpu_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SeveralFaults, match="--group 2 is for GPUs") as caught:
        planned(tmp_path, Allotment(2))
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("allotment", [Allotment(2), Allotment(1, 8 * 10**9)])
def test_a_fleet_has_what_its_own_workers_were_told(tmp_path: Path, allotment: Allotment) -> None:
    with pytest.raises(SeveralFaults, match=r"with PROCTOR_BROKER_URL it starts none.*say them at `proctor worker`"):
        planned(tmp_path, allotment, broker_url="redis://127.0.0.1:1/0")
    assert allotment_faults(WHOLE, None) == []


def test_packs_of_another_size_are_another_sweep_on_a_fleet_too_and_need_their_memory(tmp_path: Path) -> None:
    usual, larger = (
        planned(tmp_path, pack_tokens=tokens, broker_url="redis://127.0.0.1:1/0") for tokens in (2048, 8192)
    )
    assert fingerprint_of(usual.plan.runs) != fingerprint_of(larger.plan.runs)
    assert {run.conditions.pack_tokens for run in larger.plan.runs} == {8192}
    assert larger.plan.lanes[0].memory_bytes > usual.plan.lanes[0].memory_bytes


@pytest.mark.parametrize("allotment", [WHOLE, Allotment(2), Allotment(1, 8 * 10**9), Allotment(4, 7)])
def test_a_worker_that_is_started_is_told_the_same(allotment: Allotment) -> None:
    told = launch._parser().parse_args(["--devices", "auto", *allotment.arguments])
    assert launch.wanted(told).allotment == allotment
