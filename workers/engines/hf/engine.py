"""The engine of transformers on torch: it scores by prefix caching, and converses by continuous batching.

What is fast is tried on each model when it is loaded (`scoring.choose`, `generation.choose`); where its numbers are
off, the plain way serves the model. A pack gives the same bits on the same machine.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from proctor.nouns.exams import Pack, Prompt, Roll
from proctor.nouns.models import Device, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from proctor.settings import Settings
from workers.engines.base import ComputeDevice, Files, LoadRequest, Skill
from workers.engines.detokenizer import Detokenizer
from workers.engines.devices import TorchDevice
from workers.engines.generation import Generator
from workers.engines.hf.generation.choose import compile_decoding, end_tokens, generator_for
from workers.engines.hf.load import LoadedModel, load
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.options import score_options
from workers.engines.hf.scoring.prefix import PrefixScorer
from workers.engines.hf.scoring.rolling import Roller
from workers.engines.hf.scoring.varlen_check import kernel_of
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.measure import peaks_are_exact
from workers.engines.scoring import PackScores, Prepared, Scorer
from workers.launcher.versions import versions

COMPILED = "compiled"  # of decode steps, among a Run's versions; without the word they are torch's


@dataclass(frozen=True, eq=False)
class HfEngine:
    """The `Engine` of one causal model of transformers."""

    ref: ModelRef
    quant: Quant
    loaded: LoadedModel
    scorer: Scorer
    provenance: Provenance
    device: TorchDevice
    skills: AbstractSet[Skill] = frozenset({Skill.SCORE, Skill.STREAM, Skill.EXACT})

    @property
    def model(self) -> CausalModel:
        """The model itself, for who knows this engine."""
        return self.loaded.model

    @property
    def tokenizer(self) -> HfTokenizer:
        return self.loaded.tokenizer

    @property
    def load_cost(self) -> Cost:
        return self.loaded.cost

    @property
    def weight_bytes(self) -> int:
        return self.loaded.bytes

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        return self._scorer_of(prompts).prepare(prompts)

    def answer(self, prepared: Prepared, pack: Pack) -> PackScores:
        return self._scorer_of(prepared.prompts).score(prepared, pack)

    def _scorer_of(self, prompts: Sequence[Prompt]) -> Scorer:
        """What scores these prompts: all of a paper are pages, or none is."""
        if not any(isinstance(prompt.ask, Roll) for prompt in prompts):
            return self.scorer
        # Of a row without a kernel for it, scores between all tokens would be spelled out: gigabytes for a long window.
        fused = self.device.kind is Device.CPU or "varlen" in self.provenance.attention
        packed = fused and isinstance(self.scorer, PrefixScorer)
        return Roller(self.model, self.tokenizer, self.device, packed=packed)

    def score_options(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
        return score_options(self.model, prompt, options)

    def stream(self) -> Generator:
        return generator_for(self.model, self.device, end_tokens(self.model.model, self.tokenizer.library))

    def detokenizer(self, stops: Sequence[str] = (), behind: Sequence[int] = ()) -> Detokenizer:
        return Detokenizer(self.tokenizer.decode, stops, behind)

    def close(self) -> None:
        """All of it is in this process."""


def load_engine(request: LoadRequest, files: Files, device: ComputeDevice) -> HfEngine:
    """Load a model from its folder, and try on it which scorer serves it. Errors as of `hf.load.load`.

    Raises
    ------
    TypeError
        where the device isn't torch's.
    """
    if not isinstance(device, TorchDevice):
        raise TypeError(f"transformers computes on no {type(device).__name__}")
    name = request.ref.name
    folder = files()
    device.keep_freed(False)
    loaded = load(folder, name, request.quant, request.dtype, device, request.pack_tokens)
    with device.reporting_shortage(name):
        scorer, why_plain = scorer_for(loaded.model, loaded.tokenizer, device)
    with device.reporting_shortage(name):
        kernel, why_not = kernel_of(device.torch, loaded.model.model.dtype)
        compile_decoding(loaded.model, device, Settings.read(os.environ).cache)
    device.keep_freed(request.quant is Quant.NONE)
    attention = f"{scorer.name} ({kernel})" if kernel else scorer.name
    provenance = _provenance(loaded, device, attention, (why_plain, why_not))
    return HfEngine(request.ref, request.quant, loaded, scorer, provenance, device)


def _provenance(loaded: LoadedModel, device: TorchDevice, attention: str, whys: Sequence[str]) -> Provenance:
    sampled = "" if peaks_are_exact() else "peak memory is sampled every 10 ms"
    return Provenance(
        dtype=loaded.dtype,
        attention=attention,
        products=loaded.products,
        device_name=device.name,
        host=socket.gethostname(),
        versions={**versions(), **device.versions, **({"decode": COMPILED} if loaded.model.decoder else {})},
        notes=(*loaded.notes, *(note for note in (*whys, sampled) if note)),
    )
