"""The leases of all replies that a worker has under way, renewed together by one thread beside the work."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from proctor.errors import StoreUnavailable
from proctor.store.conversations import turns
from proctor.store.conversations.turns import Kept
from proctor.store.database.session import Store
from proctor.store.runs.leasing import RENEWALS

log = logging.getLogger(__name__)


class ReplyLeases:
    """Renews every quarter of a lease what `kept` says is under way, and keeps how far that is.

    `lost` are the ids of replies that another worker has by now. `sure` is whether the leases are known to be this
    worker's still: not after a pause longer than a lease (a stopped process, a machine that slept), until they have
    been renewed.
    """

    def __init__(self, store: Store, lease_s: float, kept: Callable[[], Sequence[Kept]]) -> None:
        self._store, self._lease_s, self._kept = store, lease_s, kept
        self._until = 0.0
        self.lost: set[str] = set()
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chat-leases", daemon=True)
        self._lock = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._left.set()

    def claimed(self) -> None:
        """New leases were taken: they hold at least as long as those before them."""
        if not self._kept():
            self._until = time.monotonic() + self._lease_s

    @property
    def sure(self) -> bool:
        return time.monotonic() < self._until

    def renew(self) -> None:
        """Renew now. Raises `StoreUnavailable`."""
        with self._lock:
            asked = time.monotonic()
            kept = self._kept()
            self.lost |= turns.renew(self._store, kept) if kept else frozenset()
            self._until = asked + self._lease_s

    def _run(self) -> None:
        while not self._left.wait(self._lease_s / RENEWALS):
            try:
                self.renew()
            except StoreUnavailable as error:
                log.warning("leases of replies could not be renewed: %s", error.problem)
