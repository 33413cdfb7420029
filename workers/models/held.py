"""The one model that a worker holds, behind its engine."""

from __future__ import annotations

from collections.abc import Callable

from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType, ModelRef, Quant
from workers.engines.base import ComputeDevice, Engine, LoadRequest

Progress = Callable[[str], None]
Load = Callable[[LoadRequest], Engine]  # see `workers.models.loading.engine_loader`


class Models:
    """Keeps exactly one model loaded, and gives its memory back before the next is loaded."""

    def __init__(self, device: ComputeDevice, load: Load) -> None:
        self.device, self._load = device, load
        self.before_unload: Callable[[], None] = lambda: None  # who else holds something of the model lets it go
        self._asked: LoadRequest | None = None
        self._engine: Engine | None = None
        self._cuts: dict[LoadRequest, int] = {}  # tokens that went through at once where more ran out of memory

    def get(self, ref: ModelRef, quant: Quant, dtype: DType, pack_tokens: int = Conditions.pack_tokens) -> Engine:
        """Load this model, or return the engine that holds it: the same object (`is`).

        On a group of GPUs it is loaded anew, too, where it was placed for smaller packs than those of `pack_tokens`.
        Errors as of `workers.models.loading.engine_loader`. The model held before is gone then, too.
        """
        asked = LoadRequest(ref, quant, dtype, pack_tokens)
        placed_for = self._asked.pack_tokens if self._asked is not None else 0
        cramped = self.device.gpus > 1 and pack_tokens > placed_for
        if self._engine is None or self._asked != asked or cramped:
            self.unload()
            self._engine = self._load(asked)
            self._asked = asked
        return self._engine

    @property
    def held(self) -> Engine | None:
        """The engine of the model in memory, if any."""
        return self._engine

    @property
    def cut_tokens(self) -> int | None:
        """The parts that packs of the held model go through in; None where they were never too large."""
        return self._cuts.get(self._asked) if self._asked is not None else None

    def remember_cut(self, tokens: int) -> None:
        """Of the held model packs of more tokens than this are too large, now and whenever it is loaded again."""
        if self._asked is not None:
            self._cuts[self._asked] = tokens

    def make_room(self, ref: ModelRef, quant: Quant, dtype: DType) -> None:
        """Before a Run of this model, so that nothing counts against it that isn't its own.

        Another model that is held goes, and what was freed on the way to here is given back.
        """
        if self._asked is not None and self._asked != LoadRequest(ref, quant, dtype):
            self.unload()
        else:
            self.device.release()

    def unload(self) -> None:
        """Let the model go and give its memory back to the device."""
        self.before_unload()
        if self._engine is not None:
            self._engine.close()
        self._engine = self._asked = None
        self.device.release()
