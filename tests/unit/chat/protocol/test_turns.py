"""What travels between clients and workers: the same on both sides, and nothing believed."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.protocol.turns import (
    BYTES,
    FIELD,
    MAX_REQUEST_BYTES,
    Aside,
    AsidePlace,
    Ending,
    Entry,
    Expectation,
    Piece,
    Progress,
    Stage,
    TokenScore,
    TopLogprob,
    TurnRequest,
    dump_entry,
    dump_request,
    entry_id,
    load_entry,
    load_request,
)
from proctor.errors import BadInput
from proctor.nouns.conversations import ContextFacts, Counts, Fault, Finish, History, Role, Sampling, Utterance
from proctor.nouns.models import Device, Quant
from proctor.wire import BadMessage, to_json

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
NAME = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
COUNT = st.integers(0, 1 << 40)
SECONDS = st.floats(0, 1e9)
LOGPROB = st.floats(max_value=0, allow_nan=False)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.floats(0, 100),
    top_p=st.floats(0, 1, exclude_min=True),
    top_k=st.integers(0, 1000),
    repetition_penalty=st.floats(0.1, 100),
    stop=st.lists(TEXT.filter(bool), max_size=3).map(tuple),
    seed=st.none() | st.integers(0, (1 << 63) - 1),
    max_tokens=st.none() | st.integers(1, 1000),
    rivals=st.none() | st.integers(0, 20),
)
REQUESTS = st.builds(
    TurnRequest,
    turn=NAME,
    conversation=NAME,
    model=TEXT.filter(bool),
    say=st.lists(st.builds(Utterance, st.sampled_from([Role.USER, Role.ASSISTANT]), TEXT), max_size=3).map(tuple),
    after=st.none() | NAME,
    quant=st.sampled_from(Quant),
    device=st.none() | st.sampled_from(Device),
    sampling=SAMPLINGS,
    history=st.sampled_from(History),
    options=st.lists(TEXT.filter(bool), max_size=3).map(tuple),
    title=TEXT,
)
CONTEXTS = st.builds(ContextFacts, shown=st.lists(NAME, max_size=2).map(tuple), left_out=COUNT, budget=COUNT)
PART = st.binary(max_size=4)
RIVALS = st.lists(st.builds(TopLogprob, COUNT, TEXT, LOGPROB, PART)).map(tuple)
SCORES = st.builds(TokenScore, COUNT, TEXT, LOGPROB, RIVALS, PART)
PIECES = st.builds(Piece, COUNT, COUNT, COUNT, COUNT, st.lists(COUNT).map(tuple), TEXT, st.lists(SCORES).map(tuple))
ENTRIES = st.one_of(
    st.builds(Progress, st.sampled_from(Stage), COUNT, TEXT, COUNT, TEXT, st.none() | CONTEXTS),
    PIECES,
    st.builds(Aside, COUNT, COUNT, st.sampled_from(AsidePlace), TEXT, st.lists(SCORES).map(tuple)),
    st.builds(
        Ending,
        st.sampled_from(Finish),
        st.builds(Counts, COUNT, COUNT, COUNT, SECONDS, SECONDS, SECONDS, SECONDS),
        st.none() | st.sampled_from(Fault),
        TEXT,
        context=st.none() | CONTEXTS,
        options_logprob=st.lists(LOGPROB).map(tuple),
    ),
)
PLAIN = {"turn": "t1", "conversation": "c1", "model": "smollm2", "say": [{"role": "user", "content": "Hello"}]}


@given(REQUESTS)
def test_a_request_arrives_as_it_was_sent(request: TurnRequest) -> None:
    assert load_request(dump_request(request).encode()) == request


@given(ENTRIES)
def test_an_entry_arrives_as_it_was_sent(entry: Entry) -> None:
    raw = {key.encode(): value.encode() for key, value in dump_entry(entry).items()}
    assert load_entry(raw) == load_entry(dump_entry(entry)) == entry


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | TEXT, lambda some: st.lists(some) | st.dictionaries(TEXT, some)
    )
)
def test_whatever_else_arrives_is_refused_in_words(said: object) -> None:
    with pytest.raises(BadMessage):
        load_request(json.dumps(said))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"turn": "../../x"}, "is no id of a turn"),
        ({"turn": "t" * 64 + "\n"}, "is no id of a turn"),
        ({"turn": "t" * 65}, "is no id of a turn"),
        ({"conversation": "c1 "}, "is no id of a conversation"),
        ({"after": "t1/"}, "is no id of a turn"),
        ({"turn": 7}, "TurnRequest.turn is of type int instead of str"),
        ({"turns": "t1"}, "unknown field 'turns'"),
        ({"quant": "3bit"}, "'3bit'"),
        ({"say": [{"role": "tool", "content": "x"}]}, r"say\[0\].role is 'tool'"),
        ({"say": [{"role": "user", "content": "\0"}]}, r"say\[0\].content holds a character that is none"),
        ({"say": [{"role": "user", "content": "\ud800"}]}, "half of a surrogate pair"),
        ({"say": [{"role": "system", "content": "x"}]}, "nothing to answer"),
        ({"say": [], "after": ""}, "nothing to answer"),
        ({"say": "Hello"}, "instead of a list"),
        ({"sampling": {"temperature": math.nan}}, "temperature nan"),
        ({"sampling": {"temperature": True}}, "instead of float"),
        ({"sampling": {"temperature": 10**400}}, "temperature"),
        ({"sampling": {"top_p": 0}}, "top_p 0"),
        ({"sampling": {"top_k": -1}}, "top_k -1"),
        ({"sampling": {"repetition_penalty": 0}}, "repetition_penalty 0"),
        ({"sampling": {"stop": [""]}}, "stop string of 0"),
        ({"sampling": {"max_tokens": 0}}, "max_tokens 0"),
        ({"sampling": {"seed": 1 << 63}}, "seed"),
        ({"options": [""]}, "options"),
        ({"echo": True}, "without the chat template"),
        ({"say": [{"role": "user", "content": "x", "token_ids": [5]}]}, "without the chat template"),
        ({"say": [{"role": "user", "content": "x", "token_ids": [-1]}]}, "between 0 and"),
        ({"say": [{"role": "user", "content": "x", "token_ids": [1 << 32]}]}, "between 0 and"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        load_request(json.dumps({**PLAIN, **change}))


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadMessage, match="lacks the field 'model'"):
        load_request(json.dumps({key: value for key, value in PLAIN.items() if key != "model"}))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "1" * 10_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BadMessage):
        load_request(text)


def test_a_request_above_the_limit_is_refused_on_both_sides() -> None:
    plain = load_request(json.dumps(PLAIN))
    large = dataclasses.replace(plain, say=(Utterance(Role.USER, "x" * MAX_REQUEST_BYTES),))
    with pytest.raises(BadInput, match="MiB"):
        dump_request(large)
    with pytest.raises(BadMessage, match="bytes"):
        load_request("x" * (MAX_REQUEST_BYTES + 1))


def test_an_entry_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadMessage, match="unknown kind"):
        load_entry({"entry": "song {}"})
    with pytest.raises(BadMessage, match="unknown kind"):
        load_entry({"something": "else"})


@pytest.mark.parametrize("id_", ["", "../../x", "e1\n", "e" * 65])
def test_an_expectation_is_named_by_an_id(id_: str) -> None:
    assert Expectation("e" * 64, "parrot").id == "e" * 64
    with pytest.raises(BadInput, match="expectation"):
        Expectation(id_, "parrot")


def test_what_has_no_place_in_a_message_is_written_into_none() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd:
        said: bytes

    with pytest.raises(TypeError, match="bytes has no place in a message"):
        to_json(Odd(b"Hello"))


def test_entry_ids_sort_by_attempt_and_number() -> None:
    assert entry_id(2, 0) == "2-0"
    assert entry_id(12, 7) == "12-7"


@pytest.mark.parametrize("text", ["half \ud800 a pair", "a NUL \0"])
def test_what_no_worker_would_take_is_refused_before_it_is_sent(text: str) -> None:
    with pytest.raises(BadInput, match="a character that is none"):
        dump_request(TurnRequest("t", "c", "m", (Utterance(Role.USER, text),)))


OF_THE_RELEASE_BEFORE = {  # the fields that its workers and clients know, in its own order
    TurnRequest: "turn conversation model say after quant device sampling history options title",
    Utterance: "role content",
    Piece: "attempt seq at_token at_character tokens text scores",
    TokenScore: "token text logprob rivals",
    TopLogprob: "token text logprob",
}


def fields_in(said: object) -> set[str]:
    """The names of all fields in some JSON."""
    if isinstance(said, list):
        return {name for each in said for name in fields_in(each)}
    if isinstance(said, dict):
        return {*said, *(name for each in said.values() for name in fields_in(each))}
    return set()


def known(*kinds: type) -> set[str]:
    sampling = {field.name for field in dataclasses.fields(Sampling)}
    return sampling | {name for kind in kinds for name in OF_THE_RELEASE_BEFORE[kind].split()}


@given(REQUESTS)
def test_workers_of_the_release_before_know_every_field_of_what_they_can_do(request: TurnRequest) -> None:
    assert fields_in(json.loads(dump_request(request))) <= known(TurnRequest, Utterance)


def test_what_they_cannot_do_is_named_to_them() -> None:
    raw = dataclasses.replace(load_request(json.dumps(PLAIN)), history=History.RAW)
    echoed = dataclasses.replace(raw, echo=True)
    in_tokens = dataclasses.replace(raw, say=(Utterance(Role.USER, "(2 tokens)", (5, 6)),))
    assert fields_in(json.loads(dump_request(echoed))) - known(TurnRequest, Utterance) == {"echo"}
    assert fields_in(json.loads(dump_request(in_tokens))) - known(TurnRequest, Utterance) == {"token_ids"}
    assert [load_request(dump_request(one)) for one in (echoed, in_tokens)] == [echoed, in_tokens]


@given(PIECES)
@settings(deadline=None)
def test_clients_of_the_release_before_know_every_field_of_a_piece(piece: Piece) -> None:
    _, _, body = dump_entry(piece)[FIELD].partition(" ")
    assert fields_in(json.loads(body)) <= known(Piece, TokenScore, TopLogprob)


def test_bytes_travel_beside_an_entry_and_only_where_there_are_some() -> None:
    plain = Piece(1, 1, 0, 0, (7,), "a", (TokenScore(7, "a", -1.0, (TopLogprob(8, "b", -2.0),)),))
    assert set(dump_entry(plain)) == {FIELD}
    (score,) = plain.scores
    parts = dataclasses.replace(plain, scores=(dataclasses.replace(score, text="", part=b"\xf0\x9f"),))
    told = dump_entry(parts)
    assert load_entry(told) == parts
    assert load_entry({FIELD: told[FIELD]}) == dataclasses.replace(
        parts, scores=(TokenScore(7, "", -1.0, score.rivals),)
    )


@pytest.mark.parametrize(
    "beside", ["", "{", '{"hex": []}', '{"hex": ["f0"]}', '{"hex": ["f0", "zz"]}', '{"hex": [1, 2]}']
)
def test_bytes_that_are_not_the_tokens_are_refused(beside: str) -> None:
    told = dump_entry(Piece(1, 1, 0, 0, (7,), "a", (TokenScore(7, "a", -1.0, (TopLogprob(8, "b", -2.0),)),)))
    with pytest.raises(BadMessage):
        load_entry({**told, BYTES: beside})
