"""A module's forward inside of the hook that accelerate puts around it where a model lies on several devices.

The hook keeps the forward that it found as `_old_forward`, and calls that whatever becomes of the module's own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

_INSIDE = "_old_forward"  # https://github.com/huggingface/accelerate: hooks.py, add_hook_to_module
Forward = Callable[..., torch.Tensor]


def is_hooked(module: nn.Module) -> bool:
    return _INSIDE in vars(module)


def forward_of(module: nn.Module) -> Forward:
    """What computes the module."""
    found: Forward = vars(module).get(_INSIDE, module.forward)
    return found


def set_forward(module: nn.Module, forward: Forward) -> None:
    """Let this compute it from now on; a hook stays around it."""
    setattr(module, _INSIDE if is_hooked(module) else "forward", forward)
