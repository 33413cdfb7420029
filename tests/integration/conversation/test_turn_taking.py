"""What a worker takes in, for how long, what it loads for that, and where replies go when it fails or stops."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from chat.client.client import Client, ReplySettings
from chat.protocol.turns import Progress, Stage
from proctor.errors import DeviceBroken, OutOfMemory
from proctor.nouns.conversations import Fault, Finish, TurnStatus
from proctor.nouns.models import Device
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.conversations.tables import ReplyRow
from proctor.store.database.session import Store
from tests import tiny
from tests.integration.conversation.desk import ANOTHER, Clock, Desk, accepted, ended, ending, request
from tests.integration.desks import ME
from workers.conversation import turn_taking
from workers.engines.generation import NextToken
from workers.engines.hf.generation.continuous import ContinuousBatcher


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


def stop_after_seven_steps(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is told to stop in the middle of its replies."""
    step, steps = ContinuousBatcher.step, iter(range(100))

    def stepped(generator: ContinuousBatcher) -> list[NextToken]:
        if next(steps) == 7:
            desk.channel.stop()
        return step(generator)

    monkeypatch.setattr(ContinuousBatcher, "step", stepped)


def test_a_worker_that_is_to_stop_hands_its_replies_to_another(
    client: Client, desk: Desk, settings: Settings, store: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = ended(client, desk, request(model))
    (reply,) = accepted(client, request(model))
    stop_after_seven_steps(desk, monkeypatch)
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
    stop_after_seven_steps(desk, monkeypatch)
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
    replies = accepted(client, *(request(model, said) for said in ("One", "Two", "Three")))
    desk.work()
    for reply in replies:
        for _ in reply.entries():
            pass
    assert [(ending(one).finish, one.text) for one in replies] == [(ending(one).finish, one.text) for one in alone]
    assert [live for live in seen if live > 1] == [3]  # from then on one at a time
