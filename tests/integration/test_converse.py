"""Replies on a real broker and a real database, by the child's own code in this process: what a client gets to hear."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from chat.client.client import Client, Reply, ReplySettings, new_id
from chat.protocol.turns import Ending, Piece, Progress, Stage, TurnRequest
from chat.terminal.figures import left_out
from proctor.embedded.command import embedded
from proctor.errors import DeviceBroken, OutOfMemory
from proctor.exams.chat_prompts import Message
from proctor.nouns.conversations import Fault, Finish, History, Role, Sampling, TurnStatus, Utterance
from proctor.nouns.models import Device
from proctor.nouns.workers import WorkerCard
from proctor.retry import OutageRetry
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.conversations.tables import ReplyRow
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from tests import templates, tiny
from tests.integration.broker_settings import on_sqlite
from tests.models import of_hf, on_cpu
from workers.channel import Channel
from workers.conversation import turn_taking
from workers.conversation.server import ConversationServer
from workers.conversation.server_context import ServerContext
from workers.conversation.streams import ReplyStreams
from workers.engines.generation import PIECE, NextToken
from workers.engines.hf.generation.continuous import ContinuousBatcher
from workers.parent.requests import ChatRequests
from workers.run.liveness import Liveness

ME = WorkerCard("cpu@here:1", "here", Device.CPU, "test CPU", 1 << 40)
ANOTHER = dataclasses.replace(ME, name="cpu@here:2")
GREEDY = Sampling(temperature=0, max_tokens=20)
Make = Callable[..., "Desk"]


class Clock:
    """A clock that moves as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Desk:
    """A worker's child without its parent: `work` does what waits."""

    def __init__(
        self, settings: Settings, store: Store, me: WorkerCard = ME, clock: Callable[[], float] = time.monotonic
    ) -> None:
        assert settings.broker_url is not None
        self.channel, self.models = Channel(), on_cpu(settings.cache)
        retry = OutageRetry(self.channel.wait, 5.0)
        context = ServerContext(me, self.models, store, self.channel, retry, Liveness(), lease_s=30.0, clock=clock)
        self.chat = ConversationServer(context, ReplyStreams(settings.broker_url))

    def work(self) -> None:
        self.chat.answer_waiting()
        while self.chat.load_wanted():
            pass


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded(on_sqlite(tmp_path_factory.mktemp("fleet")), devices=None) as crew:
        yield crew.broker_url


@pytest.fixture
def settings(tmp_path: Path, broker: str) -> Settings:
    return on_sqlite(tmp_path, broker)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def client(broker: str, settings: Settings, store: Store) -> Iterator[Client]:
    with Client(broker) as found:
        found.redis.flushdb()
        chat_requests = ChatRequests(broker, store, ME, lambda _: None)
        chat_requests.start()
        yield found
        chat_requests.stop()
        chat_requests.join()


@pytest.fixture
def desk(settings: Settings, store: Store) -> Desk:
    return Desk(settings, store)


def request(model: str, said: str = "Why does the moon turn?", **more: object) -> TurnRequest:
    plain = ReplySettings(model, sampling=GREEDY).request(new_id(), [Utterance(Role.USER, said)])
    return dataclasses.replace(plain, **more)  # type: ignore[arg-type] # fields of TurnRequest


def accepted(client: Client, *requests: TurnRequest) -> list[Reply]:
    """The Turns, filed."""
    replies = [client.ask(one) for one in requests]
    for reply in replies:
        first = next(reply.entries())
        assert isinstance(first, Progress), first
    return replies


def ended(client: Client, desk: Desk, *requests: TurnRequest) -> list[Reply]:
    replies = accepted(client, *requests)
    desk.work()
    for reply in replies:
        for _ in reply.entries():
            pass
    return replies


def ending(reply: Reply) -> Ending:
    assert reply.ending is not None
    return reply.ending


def test_a_reply_is_told_step_by_step_and_stands_in_the_store(
    client: Client, desk: Desk, store: Store, model: str
) -> None:
    (reply,) = accepted(client, request(model))
    desk.work()
    told = list(reply.entries())
    stages = [entry.stage for entry in told if isinstance(entry, Progress)]
    assert stages == [Stage.LOADING, Stage.READING]
    pieces = [entry for entry in told if isinstance(entry, Piece)]
    assert [piece.at_token for piece in pieces] == list(range(20))
    kept = conversations.find_turn(store, reply.turn)
    assert kept is not None
    assert (kept.content, kept.finish, kept.context) == (reply.text, Finish.LENGTH, ending(reply).context)
    assert ending(reply).counts == kept.counts
    assert (kept.counts.tokens_out, len(kept.token_ids)) == (20, 20)
    assert client.redis.ttl(f"chat.reply.{reply.turn}") > 0


