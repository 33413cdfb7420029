"""Whether log-probabilities on this device are the right ones: the way that is used beside full prompts in float32."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.device_check.asked import PLAIN_BUDGET, Off, asked_of, off, prompts
from bench.device_check.check import Check
from bench.device_check.results import Figure, Found
from bench.device_check.shapes import FAMILIES, VOCABULARY
from bench.device_check.workshop import Need, Workshop
from proctor.nouns.models import DType, Quant
from workers.engines.devices import TorchDevice
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.scoring.plain import PlainScorer
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.scoring import EncodedPrompt, Scorer

BUDGET = 700  # tokens of a pack: several packs, of several questions each
_KINDS = {"letters": False, "text": True}


@dataclass(frozen=True)
class Tolerance:
    """How far a way may be from float32, in nats: so much, and so many times what full prompts of its type are off."""

    nats: float
    times_plain: float = 0.0

    def __str__(self) -> str:
        return f"{self.nats:g} nats" + (f" + {self.times_plain:g} x what plain prompts are" if self.times_plain else "")

    def holds(self, found: Off, plain: Off) -> bool:
        """Whether `found` is within it; a number that is none isn't."""
        limit = self.nats + self.times_plain * plain.largest
        return math.isfinite(limit) and found.largest <= limit


# Seen on a CPU: float32 3e-6 at most; in 16 bit ways differ from one another as much as either does from float32. A
# wrong mask, scale or base of the logarithm is off by 5 to 100 times as much.
TOLERANCES = {
    DType.FLOAT32: Tolerance(1e-3),
    DType.BFLOAT16: Tolerance(1e-3, 3),
    DType.FLOAT16: Tolerance(1e-3, 3),
}
# Experts are chosen by rounded numbers: one token that goes to another expert moves its question.
_CHOOSES_EXPERTS = {"gpt_oss"}
_EXPERTS = {dtype: Tolerance(0.02, 4) for dtype in (DType.BFLOAT16, DType.FLOAT16)}
_QUANTIZED = Tolerance(0.02, 3)


def tolerance_of(family: str, dtype: DType) -> Tolerance:
    """How far log-probabilities of a family may be off in a type."""
    if family in _CHOOSES_EXPERTS:
        return _EXPERTS.get(dtype, TOLERANCES[dtype])
    return TOLERANCES[dtype]


def checks() -> list[Check]:
    """A check a family and type, then the quantizations, then real shapes."""
    small = [
        Check(
            f"scores-{family}-{dtype}",
            f"off plain float32 by at most {tolerance_of(family, dtype)}; the same bits again",
            _small(family, dtype),
        )
        for family in FAMILIES
        for dtype in TOLERANCES
    ]
    quantized = [
        Check(
            f"scores-{quant}",
            f"off plain 16 bit by at most {_QUANTIZED}; the same bits again",
            _quantized(quant),
            (Need.BITSANDBYTES,),
        )
        for quant in (Quant.EIGHT_BIT, Quant.FOUR_BIT)
    ]
    return [*small, *quantized]


def _small(family: str, dtype: DType) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        folder = shop.checkpoint(family, dtype)
        asked = small_prompts(shop)
        wide = shop.load(folder, DType.FLOAT32)
        exact = plain_scores(wide.model, wide.tokenizer, shop.device, asked)
        del wide
        engine = shop.load(folder, dtype)
        return compare(engine.model, engine.tokenizer, shop.device, asked, exact, tolerance_of(family, dtype))

    return run


def _quantized(quant: Quant) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        folder = shop.real_checkpoint("1b")
        model = shop.load(folder, DType.BFLOAT16)
        vocabulary = int(model.model.model.config.get_text_config().vocab_size)
        sizes = shop.sizes
        asked = {
            kind: prompts(vocabulary, sizes.questions, sizes.shared, sizes.own, text=text)
            for kind, text in _KINDS.items()
        }
        exact = plain_scores(model.model, model.tokenizer, shop.device, asked)
        del model
        engine = shop.load(folder, DType.BFLOAT16, quant)
        return compare(engine.model, engine.tokenizer, shop.device, asked, exact, _QUANTIZED)

    return run


def small_prompts(shop: Workshop) -> dict[str, tuple[EncodedPrompt, ...]]:
    """For the small models, by kind of scoring."""
    sizes = shop.sizes
    return {
        kind: prompts(VOCABULARY, sizes.questions, sizes.prefix, sizes.own, text=text) for kind, text in _KINDS.items()
    }


def plain_scores(
    model: CausalModel, reader: HfTokenizer, device: TorchDevice, asked: dict[str, tuple[EncodedPrompt, ...]]
) -> dict[str, torch.Tensor]:
    """Of full prompts, by kind of scoring."""
    scorer = PlainScorer(model, reader, device)
    return {kind: asked_of(model, scorer, some, PLAIN_BUDGET) for kind, some in asked.items()}


def compare(
    model: CausalModel,
    reader: HfTokenizer,
    device: TorchDevice,
    asked: dict[str, tuple[EncodedPrompt, ...]],
    exact: dict[str, torch.Tensor],
    tolerance: Tolerance,
) -> Found:
    """The way that this model is scored in beside exact numbers, and beside what its own full prompts are off."""
    scorer, why_plain = scorer_for(model, reader, device)
    plain = plain_scores(model, reader, device, asked)
    told: list[str] = []
    good, figures = scorer.name != "plain", dict[str, Figure]()
    for kind, some in asked.items():
        first, again = (_rows(model, scorer, some) for _ in range(2))
        here, there = off(first, exact[kind]), off(plain[kind], exact[kind])
        same = torch.equal(first, again)
        good = good and same and tolerance.holds(here, there)
        told.append(f"{kind} {here}, plain {there}{'' if same else ', OTHER BITS AGAIN'}")
        figures |= {
            f"{kind}_off": here.largest, f"{kind}_off_mean": here.mean, f"{kind}_plain_off": there.largest,
            f"{kind}_plain_off_mean": there.mean, f"{kind}_same_bits": same,
        }  # fmt: skip
    return Found("; ".join([f"{scorer.name}: {told[0]}", *told[1:], *filter(None, [why_plain])]), good, figures)


def _rows(model: CausalModel, scorer: Scorer, asked: tuple[EncodedPrompt, ...]) -> torch.Tensor:
    return asked_of(model, scorer, asked, BUDGET)
