"""The one model that a worker holds."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from workers.engines import heap
from workers.engines.devices import TorchDevice
from workers.engines.hf.load import Engine, load
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.varlen_check import kernel_of
from workers.engines.hf.tokens import Tokenizer
from workers.engines.measure import peaks_are_exact
from workers.engines.scoring import Scorer
from workers.launcher.versions import versions
from workers.models import local_files


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to be asked."""

    ref: ModelRef
    quant: Quant
    model: CausalModel
    scorer: Scorer
    reader: Tokenizer  # its window, `count` and `chat` are what prompts are fitted with
    provenance: Provenance
    load_cost: Cost
    weight_bytes: int  # in memory


@dataclass(frozen=True)
class _Key:
    ref: ModelRef
    quant: Quant
    dtype: DType  # as it was asked for


class Models:
    """Keeps exactly one model loaded, and gives its memory back before the next is loaded."""

    def __init__(
        self,
        device: TorchDevice,
        cache: Path,
        progress: Callable[[str], None] = lambda _: None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.device, self._cache, self._progress, self._moved = device, cache, progress, moved
        self.before_unload: Callable[[], None] = lambda: None  # who else holds something of the model lets it go
        self._key: _Key | None = None
        self._placed_for = 0  # tokens of the packs that the held model was placed for
        self._loaded: Loaded | None = None
        self._cuts: dict[_Key, int] = {}  # tokens that went through at once where more ran out of memory

    def get(self, ref: ModelRef, quant: Quant, dtype: DType, pack_tokens: int = Conditions.pack_tokens) -> Loaded:
        """Load this model, or return the one that is held: the same object (`is`).

        On a group of GPUs it is loaded anew, too, where it was placed for smaller packs than those of `pack_tokens`.

        Raises
        ------
        BadModel, NotHere, DoesNotFit
            where it can't be loaded. The model held before is gone then, too.
        HubUnavailable, DiskFull
            where its files can't be had now: another try later may have them.
        """
        key = _Key(ref, quant, dtype)
        cramped = self.device.gpus > 1 and pack_tokens > self._placed_for
        if self._loaded is None or self._key != key or cramped:
            self.unload()
            self._loaded = self._load(key, pack_tokens)
            self._key, self._placed_for = key, pack_tokens
        return self._loaded

    @property
    def held(self) -> Loaded | None:
        """The model in memory, if any."""
        return self._loaded

    @property
    def cut_tokens(self) -> int | None:
        """The parts that packs of the held model go through in; None where they were never too large."""
        return self._cuts.get(self._key) if self._key is not None else None

    def remember_cut(self, tokens: int) -> None:
        """Of the held model packs of more tokens than this are too large, now and whenever it is loaded again."""
        if self._key is not None:
            self._cuts[self._key] = tokens

    def make_room(self, ref: ModelRef, quant: Quant, dtype: DType) -> None:
        """Before a Run of this model, so that nothing counts against it that isn't its own.

        Another model that is held goes, and what was freed on the way to here is given back.
        """
        if self._key is not None and self._key != _Key(ref, quant, dtype):
            self.unload()
        else:
            heap.give_back()

    def unload(self) -> None:
        """Let the model go and give its memory back to the device."""
        self.before_unload()
        self._loaded = self._key = None
        self.device.release()

    def _load(self, key: _Key, pack_tokens: int) -> Loaded:
        folder = local_files.local_folder(key.ref, self._cache, self._progress, self._moved)
        self._progress(f"{key.ref.label} ({key.quant}): loading")
        self.device.keep_freed(False)
        engine = load(folder, key.ref.name, key.quant, key.dtype, self.device, pack_tokens)
        with self.device.reporting_shortage(key.ref.name):
            scorer, why_plain = scorer_for(engine.model, engine.reader, self.device)
        with self.device.reporting_shortage(key.ref.name):
            kernel, why_not = kernel_of(self.device.torch, engine.model.model.dtype)
        self.device.keep_freed(key.quant is Quant.NONE)
        provenance = self._provenance(
            engine, f"{scorer.name} ({kernel})" if kernel else scorer.name, why_plain, why_not
        )
        return Loaded(key.ref, key.quant, engine.model, scorer, engine.reader, provenance, engine.cost, engine.bytes)

    def _provenance(self, engine: Engine, attention: str, *whys: str) -> Provenance:
        sampled = "" if peaks_are_exact() else "peak memory is sampled every 10 ms"
        return Provenance(
            dtype=engine.dtype,
            attention=attention,
            products=engine.products,
            device_name=self.device.name,
            host=socket.gethostname(),
            versions={**versions(), **self.device.versions},
            notes=(*engine.notes, *(note for note in (*whys, sampled) if note)),
        )
