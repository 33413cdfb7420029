"""The rotation of positions that a GGUF file asks for, put into transformers' config and checked in the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from proctor.catalog.gguf_rope import Rotation, unscaled
from proctor.errors import BadModel

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_SLIDING, _FULL = "sliding_attention", "full_attention"
_NEAR = 1e-4  # relative; float32 powers differ by some 1e-6


def put_rotation(config: PreTrainedConfig, rotation: Rotation) -> None:
    """Write the rotation into `rope_parameters`; models that turn nothing have none."""
    before = getattr(config, "rope_parameters", None)
    if not before:
        return
    part = rotation.dims / _head(config) if rotation.dims else 1.0
    full = {"rope_theta": rotation.base, **rotation.scaling}
    if _FULL in before:
        plain = {"rope_theta": rotation.sliding_base, "rope_type": "default"}
        config.rope_parameters = {_FULL: full, _SLIDING: plain}
        return
    if part != 1 or "partial_rotary_factor" in before:
        full["partial_rotary_factor"] = part
    sections = {key: value for key, value in before.items() if key.startswith("mrope_")}
    config.rope_parameters = {**sections, **full}


def check_rotation(model: PreTrainedModel, rotation: Rotation, name: str) -> None:
    """Compare the frequencies that the loaded model turns by with the file's.

    Raises
    ------
    BadModel
        naming `name`, where they differ: transformers reads the config of this architecture in another way.
    """
    for path, module in model.named_modules():
        for key, found in module.named_buffers(recurse=False):
            if not key.endswith("inv_freq") or "original" in key:
                continue
            dims = rotation.dims or _head(model.config)
            sliding = key.startswith(_SLIDING)
            wanted = unscaled(rotation.sliding_base, dims) if sliding else rotation.frequencies(dims)
            amplitude = getattr(module, key.replace("inv_freq", "attention_scaling"), 1.0)
            right = math.isclose(amplitude, 1.0 if sliding else rotation.amplitude, rel_tol=_NEAR)
            if not right or found.numel() != len(wanted) or not _close(found, wanted):
                cause = f"transformers turns positions in {path} by other angles than this GGUF file asks for"
                raise BadModel(name, cause, "Name the folder or hub id of the original model.")


def _head(config: PreTrainedConfig) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def _close(found: torch.Tensor, wanted: list[float]) -> bool:
    return torch.allclose(found.double().cpu(), torch.tensor(wanted, dtype=torch.float64), rtol=_NEAR, atol=0)
