"""The HTTP API as the `openai` package and plain HTTP see it: what its clients rely on, and what it refuses."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from chat.client.aio import AsyncClient
from chat.protocol.turns import TurnRequest
from chat.server.fleet import Service
from proctor.embedded.valkey import Valkey
from proctor.nouns.conversations import Fault, History, Role
from proctor.nouns.models import Device, Lane, Quant
from proctor.nouns.workers import WorkerCard
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import workers
from tests.integration.http_server import HELLO, TOKEN, events, post, serving
from tests.integration.parrot import Parrot, Refusal, echo, parrot, valkey
from tests.support import wait_until

FAULTS = {
    "busy": Refusal(Fault.BUSY, "Another Turn is under way."),
    "full": Refusal(Fault.FULL, "Too many wait."),
    "meaningless": Refusal(Fault.BAD_REQUEST, "It can't be meant."),
    "long": Refusal(Fault.TOO_LONG, "It takes too much."),
    "no-model": Refusal(Fault.BAD_MODEL, "Model 'no-model' can't be loaded."),
    "broken": Refusal(Fault.INTERNAL, "Three workers died over it."),
    "half": Refusal(Fault.INTERNAL, "Three workers died over it.", ("some", " words")),
}


def script(request: TurnRequest) -> Sequence[str] | Refusal:
    return FAULTS.get(request.model) or echo(request)


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


@pytest.fixture(scope="module")
def url(broker: Valkey, bird: Parrot) -> Iterator[str]:
    with serving(Service(broker.url, TOKEN)) as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0) as found:
        yield found


def last(bird: Parrot) -> TurnRequest:
    return list(bird.requests.values())[-1]


def test_a_chat_completion_has_its_text_reason_and_usage(client: openai.OpenAI, bird: Parrot) -> None:
    done = client.chat.completions.create(model="parrot:4bit", messages=HELLO, temperature=0, seed=3, max_tokens=9)
    (choice,) = done.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "Name three rivers.")
    assert (choice.finish_reason, done.object, done.model) == ("stop", "chat.completion", "parrot:4bit")
    assert done.usage is not None
    assert (done.usage.prompt_tokens, done.usage.completion_tokens, done.usage.total_tokens) == (7, 3, 10)
    assert done.usage.prompt_tokens_details is not None
    assert done.usage.prompt_tokens_details.cached_tokens == 3
    asked = last(bird)
    assert (asked.model, asked.quant, asked.history) == ("parrot", Quant.FOUR_BIT, History.ALL)
    assert (asked.sampling.temperature, asked.sampling.seed, asked.sampling.max_tokens) == (0.0, 3, 9)


def test_all_messages_are_read_as_one_new_conversation(client: openai.OpenAI, bird: Parrot) -> None:
    messages: list[Any] = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"},
        *HELLO,
    ]
    client.chat.completions.create(model="parrot", messages=messages)
    first = last(bird)
    assert [(each.role, each.content) for each in first.say] == [
        (Role.SYSTEM, "Be kind."),
        (Role.USER, "ab"),
        (Role.ASSISTANT, "c"),
        (Role.USER, "Name three rivers."),
    ]
    client.chat.completions.create(model="parrot", messages=messages)
    assert last(bird).conversation != first.conversation


def test_the_page_is_told_a_conversation_without_its_tokens(client: openai.OpenAI, url: str, bird: Parrot) -> None:
    client.chat.completions.create(model="parrot", messages=HELLO)
    conversation = last(bird).conversation
    asked = urllib.request.Request(  # noqa: S310 -- our own server
        f"{url}/api/conversations/{conversation}", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(asked, timeout=300) as answer:  # noqa: S310 -- our own server
        turns = json.loads(answer.read())["turns"]
    assert [turn["content"] for turn in turns] == ["Name three rivers.", "Name three rivers."]
    assert not [turn for turn in turns if {"token_ids", "logprobs"} & turn.keys()]


def test_a_stream_joins_to_the_same_text(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="parrot", messages=HELLO, stream=True) as stream:
        said = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert said[0] == ""
    assert "".join(said) == "Name three rivers."


def test_the_first_chunk_has_the_role_one_has_the_reason_and_done_is_last(url: str) -> None:
    *parts, done = events(f"{url}/v1/chat/completions", {"model": "parrot", "messages": HELLO, "stream": True})
    assert done == "[DONE]"
    choices = [json.loads(part)["choices"][0] for part in parts]
    assert [choice["delta"].get("role") for choice in choices] == ["assistant", *[None] * (len(choices) - 1)]
    assert [choice["finish_reason"] for choice in choices] == [*[None] * (len(choices) - 1), "stop"]
    assert len({json.loads(part)["id"] for part in parts}) == 1
    assert all("usage" not in json.loads(part) for part in parts)


def test_a_stream_is_kept_nowhere_and_no_proxy_holds_it_back(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="parrot", messages=HELLO, stream=True)
    told = raw.headers
    assert (told["Cache-Control"], told["X-Accel-Buffering"]) == ("no-store", "no")
    assert [chunk.choices[0].finish_reason for chunk in raw.parse()][-1] == "stop"


def test_usage_comes_in_a_chunk_of_its_own_where_it_is_asked_for(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="parrot", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as stream:
        *others, final = list(stream)
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in others)
    assert final.choices == []
    assert final.usage is not None
    assert (final.usage.completion_tokens, final.usage.total_tokens) == (3, 10)


def test_stream_options_without_a_stream_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="parrot", messages=HELLO, stream_options={"include_usage": True})
    assert refused.value.param == "stream_options"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("n", 2),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1),
        ("logit_bias", {"1": 5}),
        ("response_format", {"type": "json_object"}),
        ("modalities", ["audio"]),
        ("never_heard_of", 1),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(client: openai.OpenAI, name: str, value: object) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="parrot", messages=HELLO, extra_body={name: value})
    assert refused.value.param is not None
    assert refused.value.param.startswith(name)
    assert refused.value.code in ("unsupported_parameter", "unsupported_value")


@pytest.mark.parametrize(
    "plain",
    [
        {"n": 1, "tools": None, "logit_bias": None, "frequency_penalty": 0, "response_format": {"type": "text"}},
        {"frequency_penalty": 0.0, "presence_penalty": 0.0, "logit_bias": {}, "metadata": {}, "store": False},
        {"tools": [], "functions": [], "tool_choice": "auto", "function_call": "none", "parallel_tool_calls": True},
        {"service_tier": "auto", "verbosity": "medium", "modalities": ["text"], "prompt_cache_retention": "in_memory"},
        {"user": "ada", "safety_identifier": "ada", "prompt_cache_key": "k", "logprobs": False, "top_logprobs": 0},
        {"messages": [{"role": "user", "name": "bob", "content": "Hello"}]},
        {"messages": [*HELLO, {"role": "assistant", "name": "b", "content": "x", "tool_calls": []}, *HELLO]},
    ],
)
def test_null_and_what_changes_nothing_are_taken(url: str, plain: dict[str, Any]) -> None:
    status, said = post(f"{url}/v1/chat/completions", {"model": "parrot", "messages": HELLO, **plain})
    assert status == 200, said


def test_a_stream_without_padding_is_taken_and_one_with_it_is_refused_by_name(url: str) -> None:
    body = {"model": "parrot", "messages": HELLO, "stream": True}
    assert events(f"{url}/v1/chat/completions", {**body, "stream_options": {"include_obfuscation": False}})
    _, said = post(f"{url}/v1/chat/completions", {**body, "stream_options": {"include_obfuscation": True}})
    assert said["error"]["param"] == "stream_options.include_obfuscation"


IMAGE = [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": "x"}}]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"messages": [{"role": "user", "content": IMAGE}]}, "messages[0].content[1].type"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a", ""]}, "stop[1]"),
        ({"stop": 5}, "stop"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream_options": {"include_usage": "perhaps"}}, "stream_options.include_usage"),
    ],
)
def test_errors_name_fields_as_openai_does(url: str, changed: dict[str, Any], param: str) -> None:
    status, said = post(f"{url}/v1/chat/completions", {"model": "parrot", "messages": HELLO, **changed})
    assert (status in (400, 422), said["error"]["param"]) == (True, param)
    assert said["error"]["message"].startswith(param)
    assert not any(word in str(said) for word in ("constrained", "function-after", "TextPart", "Value error"))


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain"])
def test_another_content_type_than_json_is_told_what_to_send(url: str, content_type: str) -> None:
    body = {"model": "parrot", "messages": HELLO}
    status, said = post(f"{url}/v1/chat/completions", body, **{"Content-Type": content_type})
    assert (status, said["error"]["param"]) == (415, None)
    assert "Content-Type: application/json" in said["error"]["message"]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content"),
        ({"model": ""}, "model"),
        ({"seed": "seven"}, "seed"),
    ],
)
def test_values_out_of_range_are_named(url: str, changed: dict[str, Any], param: str) -> None:
    status, said = post(f"{url}/v1/chat/completions", {"model": "parrot", "messages": HELLO, **changed})
    assert status == 422, said
    assert said["error"]["param"].startswith(param)
    assert said["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "only"}],
        [*HELLO, {"role": "system", "content": "late"}, *HELLO],
        [{"role": "tool", "content": "x"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
    ],
)
def test_conversations_that_cannot_be_answered_are_refused(url: str, messages: list[Any]) -> None:
    status, said = post(f"{url}/v1/chat/completions", {"model": "parrot", "messages": messages})
    assert status == 400, said
    assert said["error"]["param"].startswith("messages")


@pytest.mark.parametrize(
    ("model", "raised", "code"),
    [
        ("busy", openai.ConflictError, "conversation_busy"),
        ("full", openai.RateLimitError, "rate_limit_exceeded"),
        ("meaningless", openai.UnprocessableEntityError, "unprocessable"),
        ("long", openai.BadRequestError, "context_length_exceeded"),
        ("no-model", openai.NotFoundError, "model_not_found"),
        ("broken", openai.InternalServerError, "internal_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_fault_has_its_status(
    client: openai.OpenAI, model: str, raised: type[openai.APIStatusError], code: str, stream: bool
) -> None:
    with pytest.raises(raised) as failed:
        client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert failed.value.code == code
    if model == "full":
        assert int(failed.value.response.headers["retry-after"]) >= 1
    if model == "long":
        assert "maximum context length is 512 tokens" in failed.value.message
        assert "resulted in 7 tokens" in failed.value.message


def test_a_failure_in_the_middle_of_a_stream_is_an_error_event_and_not_an_end(client: openai.OpenAI) -> None:
    heard: list[str] = []

    def listen() -> None:
        with client.chat.completions.create(model="half", messages=HELLO, stream=True) as stream:
            for chunk in stream:
                heard.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(openai.APIError, match="Three workers died"):
        listen()
    assert "".join(heard) == "some words"


def test_a_text_is_gone_on_with(client: openai.OpenAI, bird: Parrot) -> None:
    done = client.completions.create(model="parrot", prompt="Once upon a time")
    assert (done.object, done.choices[0].text, done.choices[0].finish_reason) == (
        "text_completion",
        "Once upon a time",
        "stop",
    )
    assert (last(bird).history, last(bird).sampling.max_tokens) == (History.RAW, 16)
    with client.completions.create(model="parrot", prompt=["Once upon"], stream=True) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream) == "Once upon"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asked", [{"prompt": "x", "echo": True}, {"prompt": [1, 2, 3]}, {"prompt": [[1, 2], [3, 4]]}])
def test_a_worker_that_left_something_out_gives_no_answer(url: str, asked: dict[str, Any], stream: bool) -> None:
    """The parrot, as workers of earlier releases do, knows neither echo nor tokens."""
    stream = stream and asked["prompt"] != [[1, 2], [3, 4]]
    body = {"model": "parrot", **asked, "stream": stream}
    if stream and asked.get("echo"):  # known at the end alone
        assert "of an earlier release" in events(f"{url}/v1/completions", body)[-1]
        return
    status, said = post(f"{url}/v1/completions", body)
    assert (status, said["error"]["code"]) == (503, "unavailable")
    assert "of an earlier release" in said["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "asked"),
    [("chat/completions", {"messages": HELLO, "logprobs": True}), ("completions", {"prompt": "x", "logprobs": 1})],
)
def test_log_probabilities_that_are_lost_are_never_an_empty_list(
    url: str, path: str, asked: dict[str, Any], stream: bool
) -> None:
    """The parrot says tokens without their scores, as a reply that is told again from the database has them."""
    status, said = post(f"{url}/v1/{path}", {"model": "parrot", **asked, "stream": stream})
    assert (status, said["error"]["code"]) == (503, "unavailable")
    assert "log-probabilities of this reply were lost" in said["error"]["message"]


@contextmanager
def held_back(bird: Parrot) -> Iterator[threading.Event]:
    """Within it the replies to what is asked now stand still after their first word; the event tells of it."""
    spoken, earlier = threading.Event(), frozenset(bird.requests)

    def hold(seq: int) -> None:
        if seq == 1 and last(bird).turn not in earlier:
            bird.go_on.clear()
            spoken.set()

    bird.before_piece = hold
    try:
        yield spoken
    finally:
        bird.before_piece = lambda _seq: None
        bird.go_on.set()


def test_a_client_that_leaves_stops_its_reply(client: openai.OpenAI, bird: Parrot) -> None:
    with held_back(bird):
        with client.chat.completions.create(model="parrot", messages=HELLO, stream=True) as stream:
            next(iter(stream))
        turn = last(bird).turn
        wait_until(lambda: bool(bird._redis.exists(f"chat.stop.{turn}")), "the stop was asked for")


@contextmanager
def asking(url: str) -> Iterator[None]:
    """A client that has asked for a completion, and leaves at the end."""
    address = urlsplit(url)
    assert address.hostname is not None
    told = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=300)) as connection:
        connection.request("POST", "/v1/chat/completions", json.dumps({"model": "parrot", "messages": HELLO}), told)
        yield


def test_a_client_that_leaves_stops_a_reply_that_is_not_streamed(url: str, bird: Parrot) -> None:
    with held_back(bird) as spoken:
        with asking(url):
            assert spoken.wait(timeout=300)
            turn = last(bird).turn
            assert not bird._redis.exists(f"chat.stop.{turn}")
        wait_until(lambda: bool(bird._redis.exists(f"chat.stop.{turn}")), "the stop was asked for")


def test_a_client_that_leaves_while_its_request_is_sent_stops_it_too(
    url: str, bird: Parrot, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = AsyncClient.send

    async def sent_and_not_known(client: AsyncClient, request: TurnRequest) -> None:
        await send(client, request)
        await asyncio.Event().wait()

    monkeypatch.setattr(AsyncClient, "send", sent_and_not_known)
    with held_back(bird) as spoken:
        with asking(url):
            assert spoken.wait(timeout=300)
            turn = last(bird).turn
        wait_until(lambda: bool(bird._redis.exists(f"chat.stop.{turn}")), "the stop was asked for")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"null", b'{"model": NaN}', b"\xff\xfe", b'{"model": "\\ud800"}'])
def test_what_is_no_request_is_refused_in_the_shape_of_an_error(url: str, body: bytes) -> None:
    status, said = post(f"{url}/v1/chat/completions", body)
    assert status in (400, 422)
    assert set(said["error"]) == {"message", "type", "param", "code"}
