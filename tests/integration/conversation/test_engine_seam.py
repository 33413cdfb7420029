"""An engine that isn't torch's sits Runs and converses by the same code: nothing above the seam reaches through it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.turns import Ending, Piece, Progress, TokenScore, TurnRequest
from proctor.catalog.resolve import resolve
from proctor.exams.reading.identity import content_hash
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.form import Form, Headline, Kind, Metric
from proctor.nouns.conversations import Fault, Finish, Role, Sampling, Utterance
from proctor.nouns.exams import Conditions, Exam, Question
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import RunSpec, RunStatus, SweepRequest
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.database.session import Store
from proctor.store.reads import shown_answers
from proctor.store.runs import exams, sweeps
from tests import bigram, tiny
from tests.bigram import BigramEngine, PlainDevice, score
from tests.chaos.scene import FEW, assert_every_answer_once, recorded_scores, runs_of, submit_few
from tests.integration.desks import CountedLink, make_desk
from workers.channel import Channel
from workers.context import WorkerContext
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.drain import drain
from workers.engines.base import INEXACT, Engine, LoadRequest, Skill
from workers.models.held import Models

GREEDY = Sampling(temperature=0, max_tokens=30)
# What the model gives the letters behind "Answer:".
LETTERS = tuple(score(ord(":"), option.encode()) for option in (" A", " B", " C", " D"))
Loads = Callable[[LoadRequest], Engine]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    """A name that can be resolved; of its files this engine reads none."""
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


def worker(
    store: Store, settings: Settings, load: Loads = bigram.load, channel: Channel | None = None
) -> WorkerContext:
    """A worker's child that computes with this engine alone."""
    assert settings.broker_url is not None
    desk = make_desk(store, settings, channel, Models(PlainDevice(), load))
    means = ServerContext(desk.me, desk.models, store, desk.channel, desk.retry, desk.liveness, desk.lease_s)
    return replace(desk, chat=ConversationServer(means, ReplyStreams(settings.broker_url)))


@dataclass(frozen=True)
class Heard:
    """A reply that is over, as its client heard it."""

    reply: Reply
    text: str
    ending: Ending
    scores: tuple[TokenScore, ...]


def asked(client: Client, request: TurnRequest, desk: WorkerContext) -> Heard:
    """The reply to a request, made by a worker that answers a bell."""
    reply = client.ask(request)
    assert isinstance(next(reply.entries()), Progress)
    drain(desk)
    pieces = [entry for entry in reply.entries() if isinstance(entry, Piece)]
    assert reply.ending is not None
    return Heard(reply, reply.text, reply.ending, tuple(score for piece in pieces for score in piece.scores))


def request(model: ModelRef, said: str = "The moon", sampling: Sampling = GREEDY) -> TurnRequest:
    return ReplySettings(model.name, sampling=sampling).request(new_id(), [Utterance(Role.USER, said)])


def without(*skills: Skill) -> Loads:
    """The engine with fewer skills."""

    def load(request: LoadRequest) -> BigramEngine:
        engine = bigram.load(request)
        return replace(engine, skills=engine.skills - set(skills))

    return load


def likeliest(text: str, count: int) -> str:
    """The greedy continuation, worked out here."""
    line = list(text.encode())
    for _ in range(count):
        line.append(max(range(bigram.END + 1), key=lambda token: (bigram.logprob(line[-1], token), -token)))
    return bytes(line[-count:]).decode()


def test_a_run_is_sat_and_its_scores_are_those_of_the_model(store: Store, settings: Settings, model: ModelRef) -> None:
    sweep = submit_few(store, model, subjects=2)
    drain(worker(store, settings))
    assert_every_answer_once(store, sweep)
    assert LETTERS[0] > LETTERS[1] > LETTERS[2] == LETTERS[3]
    assert set(recorded_scores(store, sweep).values()) == {LETTERS}
    (first, second) = runs_of(store, sweep)
    assert first.provenance is not None
    assert (first.provenance.products, first.provenance.attention) == ("plain Python", "none")
    assert first.measures is not None
    assert first.measures.tokens_computed == 8 * FEW
    assert second.status == RunStatus.DONE


def test_a_page_is_rolled_in_windows_and_judged_by_its_sum(store: Store, settings: Settings, model: ModelRef) -> None:
    text = "The moon turns once. " * 150  # 3150 bytes, of which the model reads 2000
    page = Question("0" * 16, 0, text)
    form = Form(Kind.ROLLING, (Metric("byte_perplexity"),), Headline("byte_perplexity", "none")).json()
    exam = Exam("pages", "pages", (), (page,), content_hash("pages", (), (page,), form), form=form)
    exams.save_exam(store, exam)
    conditions = Conditions(shots=0, prompt_version=FORM_VERSION)
    spec = RunSpec(model, Quant.NONE, Device.CPU, DType.FLOAT32, "pages", "pages", exam.content_hash, 1, conditions)
    asked_for = SweepRequest((model.name,), (Quant.NONE,), "pages", ("pages",), "cpu", DType.FLOAT32, conditions)
    sweep = sweeps.submit(store, asked_for, [spec]).sweep_id
    drain(worker(store, settings))
    assert_every_answer_once(store, sweep)
    ((total,),) = recorded_scores(store, sweep).values()
    tokens = text.encode()
    assert total == pytest.approx(score(bigram.END, tokens[:2000]) + score(tokens[1999], tokens[2000:]))
    (answer,) = shown_answers.answers_after(store, sweep, 0, 9).answers
    assert answer.partial == pytest.approx(math.exp(total / len(tokens)))


