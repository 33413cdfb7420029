"""`/v1/models`: what can be asked for, at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import openai
import pytest

from chat.protocol.inquiries import Answer
from chat.protocol.turns import TurnRequest
from chat.server.fleet import MOST_ANSWERED, FleetClient, Service, lane_names
from chat.server.requests import split_name
from proctor.embedded.valkey import Valkey
from proctor.nouns.conversations import Fault
from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import workers
from tests.integration.http_server import HELLO, serving
from tests.integration.parrot import Parrot, Refusal, echo, parrot, valkey


def script(request: TurnRequest) -> Sequence[str] | Refusal:
    return Refusal(Fault.BAD_MODEL, "It can't be loaded.") if request.model == "no-model" else echo(request)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="module")
def bird(broker: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parrot]:
    folder = tmp_path_factory.mktemp("parrot")
    with open_store(Settings(folder, folder, f"sqlite:///{folder / 'parrot.db'}")) as store:
        card = WorkerCard("cpu@parrot:1", "parrot", Device.CPU, "a parrot", 1)
        workers.heartbeat(store, card, Lane(Device.CPU, "org/parrot@r1", Quant.FOUR_BIT))
        with parrot(broker.url, script, store=store) as found:
            yield found


def test_models_are_those_that_can_be_asked_for(broker: Valkey, bird: Parrot) -> None:
    cached = ["smollm2", "org/parrot:4bit"]
    with (
        serving(Service(broker.url, named=("org/named:8bit",), cached=lambda: cached)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        page = client.models.list()
        assert page.object == "list"
        listed = [model.id for model in page]
        assert listed == ["org/named:8bit", "org/parrot:4bit", "smollm2"]
        found = [client.models.retrieve(name) for name in listed]
        assert [(each.object, each.owned_by) for each in found] == [("model", "proctor")] * 3
        with pytest.raises(openai.NotFoundError, match="org/other"):
            client.models.retrieve("org/other")
        with pytest.raises(openai.NotFoundError, match=f"'{'x' * 200}'"):
            client.models.retrieve("x" * 300)


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_answered_is_listed_at_once(broker: Valkey, bird: Parrot, stream: bool) -> None:
    with (
        serving(Service(broker.url)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        assert [model.id for model in client.models.list()] == ["org/parrot:4bit"]
        said = client.chat.completions.create(model="parrot", messages=HELLO, stream=stream)
        assert list(said)
        assert [model.id for model in client.models.list()] == ["org/parrot:4bit", "parrot"]
        assert client.models.retrieve("parrot").id == "parrot"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="no-model", messages=HELLO)
        assert "no-model" not in [model.id for model in client.models.list()]


def test_the_hundred_models_that_answered_last_are_remembered(broker: Valkey) -> None:
    async def remembered() -> list[str]:
        desk = FleetClient(Service(broker.url, ask=lambda _inquiry: Answer()))
        try:
            for number in (*range(MOST_ANSWERED), 0, MOST_ANSWERED):  # the first once more: it is the newest but one
                desk.answered(f"model{number:03}")
            return await desk.models()
        finally:
            await desk.close()

    assert asyncio.run(remembered()) == ["model000", *(f"model{number:03}" for number in range(2, 101))]


def test_a_model_that_was_loaded_a_moment_ago_is_found(broker: Valkey, bird: Parrot) -> None:
    card = WorkerCard("cpu@parrot:2", "parrot", Device.CPU, "a second parrot", 1)
    assert bird.store is not None
    with (
        serving(Service(broker.url)) as address,
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client,
    ):
        assert client.models.list().data
        workers.heartbeat(bird.store, card, Lane(Device.CPU, "/models/run@3/ckpt@r1", Quant.NONE))
        try:
            assert client.models.retrieve("/models/run@3/ckpt").id == "/models/run@3/ckpt"
            assert "/models/run@3/ckpt" in [model.id for model in client.models.list()]
        finally:
            workers.leave(bird.store, card.name)


@pytest.mark.parametrize(
    ("lane", "name"),
    [
        ("gpu/org/parrot@main/none", "org/parrot"),
        ("cpu/smollm2@b179/4bit", "smollm2:4bit"),
        ("cpu//home/a/run@3@0123abcd/none", "/home/a/run@3"),
        ("cpu/parrot/none", "parrot"),
    ],
)
def test_a_lane_is_named_as_it_is_asked_for(lane: str, name: str) -> None:
    assert lane_names([lane]) == [name]


def test_two_revisions_that_are_held_have_two_names_that_can_be_asked_for() -> None:
    lanes = ["cpu/org/x@rev1/none", "gpu/org/x@rev2/4bit", "cpu/other/x@rev1/none", "gpu/other/x@rev1/none"]
    names = ["org/x@rev1", "org/x@rev2:4bit", "other/x", "other/x"]
    assert lane_names(lanes) == names
    assert split_name(names[1]) == ("org/x@rev2", Quant.FOUR_BIT)
