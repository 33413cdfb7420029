"""Weights that lie in memory of the process's own, not in its model's file.

On the CPU a weight that is loaded as the file has it stays a view of the mapped file. Once the matrices are laid out
anew or quantized, those are the embedding, an untied head and the norms; one of them keeps all pages of the file.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel


def leave_file(model: PreTrainedModel) -> None:
    """Copy what is still as the file has it: dense floats on the CPU. Of use where that is the least of the model.

    Inference tensors are left alone: `workers.engines.hf.cpu.onednn` has made them.
    """
    for weight in model.parameters():
        as_loaded = weight.layout is torch.strided and weight.is_floating_point() and not weight.is_inference()
        if as_loaded and weight.device.type == "cpu":
            weight.data = weight.data.clone()
