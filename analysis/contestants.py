"""Who is compared: a model at one quantization, and the short name that tells it from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.nouns import Quant

LONGEST = 60  # letters of a model's name; beyond that it is cut in the middle


@dataclass(frozen=True, order=True)
class Contestant:
    """One model as it sat its exams. Two that differ in anything here are never mixed."""

    model: str
    revision: str = ""
    quant: str = Quant.NONE.value
    device: str = ""
    dtype: str = ""

    @property
    def family(self) -> str:
        """The model behind it: what its quantizations have in common."""
        return f"{self.model}@{self.revision}"


def labels(contestants: Sequence[Contestant]) -> tuple[str, ...]:
    """A short name each, in order: the model's last part, and of the rest only what tells it from the others.

    The names are distinct, also where two folders end in the same word.
    """
    names = [_model_label(contestant.model) for contestant in contestants]
    names = [f"{name} {_quant_label(c.quant)}".rstrip() for name, c in zip(names, contestants, strict=True)]
    for part in ("device", "dtype", "revision", "model"):
        seen = Counter(names)
        names = [
            f"{name} ({str(getattr(c, part))[-40:]})" if seen[name] > 1 and getattr(c, part) else name
            for name, c in zip(names, contestants, strict=True)
        ]
    seen = Counter(names)
    return tuple(f"{name} #{place}" if seen[name] > 1 else name for place, name in enumerate(names, start=1))


def one_a_model(contestants: Sequence[Contestant]) -> list[int]:
    """Places of the least quantized contestant of each model, in order: one vote a model."""
    rank = {Quant.NONE.value: 0, Quant.EIGHT_BIT.value: 1, Quant.FOUR_BIT.value: 2}
    best: dict[str, int] = {}
    for place, contestant in enumerate(contestants):
        held = best.get(contestant.family)
        if held is None or rank.get(contestant.quant, 3) < rank.get(contestants[held].quant, 3):
            best[contestant.family] = place
    return sorted(best.values())


def _model_label(model: str) -> str:
    name = model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf") or model
    return name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 + 1 :]}"


def _quant_label(quant: str) -> str:
    return {"none": "", "4bit": "4 bit", "8bit": "8 bit"}.get(quant, quant)