def test_many_conversations_are_the_same_in_company(client: Client, desk: Desk, model: str) -> None:
    said = [f"Number {n}, which is{' very' * n} large?" for n in range(6)]
    alone = [ended(client, desk, request(model, one))[0].text for one in said]
    together = ended(client, desk, *(request(model, one) for one in said))
    assert [reply.text for reply in together] == alone


def test_the_second_turn_computes_only_what_is_new(client: Client, desk: Desk, model: str) -> None:
    (first,) = ended(client, desk, request(model))
    (second,) = ended(client, desk, request(model, "And the sun?", conversation=first.request.conversation))
    before, after = ending(first).counts, ending(second).counts
    assert after.tokens_in > before.tokens_in + before.tokens_out
    assert after.tokens_cached >= before.tokens_in + before.tokens_out - PIECE


def test_with_history_off_no_earlier_word_is_read(client: Client, desk: Desk, model: str) -> None:
    (alone,) = ended(client, desk, request(model, "And the sun?"))
    (first,) = ended(client, desk, request(model))
    (second,) = ended(
        client, desk, request(model, "And the sun?", conversation=first.request.conversation, history=History.OFF)
    )
    assert second.text == alone.text
    assert ending(second).counts.tokens_in == ending(alone).counts.tokens_in


def test_a_stop_string_ends_a_reply_before_it(client: Client, desk: Desk, store: Store, model: str) -> None:
    (whole,) = ended(client, desk, request(model))
    stop = whole.text[6:9]
    (reply,) = ended(client, desk, request(model, sampling=dataclasses.replace(GREEDY, stop=(stop,))))
    assert reply.text == whole.text[: whole.text.index(stop)]
    assert ending(reply).finish is Finish.STOP
    kept = conversations.find_turn(store, reply.turn)
    assert kept is not None
    assert kept.content == reply.text


def test_log_probabilities_come_with_each_token_and_are_kept(
    client: Client, desk: Desk, store: Store, model: str
) -> None:
    (reply,) = accepted(client, request(model, sampling=dataclasses.replace(GREEDY, rivals=2)))
    desk.work()
    scores = [score for entry in reply.entries() if isinstance(entry, Piece) for score in entry.scores]
    assert len(scores) == 20
    assert all(score.rivals[0].logprob == pytest.approx(score.logprob, abs=1e-6) for score in scores)  # greedy
    kept = conversations.find_turn(store, reply.turn)
    assert kept is not None
    assert kept.logprobs == tuple(score.logprob for score in scores)


def test_a_completion_keeps_the_space_before_its_first_word_and_so_do_its_tokens(
    client: Client, desk: Desk, store: Store, tmp_path: Path
) -> None:
    folder = str(tiny.make_sentencepiece(tmp_path / "spm"))
    said, words, spaced = "Paris is the", tiny.sentencepiece(), 0
    for seed in range(8):
        sampling = Sampling(temperature=1.0, seed=seed, max_tokens=12, rivals=1)
        (reply,) = accepted(client, request(folder, said, history=History.RAW, sampling=sampling))
        desk.work()
        scores = [score for entry in reply.entries() if isinstance(entry, Piece) for score in entry.scores]
        kept = conversations.find_turn(store, reply.turn)
        assert kept is not None
        ids = words(said)["input_ids"] + in_words(kept.token_ids)
        assert (said + reply.text).startswith(str(words.decode(ids, skip_special_tokens=True)))
        assert reply.text.startswith("".join(score.text for score in scores))  # but for bytes that end in the middle
        spaced += reply.text.startswith(" ")
    assert spaced > 0


def in_words(tokens: Sequence[int]) -> list[int]:
    """The tokens before the first that is a single byte (3 to 258): of bytes in a row the tokenizer makes one text."""
    return list(itertools.takewhile(lambda token: not 3 <= token < 259, tokens))


def test_a_reply_that_is_gone_on_with_keeps_the_space_between(
    client: Client, desk: Desk, store: Store, tmp_path: Path
) -> None:
    folder = str(tiny.make_sentencepiece(tmp_path / "spm"))
    words, spaced = tiny.sentencepiece(), 0
    for seed in range(8):
        sampling = Sampling(temperature=1.0, seed=seed, max_tokens=8)
        (first,) = ended(client, desk, request(folder, sampling=sampling))
        (second,) = ended(
            client, desk, request(folder, conversation=first.request.conversation, say=(), sampling=sampling)
        )
        kept = conversations.find_turn(store, second.turn)
        assert kept is not None
        ids = [*words("a", add_special_tokens=False)["input_ids"], *in_words(kept.token_ids)]
        assert ("a" + kept.content).startswith(str(words.decode(ids, skip_special_tokens=True)))
        spaced += kept.content.startswith(" ")
    assert spaced > 0


