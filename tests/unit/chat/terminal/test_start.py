"""From the command line into a conversation, without one: what is piped in, what was wished, what is shown again."""

from __future__ import annotations

import io
import signal
import sys
from datetime import UTC, datetime

import pytest

from chat.cli import DEVICES, QUANTS
from chat.client.client import ReplySettings
from chat.client.connect import device_of, worker_devices
from chat.terminal.screen import Screen
from chat.terminal.start import MAX_PIPED_BYTES, ChatOptions, read_piped, recall
from proctor.errors import BadInput
from proctor.nouns.conversations import Conversation, History, Role, Sampling, Turn, TurnStatus
from proctor.nouns.models import Device, Quant
from proctor.signals import interruptible

NOW = datetime(2031, 5, 6, tzinfo=UTC)


def pipe(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said)))


def test_what_is_piped_in_is_taken_to_its_last_byte_without_the_space_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipe(monkeypatch, "\n Nämé three. \n".encode())
    assert read_piped() == "Nämé three."
    pipe(monkeypatch, b"x" * MAX_PIPED_BYTES)
    assert len(read_piped()) == MAX_PIPED_BYTES


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (b"x" * (MAX_PIPED_BYTES + 1), "More than 1 MiB was piped in"),
        (b"\xff", "no text in UTF-8"),
        (b" \n", "Nothing was piped in"),
    ],
    ids=["too much", "no text", "nothing"],
)
def test_what_cannot_be_said_is_refused(monkeypatch: pytest.MonkeyPatch, said: bytes, problem: str) -> None:
    pipe(monkeypatch, said)
    with pytest.raises(BadInput, match=problem):
        read_piped()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_in_order_and_is_as_before_afterwards(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_what_was_not_wished_is_as_it_was() -> None:
    usual = ReplySettings(
        "m", Quant.FOUR_BIT, Device.GPU, Sampling(temperature=0.3, seed=5, max_tokens=9), History.WINDOW
    )
    assert ChatOptions(history=None).reply_settings(usual) == usual
    other = ChatOptions(model="n", history="off", temperature=0.0, seed=0).reply_settings(usual)
    assert other == ReplySettings("n", Quant.NONE, None, Sampling(temperature=0.0, seed=0, max_tokens=9), History.OFF)
    assert ChatOptions(quant="8bit", device="cpu", history="on", max_tokens=2).reply_settings(usual) == ReplySettings(
        "m", Quant.EIGHT_BIT, Device.CPU, Sampling(temperature=0.3, seed=5, max_tokens=2), History.SUMMARY
    )


def test_every_name_of_the_command_line_means_something() -> None:
    assert {name: device_of(name) for name in DEVICES.choices} == {
        "auto": None,
        "cuda": Device.GPU,
        "cpu": Device.CPU,
        "net": Device.NET,
    }
    assert [worker_devices(name) for name in DEVICES.choices] == ["auto", "auto", "cpu", "auto"]
    assert [Quant(name) for name in QUANTS.choices] == [Quant.NONE, Quant.EIGHT_BIT, Quant.FOUR_BIT]


def test_the_last_exchange_is_shown_where_a_conversation_is_gone_on_with() -> None:
    said = [(Role.USER, "Hello"), (Role.ASSISTANT, "Hi"), (Role.USER, "And?"), (Role.ASSISTANT, "So.")]
    turns = tuple(
        Turn(f"t{n}", "c1", f"t{n - 1}" if n else None, n, role, text, TurnStatus.DONE, NOW)
        for n, (role, text) in enumerate(said)
    )
    out = io.StringIO()
    recall(Screen(out, styled=False), Conversation("0123456789ab", "Greeting", NOW, NOW, "t3", turns, ()))
    assert out.getvalue() == "Greeting (4 messages, 01234567)\n> And?\nSo.\n"
