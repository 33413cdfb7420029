"""What models' names tell of their family and size: what a reader of a judge's verdicts has to know. Pure.

Names are all there is before a model is loaded, and architectures tell less: most small models are Llama's.
"""

from __future__ import annotations

import re

from proctor.nouns.models import without_ending

SMALL_BILLIONS = 7.0  # parameters, below which a model is called a small judge
_WORDS = re.compile(r"[a-z]{3,}")
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bm])(?![a-z])")
_SAID_OF_MANY = frozenset(
    [
        "instruct",
        "chat",
        "base",
        "model",
        "models",
        "gguf",
        "meta",
        "hf",
        "awq",
        "gptq",
        "bnb",
        "int",
        "fp",
        "distill",
        "distilled",
        "checkpoint",
        "run",
        "final",
        "sft",
        "dpo",
        "rlhf",
        "tuned",
        "finetune",
        "finetuned",
        "merged",
        "lora",
        "preview",
        "latest",
        "mini",
        "small",
        "large",
        "medium",
        "nano",
        "tiny",
        "turbo",
        "the",
        "new",
        "old",
        "test",
    ]
)


def kin(model: str, other: str) -> str:
    """What makes two models one family by their names: `smollm` of two SmolLM2; "" where nothing does."""
    one, two = _last_part(model), _last_part(other)
    if one == two:
        return one
    words = [word for word in _WORDS.findall(one) if word not in _SAID_OF_MANY]
    return next((word for word in words if word in _WORDS.findall(two)), "")


def billions(model: str) -> float | None:
    """The parameters that a name tells, in 10⁹; None where it tells none."""
    found = _SIZE.search(_last_part(model))
    if not found:
        return None
    return float(found[1]) / (1000 if found[2] == "m" else 1)


def is_small(model: str) -> bool:
    """Whether a judge is known to be small."""
    size = billions(model)
    return size is not None and size < SMALL_BILLIONS


def _last_part(model: str) -> str:
    return without_ending(model).rstrip("/").rpartition("/")[2].casefold()
