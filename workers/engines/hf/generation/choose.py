"""Which generator serves a loaded model (continuous batching, or the plain one), and which tokens end a reply."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from proctor.nouns.models import Device
from workers.engines.devices import TorchDevice, is_of_the_device
from workers.engines.generation import Generator
from workers.engines.hf.generation.attention import BatchLayout, BatchPart
from workers.engines.hf.generation.continuous import ContinuousBatcher
from workers.engines.hf.generation.decoder import Decoder, NoDecoder
from workers.engines.hf.generation.kv_cache import KVCache
from workers.engines.hf.generation.plain import PlainGenerator
from workers.engines.hf.model import CausalModel
from workers.engines.hf.scoring.choose import Unfit, check_config, differ
from workers.engines.hf.tokens import rendered

ROOM_SHARE = 0.5  # of the memory that is free when a model has been loaded, for keys and values of conversations
_FIRST, _SECOND, _THIRD = 7, 5, 3  # tokens of the trial: two lines, the second in two parts
# Mean difference of a compiled step's logits over their spread that is rounding; SmolLM2's is 0.01.
_DECODED = 0.1


def generator_for(model: CausalModel, device: TorchDevice, ends: AbstractSet[int]) -> Generator:
    """The fast generator where it serves this model, else the plain one."""
    try:
        check_config(model.model)
        check_lines(model)
    except Unfit:
        return PlainGenerator(model, device, ends)
    return ContinuousBatcher(model, device, ends, int(device.available_bytes() * ROOM_SHARE))


@torch.inference_mode()
def check_lines(model: CausalModel) -> None:
    """Raise `Unfit` where two lines in one row, one of them read in two parts, differ from the same two alone."""
    vocabulary = int(model.model.config.get_text_config().vocab_size)
    tokens = [(n * 7919 + 13) % vocabulary for n in range(_FIRST + _SECOND + _THIRD)]
    one, two = tokens[:_FIRST], tokens[_FIRST:]
    with _unfit_where_it_fails():
        together = _in_lines(model, one, two)
    alone = torch.cat([_alone(model, one), _alone(model, two)])
    if differ(model.model, together, alone):
        raise Unfit("its numbers differ from those of conversations alone")


def compile_decoding(model: CausalModel, device: TorchDevice, cache: Path) -> str:
    """Have decode steps compiled where they serve this model; returns why not, else nothing.

    The library lies in `cache` from then on, whatever the model.
    """
    if model.decoder is not None:
        return ""
    if device.kind is not Device.CPU or model.model.dtype != torch.bfloat16:
        return "only bfloat16 on the CPU is compiled"
    try:
        model.decoder = _tried_decoder(model, cache)
    except (NoDecoder, Unfit) as reason:
        return str(reason)
    return ""


@torch.inference_mode()
def _tried_decoder(model: CausalModel, cache: Path) -> Decoder:
    """Compiled steps, tried on a step of two lines. Raises `NoDecoder`, and `Unfit` where the numbers are others."""
    vocabulary = int(model.model.config.get_text_config().vocab_size)
    tokens = [(n * 7919 + 13) % vocabulary for n in range(_FIRST + _SECOND)]
    lines = [KVCache(), KVCache()]
    read = BatchLayout([BatchPart(lines[0], 0, 0, _FIRST), BatchPart(lines[1], _FIRST, 0, _SECOND)])
    places = [part.start + n for part in read.parts for n in range(part.count)]
    with _unfit_where_it_fails():
        model.line_logits(torch.tensor(tokens), torch.tensor(places), torch.tensor([0]), read)
    decoder = Decoder(model.model, read.rules, cache)
    for part in read.parts:
        part.line.tokens += tokens[part.row :][: part.count]
    starts = [part.count for part in read.parts]
    after = torch.tensor(tokens[: len(starts)])
    compiled = decoder.logits(after, [line.copy(len(line.tokens)) for line in lines], starts)
    row = BatchLayout([BatchPart(line, n, starts[n], 1) for n, line in enumerate(lines)])
    own = model.line_logits(after, torch.tensor(starts), torch.arange(len(starts)), row)
    if not float((compiled - own).abs().mean() / own.std()) <= _DECODED:  # NaN is no fit
        raise Unfit("the numbers of its compiled steps differ from its own")
    return decoder


@contextmanager
def _unfit_where_it_fails() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        if is_of_the_device(error):
            raise  # it tells nothing of the model
        raise Unfit(f"its layers don't take conversations in lines ({type(error).__name__}: {error})") from error


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end a reply: those of the model and its tokenizer, and that which its chat template writes there."""
    said = [model.generation_config.eos_token_id, tokenizer.eos_token_id, _end_of_turn(tokenizer)]
    several = [one if isinstance(one, list) else [one] for one in said]
    return frozenset(token for some in several for token in some if isinstance(token, int))


def _end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The special token that a chat template writes behind a reply; None where it writes none, or there is none."""
    if tokenizer.chat_template is None:
        return None
    mark = "0123456789"
    turns = [{"role": "user", "content": mark}, {"role": "assistant", "content": mark}]
    try:
        text = rendered(tokenizer, turns, datetime.now().astimezone(), opened=False)
    except Exception:  # noqa: BLE001 -- a template is a program of the model's authors; without it no chat is possible
        return None
    after = tokenizer.encode(text[text.rfind(mark) + len(mark) :], add_special_tokens=False)
    return after[0] if after and after[0] in tokenizer.all_special_ids else None


def _in_lines(model: CausalModel, one: list[int], two: list[int]) -> torch.Tensor:
    """Logits (2, V) after both, the second in two passes, the other beside its second part."""
    first, second = KVCache(), KVCache()
    for row in (
        [BatchPart(second, 0, 0, _SECOND)],
        [BatchPart(second, 0, _SECOND, _THIRD), BatchPart(first, _THIRD, 0, _FIRST)],
    ):
        tokens = [token for part in row for token in (one if part.line is first else two)[part.start :][: part.count]]
        places = [part.start + n for part in row for n in range(part.count)]
        reads = torch.tensor([part.row + part.count - 1 for part in reversed(row)])
        lines = BatchLayout(row)
        logits = model.line_logits(torch.tensor(tokens), torch.tensor(places), reads, lines)
    return logits.float()


def _alone(model: CausalModel, tokens: list[int]) -> torch.Tensor:
    return model.logits(torch.tensor([tokens]), torch.tensor([len(tokens) - 1]))[0].float()