def test_a_probe_scores_its_options_behind_the_context(client: Client, desk: Desk, model: str) -> None:
    probe = request(model, options=("A", "B", " It turns"))
    (reply,) = ended(client, desk, probe)
    engine = of_hf(desk.models.held)
    text = engine.tokenizer.chat([Message(said.role.value, said.content) for said in probe.say])
    prompt = engine.tokenizer.ids(text)
    for option, found in zip(probe.options, ending(reply).options_logprob, strict=True):
        ids = engine.tokenizer.library(option, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = engine.model.model(torch.tensor([[*prompt, *ids]])).logits[0]
        logprobs = logits.float().log_softmax(-1)
        expected = sum(float(logprobs[len(prompt) - 1 + n, token]) for n, token in enumerate(ids))
        assert found == pytest.approx(expected, abs=1e-4)
        assert not math.isnan(found)


def test_what_is_too_long_is_refused_with_both_numbers(client: Client, desk: Desk, model: str) -> None:
    (reply,) = ended(client, desk, request(model, "Why? " * 400))
    found = ending(reply)
    assert (found.finish, found.fault) == (Finish.FAILED, Fault.TOO_LONG)
    assert found.counts.tokens_in > found.window_tokens > 0


def test_a_model_without_a_chat_template_says_so(client: Client, desk: Desk, tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    (reply,) = ended(client, desk, request(str(folder)))
    assert ending(reply).fault is Fault.BAD_MODEL
    assert "no chat template" in ending(reply).error


def test_a_system_prompt_without_a_place_in_the_template_is_read_and_that_is_said(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    for name, template in (
        ("gemma", templates.GEMMA),
        ("silent", templates.IGNORES_SYSTEM),
        ("chatml", templates.CHATML),
    ):
        folder = tiny.make(tmp_path / name)
        (folder / "chat_template.jinja").write_text(template)
        say = (Utterance(Role.SYSTEM, "Say BANANA."), Utterance(Role.USER, "Why?"))
        (reply,) = ended(client, desk, request(str(folder), say=say))
        context = ending(reply).context
        assert context is not None
        assert context.system_in_user is (name != "chatml")
        assert ("the system prompt stands in the first message" in left_out(context)) is (name != "chatml")
        tokenizer = of_hf(desk.models.held).tokenizer
        unread = tokenizer.ids(tokenizer.chat([Message("user", "Why?")]))
        assert ending(reply).counts.tokens_in > len(unread)


def test_earlier_thoughts_are_not_shown_again(client: Client, desk: Desk, tmp_path: Path) -> None:
    folder = tiny.make(tmp_path / "r1")
    (folder / "chat_template.jinja").write_text(templates.R1)
    said = [("user", "Hi"), ("assistant", "Hm. " * 40 + "</think>Hello"), ("user", "Why?")]
    say = tuple(Utterance(Role(role), content) for role, content in said)
    (reply,) = ended(client, desk, request(str(folder), say=say))
    tokenizer = of_hf(desk.models.held).tokenizer
    (short,) = ended(client, desk, request(str(folder), say=(say[0], Utterance(Role.ASSISTANT, "Hello"), say[2])))
    assert ending(reply).counts.tokens_in == ending(short).counts.tokens_in
    assert ending(reply).counts.tokens_in == tokenizer.count(
        "<s><|User|>Hi<|Assistant|>Hello</s><|User|>Why?<|Assistant|><think>\n"
    )
    assert reply.text == short.text


def test_a_reply_that_was_stopped_before_it_began_ends_without_a_word(
    client: Client, desk: Desk, store: Store, model: str
) -> None:
    stopped, other = accepted(client, request(model), request(model, "And the sun?"))
    stopped.stop()
    desk.work()
    for reply in (stopped, other):
        for _ in reply.entries():
            pass
    assert (ending(stopped).finish, stopped.text, ending(stopped).counts.tokens_out) == (Finish.STOPPED, "", 0)
    kept = conversations.find_turn(store, stopped.turn)
    assert kept is not None
    assert (kept.status, kept.finish, kept.token_ids) == (TurnStatus.DONE, Finish.STOPPED, ())
    assert ending(other).counts.tokens_out == 20


def test_a_model_is_loaded_before_it_is_asked_for(client: Client, desk: Desk, model: str) -> None:
    client.expect(ReplySettings(model))
    assert desk.chat.load_expected()
    (reply,) = accepted(client, request(model))
    desk.work()
    stages = [entry.stage for entry in reply.entries() if isinstance(entry, Progress)]
    assert stages == [Stage.CLAIMED, Stage.READING]
    assert not desk.chat.load_expected()  # it was taken


def test_a_model_as_its_lane_names_it_is_the_one_that_is_held(client: Client, desk: Desk, model: str) -> None:
    (first,) = ended(client, desk, request(model))
    held = desk.models.held
    assert held is not None
    again = request(str(held.ref), "And the sun?", conversation=first.request.conversation)
    assert ending(ended(client, desk, again)[0]).counts.tokens_cached > 0
    assert desk.models.held is held


def test_what_is_expected_never_takes_a_model_away(client: Client, desk: Desk, model: str, tmp_path: Path) -> None:
    ended(client, desk, request(model))
    held = desk.models.held
    client.expect(ReplySettings(str(tiny.make(tmp_path / "another"))))
    assert not desk.chat.load_expected()
    assert desk.models.held is held


@pytest.mark.parametrize(
    "options",
    [
        ReplySettings("/there/is/no/such/model"),
        ReplySettings("nobody-knows-it"),
        ReplySettings("smollm2", device=Device.GPU),
    ],
)
def test_what_cannot_be_loaded_here_is_left_until_it_is_asked_for(
    client: Client, desk: Desk, options: ReplySettings
) -> None:
    client.expect(options)
    assert not desk.chat.load_expected()
    assert desk.models.held is None


def test_a_worker_that_is_to_stop_hands_its_replies_to_another(
    client: Client, desk: Desk, settings: Settings, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = ended(client, desk, request(model))
    (reply,) = accepted(client, request(model))
    step, steps = ContinuousBatcher.step, iter(range(100))

    def stop_after_seven(generator: ContinuousBatcher) -> list[object]:
        if next(steps) == 7:
            desk.channel.stop()
        return step(generator)  # type: ignore[return-value]

    monkeypatch.setattr(ContinuousBatcher, "step", stop_after_seven)
    desk.work()
    waiting = conversations.find_turn(store, reply.turn)
    assert waiting is not None
    assert (waiting.status, 0 < len(waiting.token_ids) < 20) == (TurnStatus.PENDING, True)
    assert whole.text.startswith(waiting.content)
    monkeypatch.undo()
    Desk(settings, store, ANOTHER).work()
    for _ in reply.entries():
        pass
    assert (reply.text, reply.reader.tokens) == (whole.text, 20)


def test_between_two_packs_a_reply_is_made_three_times_as_long_as_the_pack_took_and_then_pauses(
    client: Client, settings: Settings, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    desk = Desk(settings, store, clock=clock)
    (whole,) = ended(client, desk, request(model))
    (reply,) = accepted(client, request(model))
    step = ContinuousBatcher.step

    def a_second(generator: ContinuousBatcher) -> list[object]:
        clock.now += 1.0
        return step(generator)  # type: ignore[return-value]

    monkeypatch.setattr(ContinuousBatcher, "step", a_second)
    began = clock.now
    clock.now += 2.0  # a pack
    desk.chat.answer_between_packs()
    assert clock.now == began + 2.0 + 6.0
    paused = conversations.find_turn(store, reply.turn)
    assert paused is not None
    assert paused.status is TurnStatus.RUNNING
    clock.now += 10.0
    desk.chat.answer_between_packs()
    for _ in reply.entries():
        pass
    assert (reply.text, clock.now) == (whole.text, began + 2.0 + 10.0 + 20.0)  # a token a step


def test_a_worker_that_is_to_stop_between_two_packs_hands_its_replies_to_another(
    client: Client, desk: Desk, settings: Settings, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_taking, "SLICE_S", 600.0)  # however slow this machine is
    (whole,) = ended(client, desk, request(model))
    (reply,) = accepted(client, request(model))
    step, steps = ContinuousBatcher.step, iter(range(100))

    def stop_after_seven(generator: ContinuousBatcher) -> list[object]:
        if next(steps) == 7:
            desk.channel.stop()
        return step(generator)  # type: ignore[return-value]

    monkeypatch.setattr(ContinuousBatcher, "step", stop_after_seven)
    desk.chat.answer_between_packs()
    waiting = conversations.find_turn(store, reply.turn)
    assert waiting is not None
    assert (waiting.status, 0 < len(waiting.token_ids) < 20) == (TurnStatus.PENDING, True)
    monkeypatch.undo()
    Desk(settings, store, ANOTHER).work()
    for _ in reply.entries():
        pass
    assert (reply.text, reply.reader.tokens) == (whole.text, 20)


@pytest.mark.timeout(120)  # it once went on for ever
def test_an_error_that_nobody_foresaw_in_a_step_ends_each_reply_and_the_worker_goes_on(
    client: Client, desk: Desk, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(client, desk, request(model))
    replies = accepted(client, request(model), request(model, "And the sun?"))

    def break_down(generator: ContinuousBatcher) -> list[object]:
        generator.forget()
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(ContinuousBatcher, "step", break_down)
    for _ in range(3):
        desk.work()
    for reply in replies:
        for _ in reply.entries():
            pass
        assert (ending(reply).fault, ending(reply).finish) == (Fault.INTERNAL, Finish.FAILED)
        assert "illegal memory access" in ending(reply).error
        with store.read() as session:
            assert "in break_down" in session.get_one(ReplyRow, reply.turn).traceback
    monkeypatch.undo()
    assert ending(ended(client, desk, request(model))[0]).finish is Finish.LENGTH


@pytest.mark.timeout(120)
def test_replies_that_the_generator_let_go_of_are_failed_and_not_waited_for(
    client: Client, desk: Desk, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(client, desk, request(model))
    (reply,) = accepted(client, request(model))

    def lose(generator: ContinuousBatcher) -> list[object]:
        generator.forget()
        return []

    monkeypatch.setattr(ContinuousBatcher, "step", lose)
    for _ in range(3):
        desk.work()
    for _ in reply.entries():
        pass
    assert "let go of replies" in ending(reply).error


def test_on_a_gpu_an_error_that_nobody_foresaw_files_each_reply_and_ends_the_process(
    client: Client, settings: Settings, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = dataclasses.replace(ME, name="gpu@here:1", device=Device.GPU)  # what it computes with is the CPU
    sick = Desk(settings, store, gpu)
    ended(client, sick, request(model, device=Device.GPU))
    (reply,) = accepted(client, request(model, device=Device.GPU))

    def break_down(generator: ContinuousBatcher) -> list[object]:
        generator.forget()
        raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(ContinuousBatcher, "step", break_down)
    with pytest.raises(DeviceBroken, match="unspecified launch failure"):
        sick.work()
    monkeypatch.undo()
    Desk(settings, store, dataclasses.replace(gpu, name="gpu@here:2")).work()
    for _ in reply.entries():
        pass
    assert ending(reply).finish is Finish.LENGTH  # the next child, or another worker, makes it anew


def test_a_reply_that_runs_out_of_memory_three_times_is_failed_with_the_reason(
    client: Client, desk: Desk, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(client, desk, request(model))
    (reply,) = accepted(client, request(model))

    def full(generator: ContinuousBatcher) -> list[object]:
        generator.forget()
        raise OutOfMemory("tiny", "test CPU")

    monkeypatch.setattr(ContinuousBatcher, "step", full)
    for _ in range(3):
        desk.work()
    for _ in reply.entries():
        pass
    assert ending(reply).fault is Fault.INTERNAL
    assert "out of memory" in ending(reply).error
    monkeypatch.undo()
    assert ending(ended(client, desk, request(model))[0]).finish is Finish.LENGTH


def test_replies_that_memory_is_too_short_for_together_are_made_by_fewer_at_a_time(
    client: Client, desk: Desk, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [ended(client, desk, request(model, said))[0] for said in ("One", "Two", "Three")]
    step, seen = ContinuousBatcher.step, list[int]()

    def tight(generator: ContinuousBatcher) -> list[NextToken]:
        seen.append(generator.live)
        if generator.live > 1:
            generator.forget()
            raise OutOfMemory("tiny", "test CPU")
        return step(generator)

    monkeypatch.setattr(ContinuousBatcher, "step", tight)
    replies = ended(client, desk, *(request(model, said) for said in ("One", "Two", "Three")))
    assert [(ending(one).finish, one.text) for one in replies] == [(ending(one).finish, one.text) for one in alone]
    assert [live for live in seen if live > 1] == [3]  # from then on one at a time


def test_a_long_conversation_is_summarised_and_goes_on(client: Client, desk: Desk, store: Store, model: str) -> None:
    conversation = new_id()
    for n in range(8):
        said = f"My cat {n} is called Tom{n}, and she was born in 19{n}0. Remember that."
        (reply,) = ended(client, desk, request(model, said, conversation=conversation))
        assert ending(reply).finish is not Finish.FAILED, ending(reply).error
    found = conversations.load(store, conversation)
    assert found.summaries
    context = ending(reply).context
    assert context is not None
    assert context.tokens <= context.budget
    assert context.summary_id is not None or context.left_out
