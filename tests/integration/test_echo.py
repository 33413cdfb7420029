"""Prompts that are scored over HTTP, by the worker's own code: what lm-eval's `local-completions` and our own engine
for servers send."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from chat.server.fleet import Service
from proctor.catalog.endpoint import Endpoint, ref_of
from proctor.catalog.resolve import resolve
from proctor.embedded.command import embedded
from proctor.nouns.conversations import Role, Sampling
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests import tiny
from tests.integration.broker_settings import on_sqlite
from tests.integration.http_server import events, post, serving
from tests.models import of_hf, on_cpu
from workers.channel import Channel
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.engines.base import LoadRequest, Skill
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.engine import load_engine
from workers.engines.endpoint.retries import Patience
from workers.engines.generation import GenerationRequest
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.options import score_options
from workers.parent.requests import ChatRequests
from workers.run.liveness import Liveness

ME = WorkerCard("cpu@here:1", "here", Device.CPU, "test CPU", 1 << 40)
TEXT = "Why does the moon show the same face? \N{PARTY POPPER}\N{PARTY POPPER}"
Ask = Callable[..., dict[str, Any]]


def work(settings: Settings, store: Store, over: threading.Event) -> None:
    """A worker's child without its parent."""
    assert settings.broker_url is not None
    channel = Channel()
    means = ServerContext(
        ME, on_cpu(settings.cache), store, channel, OutageRetry(channel.wait, 5.0), Liveness(), lease_s=60.0
    )
    chat = ConversationServer(means, ReplyStreams(settings.broker_url))
    while not over.wait(0.005):
        chat.answer_waiting()
        chat.load_wanted()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(on_sqlite(tmp_path_factory.mktemp("store"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Iterator[str]:
    """A server, a broker and a worker."""
    home = tmp_path_factory.mktemp("fleet")
    with embedded(on_sqlite(home), devices=None) as crew:
        chat_requests, over = ChatRequests(crew.broker_url, store, ME, lambda _: None), threading.Event()
        child = threading.Thread(target=work, args=(on_sqlite(home, crew.broker_url), store, over), name="child")
        chat_requests.start()
        child.start()
        try:
            with serving(Service(crew.broker_url)) as address:
                yield address
        finally:
            over.set()
            child.join()
            chat_requests.stop()
            chat_requests.join()


@pytest.fixture(scope="module")
def model(folder: Path) -> CausalModel:
    return of_hf(on_cpu(folder).get(resolve(str(folder)), Quant.NONE, DType.FLOAT32)).model


@pytest.fixture
def ask(url: str, folder: Path) -> Ask:
    def ask(**asked: Any) -> dict[str, Any]:
        status, said = post(f"{url}/v1/completions", {"model": str(folder), "temperature": 0, **asked})
        assert status == 200, said
        return said

    return ask


def ids(text: str) -> list[int]:
    found: list[int] = tiny.tokenizer()(text, add_special_tokens=False)["input_ids"]
    return found


def loglikelihood(folder: Path, *prompts: list[int]) -> dict[str, Any]:
    """A request of local-completions for log-probabilities, as lm-eval 0.4.13 makes it."""
    return {
        "model": str(folder),
        "prompt": list(prompts),
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": 1,
        "seed": 1234,
        "echo": True,
    }


def as_lm_eval_reads_it(said: dict[str, Any], contexts: list[int]) -> list[tuple[float, bool]]:
    """`parse_logprobs` of local-completions: it takes the context off, and the one token that was generated."""
    found = []
    for choice, context in zip(sorted(said["choices"], key=lambda each: each["index"]), contexts, strict=True):
        own = choice["logprobs"]["token_logprobs"][context:-1]
        best = choice["logprobs"]["top_logprobs"][context:-1]
        found.append((sum(own), all(one == max(top.values()) for one, top in zip(own, best, strict=True))))
    return found


def greedy(model: CausalModel, context: list[int], count: int) -> list[int]:
    """The likeliest tokens behind a context, each chosen behind the one before; an end token is one of them."""
    said: list[int] = []
    for _ in range(count):
        row = torch.tensor([[*context, *said]])
        said.append(int(model.logits(row, torch.tensor([row.shape[1] - 1]))[0, 0].argmax()))
    return said


def test_log_likelihoods_of_local_completions_are_the_engines(url: str, folder: Path, model: CausalModel) -> None:
    context = ids("The largest planet of the solar system is")
    likeliest = greedy(model, context, 3)
    options = [ids(" the moon"), ids(" A"), likeliest, [*likeliest[:2], (likeliest[2] + 1) % tiny.VOCAB]]
    wanted = score_options(model, context, options)
    requests = [[*context, *option] for option in options]
    status, said = post(f"{url}/v1/completions", loglikelihood(folder, *requests))
    assert status == 200, said
    got = as_lm_eval_reads_it(said, [len(context)] * len(requests))
    assert [value for value, _ in got] == pytest.approx(list(wanted), abs=1e-4)
    assert [is_greedy for _, is_greedy in got][2:] == [True, False]
    assert [choice["index"] for choice in said["choices"]] == [0, 1, 2, 3]
    assert [len(each["logprobs"]["tokens"]) for each in said["choices"]] == [len(one) + 1 for one in requests]
    for request, value in zip(requests, wanted, strict=True):  # one at a time, and again: what is kept is used
        _, said = post(f"{url}/v1/completions", loglikelihood(folder, request))
        ((got_alone, _),) = as_lm_eval_reads_it(said, [len(context)])
        assert got_alone == pytest.approx(value, abs=1e-4)


def test_an_end_token_is_the_one_token_behind_the_prompt(url: str, folder: Path, model: CausalModel) -> None:
    rows = torch.randint(20, 300, (4000, 3), generator=torch.Generator().manual_seed(0))
    likeliest = model.logits(rows, torch.tensor([2]))[:, 0].argmax(-1)
    ended = rows[likeliest == 2][0].tolist()
    status, said = post(f"{url}/v1/completions", loglikelihood(folder, ended))
    assert status == 200, said
    (choice,) = said["choices"]
    assert choice["finish_reason"] == "stop"
    assert len(choice["logprobs"]["tokens"]) == 4
    ((value, _),) = as_lm_eval_reads_it(said, [1])
    assert value == pytest.approx(score_options(model, ended[:1], [ended[1:]])[0], abs=1e-4)


def test_a_rolling_window_begins_with_one_token(url: str, folder: Path, model: CausalModel) -> None:
    window = [1, *ids(TEXT)]
    status, said = post(f"{url}/v1/completions", loglikelihood(folder, window))
    assert status == 200, said
    ((value, _),) = as_lm_eval_reads_it(said, [1])
    assert value == pytest.approx(score_options(model, window[:1], [window[1:]])[0], abs=1e-3)


def test_a_generation_of_local_completions_is_the_text_up_to_its_stop(ask: Ask, model: CausalModel) -> None:
    context = ids("The largest planet of the solar system is")
    likeliest = greedy(model, context, 8)
    text = str(tiny.tokenizer().decode(likeliest))
    said = ask(prompt=[context], max_tokens=8, stop=["never heard", "</s>"], seed=1234)
    assert said["choices"][0]["text"] == text
    stop = text[3:5]
    until = ask(prompt=[context], max_tokens=8, stop=[stop, "</s>"], seed=1234)
    assert until["choices"][0]["text"] == text[: text.index(stop)]


@pytest.mark.parametrize("how", ["text", "texts", "tokens", "token lists"])
def test_a_prompt_is_the_same_in_text_and_in_tokens(ask: Ask, how: str) -> None:
    forms: dict[str, Any] = {"text": TEXT, "texts": [TEXT], "tokens": ids(TEXT), "token lists": [ids(TEXT)]}
    plain = ask(prompt=TEXT, max_tokens=5, echo=True, logprobs=2)
    (choice,) = ask(prompt=forms[how], max_tokens=5, echo=True, logprobs=2)["choices"]
    assert choice["text"] == plain["choices"][0]["text"]
    assert choice["logprobs"]["tokens"] == plain["choices"][0]["logprobs"]["tokens"]
    assert choice["text"].startswith(TEXT)


def test_offsets_are_those_of_whole_characters(ask: Ask) -> None:
    (choice,) = ask(prompt=TEXT, max_tokens=3, echo=True, logprobs=1)["choices"]
    told, text = choice["logprobs"], choice["text"]
    for token, start in zip(told["tokens"], told["text_offset"], strict=True):
        assert text[start:].startswith(token)
    assert text.startswith("".join(told["tokens"]))  # what is no whole character at the end is nobody's
    assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)


def test_with_no_token_wanted_the_prompt_alone_comes_back(ask: Ask) -> None:
    said = ask(prompt=TEXT, max_tokens=0, echo=True, logprobs=1)
    (choice,) = said["choices"]
    assert (choice["text"], choice["finish_reason"]) == (TEXT, "length")
    assert len(choice["logprobs"]["tokens"]) == len(ids(TEXT)) == said["usage"]["prompt_tokens"]
    assert said["usage"]["completion_tokens"] == 0


def test_an_echo_without_numbers_is_the_text_alone(ask: Ask) -> None:
    (choice,) = ask(prompt=ids(TEXT), max_tokens=2, echo=True)["choices"]
    assert choice["text"].startswith(TEXT)
    assert choice["logprobs"] is None


def test_a_stream_joins_to_the_same_answer(url: str, folder: Path, ask: Ask) -> None:
    asked = {"prompt": TEXT, "max_tokens": 6, "echo": True, "logprobs": 2, "temperature": 0}
    (whole,) = ask(**asked)["choices"]
    *parts, done = events(f"{url}/v1/completions", {"model": str(folder), "stream": True, **asked})
    assert done == "[DONE]"
    choices = [json.loads(part)["choices"][0] for part in parts]
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    for name in ("tokens", "token_logprobs", "text_offset"):
        joined = [each for choice in choices if choice["logprobs"] for each in choice["logprobs"][name]]
        assert joined == (
            pytest.approx(whole["logprobs"][name]) if name == "token_logprobs" else whole["logprobs"][name]
        )


def test_what_was_said_in_tokens_is_kept_as_text(ask: Ask, store: Store) -> None:
    said = ask(prompt=ids("A message in tokens."), max_tokens=1)
    turn = conversations.find_turn(store, said["id"].removeprefix("cmpl-"))
    assert turn is not None
    assert turn.parent_id is not None
    asked = conversations.find_turn(store, turn.parent_id)
    assert asked is not None
    assert (asked.role, asked.content, list(asked.token_ids)) == (
        Role.USER,
        "A message in tokens.",
        ids("A message in tokens."),
    )


@pytest.mark.parametrize(
    ("asked", "status", "param", "words"),
    [
        ({"prompt": [5, 10_000]}, 422, None, "There is no token 10000"),
        ({"prompt": list(range(20, 300)) * 2}, 400, "prompt", "maximum context length is 497 tokens"),
        ({"prompt": []}, 422, "prompt", "at least 1"),
        ({"prompt": [[5], []]}, 400, "prompt[1]", "is empty"),
        ({"prompt": [5, -1]}, 422, "prompt[1]", "greater than or equal to 0"),
        ({"prompt": [5, "x"]}, 422, "prompt[1]", "valid integer"),
        ({"prompt": ["x", 5]}, 422, "prompt[1]", "valid string"),
        ({"prompt": 5}, 422, "prompt", "valid string"),
        ({"prompt": "x", "max_tokens": 0}, 400, "max_tokens", "echo"),
        ({"prompt": ["x", "y"], "stream": True}, 400, "stream", "one prompt"),
    ],
)
def test_prompts_that_cannot_be_read_are_refused_by_name(
    url: str, folder: Path, asked: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    got, said = post(f"{url}/v1/completions", {"model": str(folder), **asked})
    assert (got, said["error"]["param"]) == (status, param), said
    assert words in said["error"]["message"]


def test_parts_of_characters_have_their_own_bytes(url: str, folder: Path) -> None:
    asked = {"model": str(folder), "messages": [{"role": "user", "content": "x"}], "logprobs": True, "top_logprobs": 20}
    status, said = post(f"{url}/v1/chat/completions", {**asked, "max_tokens": 40, "temperature": 2, "seed": 5})
    assert status == 200, said
    first = said["choices"][0]["logprobs"]["content"][0]  # behind it a part may wait for its rest
    spelled = [bytes(each["bytes"]) for each in (first, *first["top_logprobs"])]
    assert "\N{REPLACEMENT CHARACTER}".encode() not in spelled
    assert any(len(each) == 1 and each >= b"\x80" for each in spelled)


def test_a_worker_that_asks_this_server_has_its_numbers_and_its_replies(
    url: str, folder: Path, model: CausalModel
) -> None:
    device = EndpointDevice(Endpoint(f"{url}/v1"), patience=Patience(60.0))
    request = LoadRequest(ref_of(str(folder)), Quant.NONE, DType.AUTO)
    engine = load_engine(request, lambda: pytest.fail("a server's model has no files here"), device)
    assert engine.skills == {Skill.SCORE, Skill.STREAM}, engine.dialect.why_not
    assert engine.dialect.ids
    assert engine.provenance.products == "proctor"
    context, options = ids("The largest planet of the solar system is"), [ids(" the moon"), ids(" A")]
    got = engine.score_options(context, options)
    assert got == pytest.approx(score_options(model, context, options), abs=1e-4)
    generator, said = engine.stream(), Sampling(temperature=0, max_tokens=6)
    generator.add(GenerationRequest("one", tuple(context), said, 6))
    heard: list[int] = []
    while generator.live:
        heard += [token for one in generator.step() for token in one.tokens]
    assert engine.tokenizer.decode(heard) == tiny.tokenizer().decode(greedy(model, context, 6))
    engine.close()
