"""What the main job knows of chat: replies that wait are served between its own pieces of work."""

from __future__ import annotations

from typing import Protocol

STARVED_S = 30.0  # a model that replies wait for is loaded between two Runs after so long, if no worker is idle


class ChatDuty(Protocol):
    """What the main job knows of chat."""

    def serve(self) -> None:
        """Make the replies that wait for the held model, until none is left under way."""

    def beside(self) -> None:
        """The same between two packs, for a share of the time; at once where nothing waits."""

    def load_wanted(self, waited_s: float = 0.0) -> bool:
        """Load a model that replies have waited for so long and that nobody else serves. Whether there was one."""

    def load_expected(self) -> bool:
        """Load the model that somebody is about to talk to, where none is held. Whether it was loaded."""

    def wait_for_next(self) -> bool:
        """After a reply, listen for the next for a moment before the worker falls idle. Whether there is one."""

    def let_go(self) -> bool:
        """Forget what is kept of replies that have ended: a pack needs the memory. Whether there was any."""


class NoChatDuty:
    """The `ChatDuty` of a worker without a broker."""

    def serve(self) -> None: ...

    def beside(self) -> None: ...

    def load_wanted(self, waited_s: float = 0.0) -> bool:  # noqa: ARG002 -- the protocol's
        return False

    def load_expected(self) -> bool:
        return False

    def wait_for_next(self) -> bool:
        return False

    def let_go(self) -> bool:
        return False