def test_a_run_that_was_handed_back_is_finished_by_another_worker(
    store: Store, settings: Settings, model: ModelRef
) -> None:
    sweep = submit_few(store, model, 1, conditions=Conditions(shots=0, pack_tokens=80), check_noise=True)
    drain(worker(store, settings, channel=CountedLink(8)))
    (halfway,) = runs_of(store, sweep)
    assert 0 < halfway.answered < FEW
    drain(worker(store, settings))
    assert_every_answer_once(store, sweep)
    (run,) = runs_of(store, sweep)
    assert run.noise is not None
    assert set(recorded_scores(store, sweep).values()) == {LETTERS}
    assert (run.noise.flips, run.noise.largest) == (0, 0.0)


def test_a_conversation_is_held_and_the_next_turn_reads_the_one_before(
    client: Client, store: Store, settings: Settings, model: ModelRef
) -> None:
    desk = worker(store, settings)
    first = asked(client, request(model), desk)
    assert first.text == likeliest("user: The moon\nassistant: ", 30)
    assert (first.ending.finish, first.ending.counts.tokens_in) == (Finish.LENGTH, len("user: The moon\nassistant: "))
    second = asked(client, replace(request(model, "And?"), conversation=first.reply.request.conversation), desk)
    whole = f"user: The moon\nassistant: {first.text}\nuser: And?\nassistant: "
    assert second.ending.counts.tokens_in == len(whole.encode())
    kept = conversations.find_turn(store, second.reply.turn)
    assert kept is not None
    assert (kept.content, kept.token_ids) == (second.text, tuple(second.text.encode()))


def test_a_seeded_reply_with_a_stop_string_and_top_logprobs_is_the_same_again(
    client: Client, store: Store, settings: Settings, model: ModelRef
) -> None:
    desk = worker(store, settings)
    sampling = Sampling(temperature=1.5, seed=7, max_tokens=200, stop=("t",), rivals=2)
    first, again = (asked(client, request(model, sampling=sampling), desk) for _ in range(2))
    assert (first.text, first.scores) == (again.text, again.scores)
    assert "t" not in first.text
    assert [len(told.rivals) for told in first.scores] == [2] * len(first.scores)


def test_options_are_weighed_behind_a_conversation(
    client: Client, store: Store, settings: Settings, model: ModelRef
) -> None:
    probe = replace(request(model), options=("A", "moon"))
    reply = asked(client, probe, worker(store, settings))
    assert reply.ending.options_logprob == (score(ord(" "), b"A"), score(ord(" "), b"moon"))


def test_a_run_on_an_engine_that_gives_no_log_probabilities_fails_with_the_reason(
    store: Store, settings: Settings, model: ModelRef
) -> None:
    sweep = submit_few(store, model, subjects=1)
    drain(worker(store, settings, without(Skill.SCORE, Skill.STREAM)))
    (run,) = runs_of(store, sweep)
    assert run.status == RunStatus.FAILED
    assert "the engine that serves it gives no log-probabilities of options" in run.reason


def test_a_reply_by_an_engine_that_cannot_converse_is_refused_with_the_reason(
    client: Client, store: Store, settings: Settings, model: ModelRef
) -> None:
    reply = asked(client, request(model), worker(store, settings, without(Skill.STREAM)))
    assert (reply.ending.finish, reply.ending.fault) == (Finish.FAILED, Fault.BAD_MODEL)
    assert "can't converse" in reply.ending.error


@pytest.mark.parametrize("exact", [True, False])
def test_a_run_says_where_its_engine_may_give_other_numbers_again(
    store: Store, settings: Settings, model: ModelRef, exact: bool
) -> None:
    sweep = submit_few(store, model, subjects=1)
    drain(worker(store, settings, bigram.load if exact else without(Skill.EXACT)))
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    assert (INEXACT in run.provenance.notes) is not exact


def test_an_engine_is_closed_before_the_next_model_is_loaded(model: ModelRef) -> None:
    loaded: list[BigramEngine] = []

    def load(request: LoadRequest) -> BigramEngine:
        assert all(engine.closed for engine in loaded)
        loaded.append(bigram.load(request))
        return loaded[-1]

    models = Models(PlainDevice(), load)
    for quant in (Quant.NONE, Quant.EIGHT_BIT):
        models.get(model, quant, DType.FLOAT32)
    assert [engine.closed for engine in loaded] == [[True], []]
