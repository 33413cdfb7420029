"""What an engine promises: one loaded model that scores and writes, whatever computes it.

An engine takes and gives texts, token ids and numbers. Tensors and the tokenizers of libraries stay inside it, and so
do the field's machines: prefix caching behind `prepare`, continuous batching with chunked prefill over a KV cache
behind `stream`. `workers.engines.hf` is the engine of transformers on torch. Another one is a module beside it and a
row of `workers.models.loading.ENGINES`. tests/integration/conversation/test_engine_seam.py has a small one, without
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from proctor.errors import CantBeAsked
from proctor.nouns.exams import Conditions, Pack, Prompt
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from workers.engines.chat_template import ChatTemplate
from workers.engines.detokenizer import Detokenizer
from workers.engines.generation import Generator
from workers.engines.scoring import PackScores, Prepared


class Skill(StrEnum):
    """What an engine can be asked for."""

    SCORE = "score"  # log-probabilities of options that are given
    STREAM = "stream"  # a token a step, for conversations and for exams whose answers are written
    EXACT = "exact"  # the same pack gives the same bits on the same machine


_LACKING = {
    Skill.SCORE: "gives no log-probabilities of options",
    Skill.STREAM: "writes no texts, and can't converse",
    Skill.EXACT: "doesn't compute the same twice",
}
INEXACT = "its engine may give other numbers to the same pack: a Run that was resumed may differ from one that wasn't"


@dataclass(frozen=True)
class DevicePeak:
    """Peaks of the GPUs' memory over some time; 0 without a GPU."""

    used_bytes: int = 0  # by tensors: what the work needs
    reserved_bytes: int = 0  # by the allocator, with what it keeps for later: what others can't have meanwhile


class ComputeDevice(Protocol):
    """What a worker's process computes on: some GPUs, the CPU, or neither for an engine that asks elsewhere."""

    @property
    def kind(self) -> Device: ...

    @property
    def name(self) -> str: ...

    @property
    def gpus(self) -> int:
        """How many GPUs it spans; 0 for the CPU."""

    def release(self) -> None:
        """Give back memory that no object holds any more."""

    def begin_gpu_time(self) -> Callable[[], float]:
        """Time the GPU's work from now on. The call that is returned waits for its end: seconds, 0 without a GPU."""

    def begin_peak(self) -> Callable[[], DevicePeak]:
        """Watch the GPU's memory from now on. The call that is returned gives the peak."""


class Tokenizer(Protocol):
    """A model's tokenizer: texts to token ids and back."""

    @property
    def window(self) -> int:
        """Tokens that the model reads at most."""

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below this."""

    @property
    def own_ids(self) -> bool:
        """Whether its ids are the model's. Else they stand for characters, and are told nobody as tokens."""

    @property
    def template(self) -> ChatTemplate:
        """The model's chat template, which raises `CantBeAsked` where it has none."""

    def ids(self, text: str) -> Sequence[int]:
        """Token ids of a text that begins a prompt, special tokens in front."""

    def text_ids(self, text: str) -> Sequence[int]:
        """Token ids of a text alone, without special tokens."""

    def count(self, text: str) -> int:
        """Tokens of a text that begins a prompt, special tokens included."""

    def size(self, tokens: Sequence[int]) -> int:
        """How many tokens of the model's these are, about where its ids aren't the model's."""

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:
        """The text of tokens; special tokens by their names, or left out."""

    def token_bytes(self, token: int) -> bytes:
        """The bytes that a token adds to a text; those of its name for a special token."""


@dataclass(frozen=True)
class LoadRequest:
    """Which model an engine is to load, and how."""

    ref: ModelRef
    quant: Quant
    dtype: DType  # may be `auto`
    # For packs of how many tokens a group of GPUs is to have room: another number is the same request.
    pack_tokens: int = field(default=Conditions.pack_tokens, compare=False)


Files = Callable[[], Path]  # the model's folder on this machine, fetched and converted by the call where needed


class Engine(Protocol):
    """One loaded model. It belongs to the one thread that works with it, and is told apart by `is`."""

    @property
    def ref(self) -> ModelRef: ...

    @property
    def quant(self) -> Quant: ...

    @property
    def skills(self) -> AbstractSet[Skill]:
        """What it can be asked for: see `require`."""

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def provenance(self) -> Provenance:
        """What produces its numbers, as Runs record it."""

    @property
    def load_cost(self) -> Cost: ...

    @property
    def weight_bytes(self) -> int:
        """Memory of its weights; 0 for one that asks elsewhere."""

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        """Tokenize a Run's prompts, and compute the prefix that all share. What that takes lives as long as the result.

        Pages (`Roll`) are cut by `workers.engines.windows`; a Run's prompts are all pages, or none is.

        Raises
        ------
        CantBeAsked
            where a prompt is longer than the model's window, an option adds no token to it, or a page is empty.
        OutOfMemory
            where the prefix is too large for the device.
        """

    def answer(self, prepared: Prepared, pack: Pack) -> PackScores:
        """Log-probabilities of the options of a pack, and where asked whether they are greedy; `prepared` is its own.

        Each option stands behind its prompt, or behind a context of its own (`Choose.contexts`). Where that is empty,
        it stands behind the token that begins a text, or else ends one, as in lm-evaluation-harness. Of a page all
        tokens are scored, and it has one number, their sum.

        Raises
        ------
        BadScores
            where the model gives a number that is no log-probability; names the model and the question.
        OutOfMemory
            where the pack is too large for the device; nothing is lost but the time.
        """

    def score_options(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
        """The natural log-probability of each option's tokens (at least one) behind `prompt`, each by itself."""

    def stream(self) -> Generator:
        """A generator of replies, with nothing under way and nothing kept; a Run and conversations have one each."""

    def detokenizer(self, stops: Sequence[str] = (), behind: Sequence[int] = ()) -> Detokenizer:
        """Text from the tokens of one reply, which goes on with the tokens `behind` and ends before a stop string."""

    def close(self) -> None:
        """End what it has outside of this process. Memory goes with the last reference."""


def require(engine: Engine, skill: Skill) -> None:
    """Raise `CantBeAsked` where the engine hasn't this skill."""
    if skill not in engine.skills:
        raise CantBeAsked(
            engine.ref.name,
            f"the engine that serves it {_LACKING[skill]}",
            f"Take a model that is served with the skill {skill.value!r}.",
        )
