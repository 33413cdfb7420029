"""Run the last layer's MLP only for tokens whose logits are read: about one in a hundred of a question's.

Behind the last layer's attention no token looks at another: of all the others only keys and values are needed there. In
a model of L layers that saves nearly the L-th part of the work.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from transformers import PreTrainedModel

from workers.engines.hf.hooked import forward_of, set_forward

READS = "last_layer_reads"  # the keyword that a model passes down to its layers: indexes (K,) into the row
# What the layers of Llama, Mistral, Qwen2, Qwen3 and their like consist of.
_PARTS = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}


class NarrowLayer:
    """A decoder layer's forward that computes `x + attention(norm(x))`, and `x + mlp(norm(x))` where it is read.

    Without the keyword `READS` it is the layer's own. Otherwise (1, N, width) becomes (1, K, width).
    """

    def __init__(self, layer: nn.Module, own: Callable[..., torch.Tensor]) -> None:
        self.layer, self.own = layer, own

    def __call__(self, hidden_states: torch.Tensor, *others: object, **named: object) -> torch.Tensor:
        reads = named.pop(READS, None)
        if not isinstance(reads, torch.Tensor):
            return self.own(hidden_states, *others, **named)
        norm, attention, next_norm, mlp = (
            getattr(self.layer, part) for part in ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")
        )
        attended, _ = attention(*others, hidden_states=norm(hidden_states), reads=reads, **named)
        read: torch.Tensor = hidden_states[:, reads] + attended[:, reads]
        narrow: torch.Tensor = read + mlp(next_norm(read))
        return narrow


def narrow(model: PreTrainedModel) -> bool:
    """Let the model's last layer know `READS`; False where its layers are built in another way.

    Whether a layer of these parts puts them together as this one does is for the caller to try.
    """
    layer = _last_layer(model)
    if layer is None or {name for name, _ in layer.named_children()} != _PARTS:
        return False
    if not isinstance(forward_of(layer), NarrowLayer):
        set_forward(layer, NarrowLayer(layer, forward_of(layer)))
    return True


def widen(model: PreTrainedModel) -> None:
    """Undo `narrow`."""
    layer = _last_layer(model)
    if layer is not None and isinstance(now := forward_of(layer), NarrowLayer):
        set_forward(layer, now.own)


def _last_layer(model: PreTrainedModel) -> nn.Module | None:
    layers = getattr(model.get_decoder(), "layers", None)  # type: ignore[no-untyped-call] # transformers leaves it untyped
    return layers[-1] if isinstance(layers, nn.ModuleList) and len(layers) else None
