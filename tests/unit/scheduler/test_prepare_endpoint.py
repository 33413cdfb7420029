"""A sweep of models that a server has: planned without files, memory or devices; what can't be is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.allotment import Allotment
from proctor.catalog.endpoint import Endpoint, Vllm
from proctor.errors import SeveralFaults
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, ModelSource, Quant
from proctor.nouns.runs import SweepRequest
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import workers
from scheduler.prepare import Prepared, prepare
from scheduler.workplace import Workplace
from tests.faulty_endpoint import MODEL, FaultyEndpoint

ASKED = SweepRequest((MODEL,), (Quant.NONE,), "demo", ("arithmetic",), "auto", DType.AUTO, Conditions())


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint() as found:
        yield found


def planned(folder: Path, request: SweepRequest, place: Workplace, *, fleet: bool = False) -> Prepared:
    broker = "redis://127.0.0.1:1/0" if fleet else None
    settings = Settings(folder, folder / "cache", f"sqlite:///{folder / 'proctor.db'}", broker)
    with open_store(settings) as store:
        if fleet:
            workers.register(store, WorkerCard("net@there:1", "there", Device.NET, "http://there/v1", 0))
        return prepare(request, settings, store, place)


def test_a_model_of_a_server_is_planned_under_the_name_that_the_server_has_for_it(
    tmp_path: Path, server: FaultyEndpoint
) -> None:
    found = planned(
        tmp_path, replace(ASKED, conditions=Conditions(chat_template=True)), Workplace(server=Endpoint(server.url))
    )
    (run,) = found.plan.runs
    assert (run.model.name, run.model.source, run.device) == (MODEL, ModelSource.ENDPOINT, Device.NET)
    assert str(run.lane) == f"net/{MODEL}/none"
    assert [lane.memory_bytes for lane in found.plan.lanes] == [0]
    assert found.plan.request.device == "net"


@pytest.mark.parametrize(
    ("request_", "place", "said"),
    [
        (replace(ASKED, models=("bigran",)), Workplace(), "Unknown model of the server 'bigran'. Did you mean bigram?"),
        (replace(ASKED, quants=(Quant.FOUR_BIT,)), Workplace(), "-q 4bit: a server's model is as the server loaded it"),
        (replace(ASKED, dtype=DType.FLOAT32), Workplace(), "--dtype float32: the server decides"),
        (replace(ASKED, device="cpu"), Workplace(), "--device cpu is for models of this machine"),
        (ASKED, Workplace(Allotment(2)), "--group and --max-memory are for models of this machine"),
    ],
)
def test_what_a_server_can_t_be_asked_for_is_told(
    tmp_path: Path, server: FaultyEndpoint, request_: SweepRequest, place: Workplace, said: str
) -> None:
    with pytest.raises(SeveralFaults) as caught:
        planned(tmp_path, request_, replace(place, server=Endpoint(server.url)))
    assert said in str(caught.value)


def test_a_server_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(SeveralFaults, match=r"The server at http://127.0.0.1:9/v1 can't be reached"):
        planned(tmp_path, ASKED, Workplace(server=Endpoint("http://127.0.0.1:9/v1")))


def test_net_without_a_server_is_told_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(SeveralFaults, match="Name one with --endpoint URL"):
        planned(tmp_path, replace(ASKED, device="net"), Workplace())


def test_a_fleet_s_workers_know_their_servers(tmp_path: Path, server: FaultyEndpoint) -> None:
    found = planned(tmp_path, replace(ASKED, device="net", models=("org/any",)), Workplace(), fleet=True)
    assert [str(run.lane) for run in found.plan.runs] == ["net/org/any/none"]
    with pytest.raises(SeveralFaults, match="Start `proctor worker --endpoint URL --model NAME`"):
        planned(tmp_path, ASKED, Workplace(server=Endpoint(server.url)), fleet=True)


def test_vllm_is_planned_with_files_and_memory_on_the_net(tmp_path: Path) -> None:
    asked = replace(ASKED, models=("smollm2",), device="vllm", dtype=DType.FLOAT32)
    found = planned(tmp_path, asked, Workplace(server=Vllm("/vllm/bin/python")))
    (run,) = found.plan.runs
    assert (run.model.source, run.device, run.dtype) == (ModelSource.DEMO, Device.NET, DType.FLOAT32)
    assert found.plan.lanes[0].memory_bytes > 0
    with pytest.raises(SeveralFaults, match="-q 8bit: vLLM loads models as they are"):
        planned(tmp_path, replace(asked, quants=(Quant.EIGHT_BIT,)), Workplace(server=Vllm("/vllm/bin/python")))
