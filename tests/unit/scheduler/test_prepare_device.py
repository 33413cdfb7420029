"""What `--device auto` means in a fleet: what those alive have, or where the sweep was begun; else it is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from proctor.errors import SeveralFaults
from proctor.hardware import Gpu, look
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.runs import SweepRequest
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import workers
from scheduler.prepare import Prepared, prepare
from scheduler.submit import Way, submit_sweep, write_down
from tests import tiny

GPU = WorkerCard("gpu0@there:7", "there", Device.GPU, "NVIDIA L4", 24_000_000_000)
CPU = WorkerCard("cpu@here:8", "here", Device.CPU, "CPU (2 cores)", 16_000_000_000)


@dataclass(frozen=True)
class Fleet:
    """A fleet's database and a request; a broker is only named, as planning asks none."""

    store: Store
    settings: Settings
    request: SweepRequest

    def prepare(self, device: str = "auto", *, fresh: bool = False) -> Prepared:
        return prepare(replace(self.request, device=device), self.settings, self.store, fresh=fresh)

    def submit(self, device: str = "auto") -> int:
        return write_down(self.store, self.prepare(device), fresh=False).sweep_id


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    tiny.make(tmp_path / "m")
    request = SweepRequest(
        (str(tmp_path / "m"),), (Quant.NONE,), "demo", ("arithmetic",), "auto", DType.AUTO, Conditions(limit=2)
    )
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'proctor.db'}", "redis://127.0.0.1:1/0")
    with open_store(settings) as store:
        yield Fleet(store, settings, request)


def devices(prepared: Prepared) -> set[Device]:
    return {run.device for run in prepared.plan.runs}


@pytest.mark.parametrize("plan_only", [True, False])
def test_auto_is_asked_for_where_no_worker_is_alive_and_nothing_is_written(fleet: Fleet, plan_only: bool) -> None:
    with pytest.raises(SeveralFaults, match=r"--device auto: no worker .* alive.* Say --device cuda or --device cpu"):
        submit_sweep(fleet.request, fleet.settings, Way(plan_only=plan_only))
    assert records.overview(fleet.store) == []


@pytest.mark.parametrize(("said", "device"), [("cuda", Device.GPU), ("cpu", Device.CPU)])
def test_a_device_that_is_named_waits_for_a_worker_that_has_it(fleet: Fleet, said: str, device: Device) -> None:
    prepared = fleet.prepare(said)
    assert devices(prepared) == {device}
    assert any("No worker is alive yet" in note for note in prepared.notes)


def test_auto_is_what_those_alive_have(fleet: Fleet) -> None:
    workers.register(fleet.store, CPU)
    assert devices(fleet.prepare()) == {Device.CPU}
    workers.register(fleet.store, GPU)
    assert devices(fleet.prepare()) == {Device.GPU}


def test_the_same_command_goes_on_with_its_sweep_when_its_workers_are_gone(fleet: Fleet) -> None:
    workers.register(fleet.store, GPU)
    first = fleet.submit()
    workers.leave(fleet.store, GPU.name)
    assert fleet.submit() == first
    assert records.progress(fleet.store, first).runs[0].lane.device is Device.GPU
    with pytest.raises(SeveralFaults, match="no worker of the fleet is alive"):
        fleet.prepare(fresh=True)


def test_the_same_command_goes_on_where_it_was_begun_although_auto_is_another_device_by_now(fleet: Fleet) -> None:
    workers.register(fleet.store, CPU)
    first = fleet.submit()
    workers.register(fleet.store, GPU)
    prepared = fleet.prepare()
    assert devices(prepared) == {Device.CPU}
    assert prepared.plan.request.device == "auto"
    said = "It was begun on the cpu and goes on there; --device cuda begins it anew on the gpu."
    assert said in prepared.told
    assert fleet.submit() == first
    assert devices(fleet.prepare(fresh=True)) == {Device.GPU}
    assert devices(fleet.prepare("cuda")) == {Device.GPU}


@pytest.mark.parametrize(
    ("bfloat16", "quant", "asked", "said"),
    [
        (False, Quant.NONE, DType.AUTO, True),
        (True, Quant.NONE, DType.AUTO, False),
        (False, Quant.NONE, DType.FLOAT32, False),
        (False, Quant.FOUR_BIT, DType.AUTO, True),
    ],
)
def test_a_gpu_without_bfloat16_computes_in_float16_and_the_plan_says_so(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, bfloat16: bool, quant: Quant, asked: DType, said: bool
) -> None:
    t4 = Gpu(0, "GPU-7", "Tesla T4", 15_800_000_000, (7, 5), bfloat16)
    monkeypatch.setattr("scheduler.prepare.seen", lambda *_: replace(look({}), gpus=(t4,)))
    folder = Path(fleet.request.models[0])
    config = json.loads((folder / "config.json").read_text()) | {"dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config))
    alone = replace(fleet.settings, broker_url=None)
    request = replace(fleet.request, quants=(quant,), dtype=asked)
    prepared = prepare(request, alone, fleet.store)
    assert devices(prepared) == {Device.GPU}
    assert any("no bfloat16: m will compute in float16, or in float32" in note for note in prepared.notes) is said
    half = prepare(replace(request, dtype=DType.FLOAT16), alone, fleet.store)
    assert (prepared.plan.lanes == half.plan.lanes) is (asked is DType.AUTO)
