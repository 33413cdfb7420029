"""A client that keeps what it is asked and has no broker."""

from __future__ import annotations

from chat.client.client import Client, Reply
from chat.protocol.turns import TurnRequest


class Listener(Client):
    """Its replies say nothing by themselves: a test lets their `reader` take entries."""

    def __init__(self) -> None:
        super().__init__("redis://127.0.0.1:1/0")
        self.asked: list[TurnRequest] = []

    def ask(self, request: TurnRequest) -> Reply:
        self.asked.append(request)
        return Reply(self, request)
