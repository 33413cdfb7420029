"""Which scorer serves a model: told by its configuration whether prefix caching can, then tried on it, once a load."""

from __future__ import annotations

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from workers.engines.devices import TorchDevice, is_of_the_device
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.layout import CascadeLayout, Prefix, Segment
from workers.engines.hf.scoring.plain import PlainScorer
from workers.engines.hf.scoring.prefix import PrefixScorer, prefill
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.scoring import Scorer

_KNOWN_LAYERS = {"full_attention", "sliding_attention"}
_BY_LENGTH = {"dynamic", "longrope"}  # rotary variants whose angles depend on how long the line is
_BEGINNING, _FIRST, _SECOND, _BRANCH = 5, 4, 6, 3  # tokens of the trial's prefix, questions and branch
# Mean difference of logits over their spread that is rounding: another way would be off by about 1.
_EXACT, _ROUNDED = 1e-3, 0.2


class Unfit(Exception):
    """Why a model can't be served the fast way; never leaves this module."""


def scorer_for(model: CausalModel, tokenizer: HfTokenizer, device: TorchDevice) -> tuple[Scorer, str]:
    """The fast scorer where it serves this model, else the plain one and the reason."""
    try:
        check_config(model.model)
        _check_narrow_or_whole(model)
    except Unfit as reason:
        return PlainScorer(model, tokenizer, device), f"plain attention: {reason}"
    return PrefixScorer(model, tokenizer, device), ""


def check_config(model: PreTrainedModel) -> None:
    """Raise `Unfit` for what can be told without computing anything."""
    config = model.config.get_text_config()
    if not model._supports_attention_backend or not model._can_set_attn_implementation():
        raise Unfit("the architecture takes no attention from outside")
    if config.is_encoder_decoder:
        raise Unfit("it has an encoder")
    strange = set(getattr(config, "layer_types", None) or ()) - _KNOWN_LAYERS
    if strange:
        raise Unfit(f"layers of the type {', '.join(sorted(strange))}")
    if by_length := rope_types(config) & _BY_LENGTH:
        raise Unfit(f"rotary positions that depend on the line's length ({', '.join(sorted(by_length))})")


def rope_types(config: PreTrainedConfig) -> set[str]:
    """The rotary variants of a config, which may have one for each type of layer."""
    said = getattr(config, "rope_parameters", None) or {}
    each = [said, *(value for value in said.values() if isinstance(value, dict))]
    return {str(one["rope_type"]) for one in each if "rope_type" in one}


def _check_narrow_or_whole(model: CausalModel) -> None:
    """Leave the model with a last layer that computes only what is read, unless its numbers are then wrong."""
    if model.narrow():
        try:
            return check_numbers(model)
        except Unfit:
            model.widen()
    return check_numbers(model)


@torch.inference_mode()
def check_numbers(model: CausalModel) -> None:
    """Raise `Unfit` where two questions and a branch in one row differ from the same three lines alone.

    It finds what no configuration tells: state beside attention, masks of an own making, arguments that are dropped.
    """
    vocabulary = int(model.model.config.get_text_config().vocab_size)
    count = _BEGINNING + _FIRST + _SECOND + _BRANCH
    tokens = [(n * 7919 + 13) % vocabulary for n in range(count)]
    beginning, rest = tokens[:_BEGINNING], tokens[_BEGINNING:]
    first, second, branch = rest[:_FIRST], rest[_FIRST : _FIRST + _SECOND], rest[_FIRST + _SECOND :]
    try:
        prefix = prefill(model, beginning)
        packed = _row(model, prefix, first, second, branch)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        if is_of_the_device(error):
            raise  # it tells nothing of the model
        raise Unfit(f"its layers don't take cascade attention ({type(error).__name__}: {error})") from error
    _check_layers(model.model.config.get_text_config(), prefix)
    alone = torch.cat([_line(model, [*beginning, *line]) for line in (first, second, [*second, *branch])])
    if difference := differ(model.model, packed, alone):
        raise Unfit(f"its numbers differ from those of full prompts (by {difference:.2g} of their spread)")


def differ(model: PreTrainedModel, fast: torch.Tensor, alone: torch.Tensor) -> float:
    """How far logits differ, in parts of their spread, where that is more than rounding; else 0."""
    difference = float((fast - alone).abs().mean() / alone.std())
    exact = model.dtype == torch.float32 and getattr(model, "hf_quantizer", None) is None
    fits = difference <= (_EXACT if exact else _ROUNDED)
    return 0.0 if fits else difference  # NaN is no fit


def _check_layers(config: PreTrainedConfig, prefix: Prefix) -> None:
    if len(prefix.layers) != config.num_hidden_layers:
        raise Unfit(f"only {len(prefix.layers)} of its {config.num_hidden_layers} layers are attention")
    types = getattr(config, "layer_types", None) or ()
    blind = [n for n, kind in enumerate(types) if kind == "sliding_attention" and prefix.layers[n].window is None]
    if blind:
        raise Unfit(f"layer {blind[0]} has a window that it doesn't tell")


def _row(model: CausalModel, prefix: Prefix, first: list[int], second: list[int], branch: list[int]) -> torch.Tensor:
    start, end = prefix.length, prefix.length + len(second)
    places = [*range(start, start + len(first)), *range(start, end), *range(end, end + len(branch))]
    cascade = CascadeLayout([Segment(len(first)), Segment(len(second), (len(branch),))], prefix, model.model.device)
    reads = torch.tensor([len(first) - 1, len(first) + len(second) - 1, len(places) - 1])
    return model.row_logits(torch.tensor(first + second + branch), torch.tensor(places), reads, cascade).float()


def _line(model: CausalModel, tokens: list[int]) -> torch.Tensor:
    return model.logits(torch.tensor([tokens]), torch.tensor([len(tokens) - 1]))[0].float()
