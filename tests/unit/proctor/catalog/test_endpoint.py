"""The address of a server, and what goes along with it on command lines: never its key."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from proctor.catalog.endpoint import (
    IN_FLIGHT,
    KEY,
    TOLERANCE,
    Endpoint,
    Price,
    ServedModel,
    add_arguments,
    client,
    listed,
    of_arguments,
    read_url,
)
from proctor.cli import COMMANDS, command
from proctor.errors import BadInput
from tests.faulty_endpoint import FaultyEndpoint


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint() as found:
        yield found


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/v1"),
        (" https://host.example/api/v1/ ", "https://host.example/api/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_an_address_is_completed(said: str, meant: str) -> None:
    assert read_url(said) == meant


@pytest.mark.parametrize("said", ["localhost:8000", "ftp://host/v1", "http:///v1", "", "http://host/v1?key=1"])
def test_what_is_no_address_is_refused(said: str) -> None:
    with pytest.raises(BadInput, match="--endpoint"):
        read_url(said)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput, match=KEY) as caught:
        read_url("https://me:secret@host/v1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("http://host/v1"),
        Endpoint("http://host/v1", ("org/a", "b"), "org/c", 7, "0.15:0.6", 0.2),
    ],
)
def test_who_is_started_is_told_the_same(endpoint: Endpoint) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert of_arguments(parser.parse_args(endpoint.arguments)) == endpoint
    assert of_arguments(parser.parse_args([])) is None


def test_the_key_goes_along_from_the_environment_alone() -> None:
    with client("http://127.0.0.1:1/v1", {KEY: "sesame"}) as http:
        assert http.headers["Authorization"] == "Bearer sesame"
        assert not http.follow_redirects
    with client("http://127.0.0.1:1/v1", {}) as http:
        assert "Authorization" not in http.headers


def test_a_price_is_of_a_million_tokens() -> None:
    assert Price.parse("0.15:0.60").of(2_000_000, 500_000) == pytest.approx(0.6)
    for text in ("1", "1:x", "-1:2", "1:2:3"):
        with pytest.raises(BadInput, match="is no price"):
            Price.parse(text)
    with pytest.raises(BadInput, match="is no price"):
        Endpoint("http://host/v1", price="cheap")


@pytest.mark.parametrize(
    ("facts", "window"),
    [
        ({"max_model_len": 8192}, 8192),
        ({"meta": {"n_ctx_train": 4096}}, 4096),
        ({"context_length": 131072, "meta": None}, 131072),
        ({"max_model_len": "many"}, None),
        ({}, None),
    ],
)
def test_the_window_is_where_each_kind_of_server_tells_it(facts: dict[str, object], window: int | None) -> None:
    assert ServedModel("one", facts).window == window


def test_a_server_of_something_else_is_told_from_one(server: FaultyEndpoint) -> None:
    with client(server.url) as http:
        assert list(listed(http, server.url)) == ["bigram"]
        with pytest.raises(BadInput, match=r"doesn't speak OpenAI's API: it answers 404 to GET /models"):
            listed(http, server.url.removesuffix("/v1") + "/v2")


@pytest.mark.parametrize("place", ["submit", "worker"])
def test_the_command_lines_have_the_same_defaults(place: str) -> None:
    defaults = {one.name: one.default for one in command(COMMANDS[place]).params}
    assert (defaults["in_flight"], defaults["tolerance"]) == (IN_FLIGHT, TOLERANCE)
