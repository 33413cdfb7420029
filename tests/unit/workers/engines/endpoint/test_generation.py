"""Replies by a server: each once and whole, whatever it does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from proctor.catalog.endpoint import Endpoint, EndpointAway, client, ref_of
from proctor.errors import CantBeAsked
from proctor.nouns.conversations import Finish, Sampling
from proctor.nouns.models import DType, Quant
from tests.faulty_endpoint import MODEL, Fault, FaultyEndpoint, spoken
from workers.engines.base import LoadRequest
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.engine import EndpointEngine, load_engine
from workers.engines.endpoint.generation import EndpointGenerator
from workers.engines.endpoint.retries import Patience
from workers.engines.endpoint.server import Server
from workers.engines.generation import GenerationRequest, Usage

PROMPT = "Answer:"
LONGEST = 12
WHOLE = "".join(text for text, _, _ in spoken(PROMPT, LONGEST))
HASTY = Patience(limit_s=20.0, first_wait_s=0.01, longest_wait_s=0.05)
GREEDY = Sampling(temperature=0, max_tokens=LONGEST)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint() as found:
        yield found


@pytest.fixture(scope="module")
def engine(server: FaultyEndpoint) -> Iterator[EndpointEngine]:
    device = EndpointDevice(Endpoint(server.url), patience=HASTY)
    found = load_engine(LoadRequest(ref_of(MODEL), Quant.NONE, DType.AUTO), lambda: pytest.fail("no files"), device)
    yield found
    found.close()


@pytest.fixture
def faults(server: FaultyEndpoint) -> Iterator[FaultyEndpoint]:
    """The server, to be spoilt; it is well again afterwards."""
    yield server
    server.faults.clear()
    server.says, server.completions, server.silent_s, server.room = "", True, 0.0, 1000


@dataclass
class Heard:
    """What was handed out of one reply."""

    tokens: list[int] = field(default_factory=list)
    finish: Finish | None = None
    usage: Usage | None = None

    @property
    def text(self) -> str:
        return "".join(map(chr, self.tokens))


def ask(name: str = "one", emitted: str = "", sampling: Sampling = GREEDY, prompt: str = PROMPT) -> GenerationRequest:
    limit = sampling.max_tokens or 100
    return GenerationRequest(name, tuple(map(ord, prompt)), sampling, limit, tuple(map(ord, emitted)))


def hear(generator: EndpointGenerator, *requests: GenerationRequest) -> dict[str, Heard]:
    """All replies to their ends."""
    for request in requests:
        generator.add(request)
    heard = {request.id: Heard() for request in requests}
    while generator.live:
        for token in generator.step():
            one = heard[token.id]
            one.tokens += token.tokens
            one.finish, one.usage = token.finish, token.usage
    return heard


def test_a_reply_is_what_the_server_says_and_costs_what_it_counts(engine: EndpointEngine) -> None:
    one = hear(engine.stream(), ask())["one"]
    assert (one.text, one.finish) == (WHOLE, Finish.LENGTH)
    assert one.usage == Usage(len(PROMPT), 0, LONGEST)


def test_many_replies_are_under_way_at_a_time(engine: EndpointEngine, faults: FaultyEndpoint) -> None:
    found = hear(engine.stream(), *(ask(str(number)) for number in range(40)))
    assert {one.text for one in found.values()} == {WHOLE}
    assert faults.most_at_once > 1


@pytest.mark.parametrize("cut_after", [0, 1, 5])
def test_a_stream_that_is_cut_is_gone_on_with_and_nothing_is_said_twice(
    engine: EndpointEngine, faults: FaultyEndpoint, cut_after: int
) -> None:
    faults.faults.extend([Fault(cut_after=cut_after), Fault(cut_after=cut_after + 2), Fault(500)])
    one = hear(engine.stream(), ask())["one"]
    assert (one.text, one.finish) == (WHOLE, Finish.LENGTH)


def test_a_server_that_says_something_else_by_then_goes_on_behind_what_it_said(
    engine: EndpointEngine, faults: FaultyEndpoint
) -> None:
    faults.says = "Moons of Jupiter"
    faults.faults.append(Fault(cut_after=6))
    generator = engine.stream()
    generator.add(ask())
    begun: list[int] = []
    while len(begun) < 5:  # the last of the six waits
        begun += [token for one in generator.step() for token in one.tokens]
    faults.says = "other"
    rest = hear_on(generator, begun)
    assert rest.text == "Moons other"[:LONGEST]
    assert faults.requests[-1]["prompt"] == PROMPT + "Moons "
    assert faults.requests[-1]["max_tokens"] == LONGEST - 2  # six characters count as two tokens


def hear_on(generator: EndpointGenerator, begun: list[int]) -> Heard:
    heard = Heard(begun)
    while generator.live:
        for token in generator.step():
            heard.tokens += token.tokens
            heard.finish = token.finish
    return heard


def test_a_reply_that_another_worker_began_is_gone_on_with(engine: EndpointEngine, faults: FaultyEndpoint) -> None:
    one = hear(engine.stream(), ask(emitted=WHOLE[:6]))["one"]
    assert WHOLE[:6] + one.text == WHOLE[:6] + "".join(text for text, _, _ in spoken(WHOLE[:6], LONGEST - 2))
    assert faults.requests[-1]["prompt"] == PROMPT + WHOLE[:6]


def test_of_a_chat_that_was_broken_off_only_what_is_new_is_said(engine: EndpointEngine, faults: FaultyEndpoint) -> None:
    chat = '{"messages": [{"role": "user", "content": "Answer:"}]}'
    assert hear(engine.stream(), ask(prompt=chat, emitted=WHOLE[:6]))["one"].text == WHOLE[6:]
    with pytest.raises(CantBeAsked, match="says something else"):
        hear(engine.stream(), ask(prompt=chat, emitted="Nothing"))


def test_a_prompt_that_is_refused_is_refused_in_the_server_s_words(
    engine: EndpointEngine, faults: FaultyEndpoint
) -> None:
    faults.faults.append(Fault(400))
    with pytest.raises(CantBeAsked, match="its server refuses: a fault that was asked for"):
        hear(engine.stream(), ask())


def test_a_server_that_always_fails_is_left_after_a_while(engine: EndpointEngine, faults: FaultyEndpoint) -> None:
    faults.faults.extend([Fault(500)] * 100)
    generator = engine.stream()
    with pytest.raises(EndpointAway, match="stays away: it answers 500"):
        hear(generator, ask())
    assert generator.live == 0


def test_a_server_without_room_is_asked_less(engine: EndpointEngine, faults: FaultyEndpoint) -> None:
    faults.room = 2
    engine.server.throttle.limit = 16.0
    found = hear(engine.stream(), *(ask(str(number)) for number in range(12)))
    assert {one.text for one in found.values()} == {WHOLE}
    assert engine.server.throttle.limit < 16


def test_a_server_that_says_nothing_for_too_long_is_asked_again(faults: FaultyEndpoint) -> None:
    faults.silent_s = 1.0
    hasty = Server(faults.url, client(faults.url, silence_s=0.1), 4, patience=Patience(0.5, first_wait_s=0.05))
    with pytest.raises(EndpointAway, match="it said nothing for too long"):
        hasty.post("/completions", {"model": MODEL, "prompt": "A"})
    hasty.close()


def test_a_reply_that_is_cancelled_is_heard_no_more(engine: EndpointEngine) -> None:
    generator = engine.stream()
    generator.add(ask("left"))
    generator.cancel("left")
    assert set(hear(generator, ask("kept"))) == {"kept"}


@pytest.mark.parametrize(
    ("sampling", "why"),
    [
        (Sampling(temperature=1.0, top_k=5, seed=1), "isn't known to take top_k"),
        (Sampling(temperature=0, repetition_penalty=1.2), "isn't known to take repetition_penalty"),
        (Sampling(temperature=0, rivals=2), "aren't passed on"),
    ],
)
def test_what_a_server_would_leave_out_without_a_word_is_refused(
    engine: EndpointEngine, sampling: Sampling, why: str
) -> None:
    with pytest.raises(CantBeAsked, match=why):
        engine.stream().add(ask(sampling=sampling))


def test_a_worker_that_is_to_stop_waits_for_no_server(server: FaultyEndpoint) -> None:
    stopped = Server(server.url, client(server.url), 4, stopped=lambda: True)
    server.faults.append(Fault(429, {"Retry-After": "300"}))
    with pytest.raises(EndpointAway, match="the worker is to stop"):
        stopped.post("/completions", {"model": MODEL, "prompt": "A"})
    stopped.close()
    server.faults.clear()
