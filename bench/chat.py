"""Conversations: our generator beside transformers' own `generate`, in one process, in turns. JSON lines.

    python -m bench.chat --model smollm2 --dtype float32 --repeat 3

`one` is a prompt of 64 tokens and `--tokens` of reply, greedily, end tokens not heeded; `several` the tokens a second
of all replies together at 1, 4, 8 and 16 conversations, once all prompts are read; `second_turn` the time to the first
token of a second Turn behind `--long` tokens, with what was kept and computed anew. The best of `--repeat`.

Where decode steps are compiled (`workers/engines/hf/generation/decoder.py`), `own_steps_tokens_per_s` is the same
without that, in turns with it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
import transformers as hf

from proctor.catalog.resolve import resolve
from proctor.nouns.conversations import Sampling
from proctor.nouns.models import Device, DType, Quant
from workers.engines.devices import TorchDevice, own_device
from workers.engines.generation import GenerationRequest, Generator
from workers.engines.hf.generation.choose import compile_decoding, generator_for
from workers.engines.hf.load import LoadedModel, load
from workers.models import local_files

SEVERAL = (1, 4, 8, 16)
SHORT, ADDED = 64, 30  # tokens of a prompt, and of what is said in the second Turn
GREEDY = Sampling(temperature=0)
Measure = Callable[[LoadedModel, TorchDevice, list[int], argparse.Namespace], dict[str, object]]


def main() -> None:
    asked = _arguments()
    device = own_device(Device(asked.device))
    ref = resolve(asked.model)
    folder = local_files.local_folder(ref, asked.cache, lambda _: None)
    engine = load(folder, ref.name, Quant(asked.quant), DType(asked.dtype), device)
    compile_decoding(engine.model, device, asked.cache)
    ids = engine.tokenizer.ids("The moon turns once in each orbit, and so it shows one face to the earth. " * 400)
    common = {
        "bench": "chat",
        "model": ref.label,
        "dtype": engine.dtype.value,
        "quant": asked.quant,
        "device": device.name,
        "torch": torch.__version__,
        "transformers": hf.__version__,
        "tokens": asked.tokens,
    }
    measures: tuple[Measure, ...] = (_one, *(partial(_several, count) for count in SEVERAL), _second_turn)
    for measure in measures:
        print(json.dumps({**common, **measure(engine, device, ids, asked)}), flush=True)


def _one(engine: LoadedModel, device: TorchDevice, ids: list[int], asked: argparse.Namespace) -> dict[str, object]:
    generator = generator_for(engine.model, device, frozenset())
    ours: list[tuple[float, float]] = []
    own: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(asked.repeat):  # in turns, so that both meet the same machine
        ours.append(_our_reply(generator, ids[:SHORT], asked.tokens))
        theirs.append(_their_reply(engine, ids[:SHORT], asked.tokens))
        with _own_steps(engine):
            own.append(_our_reply(generator, ids[:SHORT], asked.tokens))
    return {
        "what": "one",
        "generator": type(generator).__name__,
        "steps": "compiled" if engine.model.decoder else "the model's own",
        "own_steps_tokens_per_s": max(rate for _, rate in own),
        "ours_first_s": min(first for first, _ in ours),
        "generate_first_s": min(first for first, _ in theirs),
        "ours_tokens_per_s": max(rate for _, rate in ours),
        "generate_tokens_per_s": max(rate for _, rate in theirs),
    }


def _our_reply(generator: Generator, prompt: list[int], tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and tokens a second after it."""
    generator.forget()
    generator.add(GenerationRequest("one", tuple(prompt), GREEDY, tokens))
    return _timed(generator.step, tokens)


def _their_reply(engine: LoadedModel, prompt: list[int], tokens: int) -> tuple[float, float]:
    first = _their_seconds(engine, prompt, 1)
    return first, (tokens - 1) / (_their_seconds(engine, prompt, tokens) - first)


def _their_seconds(engine: LoadedModel, prompt: list[int], tokens: int) -> float:
    config = hf.GenerationConfig(  # type: ignore[no-untyped-call] # transformers leaves it untyped
        max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0
    )
    row = torch.tensor([prompt], device=engine.model.model.device)
    began = time.perf_counter()
    engine.model.model.generate(row, attention_mask=torch.ones_like(row), generation_config=config)  # type: ignore[operator]
    return time.perf_counter() - began


def _timed(step: Callable[[], object], tokens: int) -> tuple[float, float]:
    began = time.perf_counter()
    step()
    first = time.perf_counter() - began
    for _ in range(tokens - 1):
        step()
    return first, (tokens - 1) / (time.perf_counter() - began - first)


def _several(
    count: int, engine: LoadedModel, device: TorchDevice, ids: list[int], asked: argparse.Namespace
) -> dict[str, object]:
    generator = generator_for(engine.model, device, frozenset())
    rates, own = [], []
    for _ in range(asked.repeat):
        rates.append(_together(generator, count, ids, asked.tokens))
        with _own_steps(engine):
            own.append(_together(generator, count, ids, asked.tokens))
    return {
        "what": "several",
        "conversations": count,
        "tokens_per_s": max(rates),
        "own_steps_tokens_per_s": max(own),
    }


def _together(generator: Generator, count: int, ids: list[int], tokens: int) -> float:
    """Tokens a second of so many replies, once their prompts are read."""
    generator.forget()
    for n in range(count):
        generator.add(GenerationRequest(f"r{n}", tuple(ids[n * SHORT : (n + 1) * SHORT]), GREEDY, 1 << 12))
    while len(generator.step()) < count:
        pass
    began = time.perf_counter()
    for _ in range(tokens):
        generator.step()
    return count * tokens / (time.perf_counter() - began)


@contextmanager
def _own_steps(engine: LoadedModel) -> Iterator[None]:
    """Within this block decode steps are the model's own."""
    decoder, engine.model.decoder = engine.model.decoder, None
    try:
        yield
    finally:
        engine.model.decoder = decoder


def _second_turn(
    engine: LoadedModel, device: TorchDevice, ids: list[int], asked: argparse.Namespace
) -> dict[str, object]:
    generator = generator_for(engine.model, device, frozenset())
    first, second = tuple(ids[: asked.long]), tuple(ids[: asked.long + ADDED])
    kept, anew = [], []
    for _ in range(asked.repeat):
        generator.forget()
        anew.append(_first_token(generator, second)[0])
        generator.forget()
        _first_token(generator, first)
        seconds, cached = _first_token(generator, second)
        kept.append(seconds)
    return {
        "what": "second_turn",
        "prompt_tokens": len(second),
        "cached_tokens": cached,
        "kept_first_s": min(kept),
        "anew_first_s": min(anew),
    }


def _first_token(generator: Generator, prompt: tuple[int, ...]) -> tuple[float, int]:
    began = time.perf_counter()
    cached = generator.add(GenerationRequest("turn", prompt, GREEDY, 1))
    while generator.live:
        generator.step()
    return time.perf_counter() - began, cached


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tokens a second, alone and in company; the second Turn.")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--quant", default="none")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--long", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
