"""What the main job knows of chat: replies that wait are served between its own pieces of work."""

from __future__ import annotations

from typing import Protocol


class ChatDuty(Protocol):
    """What the main job knows of chat."""

    def answer_waiting(self) -> None:
        """Make the replies that wait for the held model, until none is left under way.

        Told to stop, it hands those under way back.
        """

    def answer_between_packs(self) -> None:
        """The same for a share of the time; replies under way then pause. It returns at once where nothing waits."""

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

    def answer_waiting(self) -> None: ...

    def answer_between_packs(self) -> None: ...

    def load_wanted(self, waited_s: float = 0.0) -> bool:  # noqa: ARG002 -- the protocol's
        return False

    def load_expected(self) -> bool:
        return False

    def wait_for_next(self) -> bool:
        return False

    def let_go(self) -> bool:
        return False
