"""What a completion's fields mean where nothing is said, and up to which length or value they are taken."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from chat.server.requests import ChatForm, CompletionForm
from proctor.nouns.conversations import Sampling

HELLO = [{"role": "user", "content": "Hello"}]


def chat(**fields: Any) -> ChatForm:
    return ChatForm.model_validate({"model": "parrot", "messages": HELLO, **fields})


def test_what_a_client_leaves_open_is_as_openai_has_it() -> None:
    open_ = Sampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0)
    assert chat().request().sampling == open_
    (request,) = CompletionForm.model_validate({"model": "parrot", "prompt": "Hello"}).requests()
    assert request.sampling == Sampling(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0, max_tokens=16)
    assert (request.echo, chat().stream, chat().include_usage) == (False, False, False)


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("model", "x" * 300, "x" * 301),
        ("model", "x", ""),
        ("user", "x" * 1000, "x" * 1001),
        ("temperature", 0, -0.1),
        ("temperature", 2, 2.1),
        ("top_p", 1, 0),
        ("top_k", 0, -1),
        ("top_k", 1 << 31, (1 << 31) + 1),
        ("repetition_penalty", 100, 101),
        ("repetition_penalty", 0.1, 0),
        ("max_tokens", 1, 0),
        ("max_completion_tokens", 1, 0),
        ("n", 1, 2),
        ("seed", 0, -1),
        ("stop", ["x"], [""]),
        ("stop", "x", "\0"),
        ("tools", [], [{"type": "function"}]),
        ("metadata", {}, {"a": "b"}),
    ],
)
def test_fields_are_taken_up_to_their_bounds(field: str, taken: object, refused: object) -> None:
    chat(**{field: taken}).request()
    with pytest.raises(ValidationError) as told:
        chat(**{field: refused})
    assert {each["loc"][0] for each in told.value.errors()} == {field}


def test_the_newer_name_of_the_longest_reply_counts() -> None:
    assert chat(max_tokens=5, max_completion_tokens=7).request().sampling.max_tokens == 7
    assert chat(max_tokens=5).request().sampling.max_tokens == 5
