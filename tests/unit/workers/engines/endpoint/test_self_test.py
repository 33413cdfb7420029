"""What a server can do is found by trying it: its skills, and what its Runs say of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from proctor.catalog.endpoint import KEY, Endpoint, EndpointAway, ref_of
from proctor.errors import BadModel, NotHere
from proctor.nouns.models import DType, Quant
from tests.faulty_endpoint import MODEL, Fault, FaultyEndpoint
from workers.engines.base import LoadRequest, Skill
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.engine import EndpointEngine, load_engine
from workers.engines.endpoint.retries import Patience

GENERATES = frozenset({Skill.STREAM})
SCORES = frozenset({Skill.STREAM, Skill.SCORE})


@pytest.fixture
def server() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint() as found:
        yield found


def connect(server: FaultyEndpoint, name: str = MODEL, **said: float) -> EndpointEngine:
    """What is found by the self-test; the connection is closed again."""
    request = LoadRequest(ref_of(name), Quant.NONE, DType.AUTO)
    device = EndpointDevice(replace(Endpoint(server.url), **said), patience=Patience(5.0, first_wait_s=0.01))  # type: ignore[arg-type] # a float
    engine = load_engine(request, lambda: pytest.fail("a server's model has no files here"), device)
    engine.close()
    return engine


def test_an_honest_server_scores_and_its_figures_are_the_provenance(server: FaultyEndpoint) -> None:
    engine = connect(server)
    assert engine.skills == SCORES
    assert engine.dialect.agreed is not None
    assert engine.dialect.agreed < 1e-9
    assert engine.dialect.compared > 6
    made = engine.provenance
    assert made.versions["server"] == "trial"
    assert made.versions["model's max_model_len"] == "4000"
    assert made.versions["self-test"].endswith("log-probabilities agree to 0.0e+00")
    assert any("prompts are sent as text" in note for note in made.notes)
    assert "torch" not in made.versions


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"off_by": 0.05}, "differ from those of generation by 0.05"),
        ({"chance": True}, "differ from those of generation by"),
        ({"echoes": False}, "leaves the prompt out"),
        ({"scores": False}, "tells no log-probabilities of its own replies"),
        ({"completions": False}, "has no /completions"),
    ],
)
def test_a_server_whose_numbers_are_no_log_probabilities_of_given_texts_is_asked_for_generation_alone(
    server: FaultyEndpoint, fault: dict[str, float], why: str
) -> None:
    for name, value in fault.items():
        setattr(server, name, value)
    engine = connect(server)
    assert engine.skills == GENERATES
    assert why in engine.dialect.why_not
    assert any(why in note for note in engine.provenance.notes)


def test_a_server_of_sixteen_bits_scores_where_a_person_lets_it(server: FaultyEndpoint) -> None:
    server.off_by = 0.05
    engine = connect(server, tolerance=0.2)
    assert engine.skills == SCORES
    assert any("agree with those of generation to 5.0e-02 nats" in note for note in engine.provenance.notes)


def test_a_chat_is_asked_by_the_name_that_it_has_for_the_longest_reply(server: FaultyEndpoint) -> None:
    server.completions, server.limit_name = False, "max_completion_tokens"
    assert connect(server).dialect.limit_name == "max_completion_tokens"


def test_a_server_that_fails_for_a_moment_is_asked_again(server: FaultyEndpoint) -> None:
    server.faults.extend([Fault(500), Fault(429, {"Retry-After": "0.1"}), Fault(503)])
    assert connect(server).skills == SCORES


def test_a_model_that_the_server_has_not_is_named_with_the_nearest(server: FaultyEndpoint) -> None:
    with pytest.raises(NotHere, match=r"Unknown model of the server 'bigran'. Did you mean bigram\?"):
        connect(server, "bigran")


def test_the_key_comes_from_the_environment_and_a_wrong_one_is_told(
    server: FaultyEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.wanted_key = "sesame"
    with pytest.raises(NotHere, match=r"refuses the key \(401\)\. Set PROCTOR_ENDPOINT_KEY"):
        connect(server)
    monkeypatch.setenv(KEY, "sesame")
    assert connect(server).skills == SCORES
    assert "sesame" not in str(connect(server).provenance)


def test_a_server_that_is_not_there_may_be_back(server: FaultyEndpoint) -> None:
    server.stop()
    with pytest.raises(EndpointAway, match="can't be reached"):
        connect(server)
    server.start()


def test_a_server_that_can_do_nothing_is_refused_with_its_own_words(server: FaultyEndpoint) -> None:
    server.completions, server.limit_name = False, "longest"
    with pytest.raises(BadModel, match="neither goes on with a text nor chats: unsupported: max_completion_tokens"):
        connect(server)
