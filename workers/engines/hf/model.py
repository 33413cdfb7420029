"""A causal model of transformers: logits of padded lines, of a packed row, and of a row of replies."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from workers.engines.hf.generation.attention import NAME as BATCH
from workers.engines.hf.generation.attention import BatchLayout
from workers.engines.hf.generation.decoder import MOST_LINES, Decoder
from workers.engines.hf.scoring import last_layer
from workers.engines.hf.scoring.cascade import NAME as CASCADE
from workers.engines.hf.scoring.layout import CascadeLayout


class CausalModel:
    """A loaded causal language model. Shapes: B lines, T tokens, K positions, V the vocabulary.

    Attributes
    ----------
    decoder
        What computes rows that have one token of each line, where that was found to serve the model.
    """

    def __init__(self, model: PreTrainedModel, padding: int) -> None:
        self.model, self.padding = model, padding
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._narrow = False
        self.decoder: Decoder | None = None
        # What is read is cut out where the last layer lies. Of a model on several devices no one says where that is:
        # indexes on the CPU are right for tensors anywhere.
        placed = set(getattr(model, "hf_device_map", {}).values())
        self._reads_device = torch.device("cpu") if len(placed) > 1 else model.device

    def narrow(self) -> bool:
        """From now on the last layer of a row computes only what is read, where the layer is known to allow it.

        Returns whether it is; the numbers are the same, up to rounding, unless the layer is of another make inside.
        """
        self._narrow = self._keeps_logits and last_layer.narrow(self.model)
        return self._narrow

    def widen(self) -> None:
        """Undo `narrow`."""
        last_layer.widen(self.model)
        self._narrow = False

    @torch.inference_mode()
    def logits(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, V) of a batch of lines (B, T) at `positions` (K,): what comes after each.

        Lines start at position 0 and may be padded on the right: attention is causal, nothing looks there.
        """
        return self._forward(tokens, positions)

    @torch.inference_mode()
    def row_logits(
        self, tokens: torch.Tensor, places: torch.Tensor, reads: torch.Tensor, cascade: CascadeLayout
    ) -> torch.Tensor:
        """Logits (K, V) of a row of tokens (T,) at its indexes `reads` (K,).

        `places` (T,) are the tokens' positions in their own prompts, `cascade` says which of them see each other.
        """
        with self._attending(CASCADE):
            places = places[None].to(self.model.device)
            if not self._narrow:
                return self._forward(tokens[None], reads, position_ids=places, cascade=cascade)[0]
            read = {last_layer.READS: reads.to(self.model.device)}
            kept = torch.arange(len(reads))
            return self._forward(tokens[None], kept, position_ids=places, cascade=cascade, **read)[0]

    @torch.inference_mode()
    def line_logits(
        self, tokens: torch.Tensor, places: torch.Tensor, reads: torch.Tensor, layout: BatchLayout
    ) -> torch.Tensor:
        """The same for a row of parts of conversations, each behind what its own line has read: (K, V)."""
        parts = layout.parts
        if self.decoder and len(parts) == len(tokens) <= MOST_LINES and all(part.start for part in parts):
            found = self.decoder.logits(tokens, [part.line for part in parts], [part.start for part in parts])
            return found if torch.equal(reads, torch.arange(len(parts))) else found[reads]
        with self._attending(BATCH):
            places = places[None].to(self.model.device)
            return self._forward(tokens[None], reads, position_ids=places, lines=layout)[0]

    def _forward(self, tokens: torch.Tensor, positions: torch.Tensor, **more: object) -> torch.Tensor:
        tokens, positions = tokens.to(self.model.device), positions.to(self._reads_device)
        if self._keeps_logits:
            output = self.model(input_ids=tokens, use_cache=False, logits_to_keep=positions, **more)
            found: torch.Tensor = output.logits
            return found
        whole: torch.Tensor = self.model(input_ids=tokens, use_cache=False, **more).logits  # (B, T, V)
        return whole[:, positions]

    @contextmanager
    def _attending(self, name: str) -> Iterator[None]:
        """The model's attention is the one of this name within this block, and what it was before after it.

        Set in the config, where every layer looks it up: `set_attn_implementation` goes through all modules each time,
        which a reply's token would pay for twice.
        """
        config = self.model.config
        before = config._attn_implementation
        config._attn_implementation = name
        try:
            yield
        finally:
            config._attn_implementation = before
