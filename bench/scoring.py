"""Speed of scoring: ours, fast and plain, against the floor that the machine's own matrix rate sets. JSON lines.

    python -m bench.scoring --model smollm2 --benchmark ../shared/data/mmlu --subjects astronomy --shots 5 --shots 0

Each line is one way at one dtype and number of shots: the best of `--repeat` runs, and its share of the floor, which is
unique tokens × 2 × parameters of the layers / matrix rate. All ways of one setting are timed in turns, in one process,
so that what else the machine does meets all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from proctor.catalog.refs import resolve
from proctor.exams.load import load_benchmark
from proctor.exams.packs import compose
from proctor.exams.prompts import fit
from proctor.nouns import Conditions, Device, DType, Prompt, Quant
from workers.convert import local_folder
from workers.devices import TORCH_DTYPES, TorchDevice, own_device
from workers.engine.load import Engine, load
from workers.engine.plain import PlainScorer
from workers.engine.score import Scorer
from workers.engine.serving import scorer_for

_RATE_SHAPE = (2048, 2048, 2048)


@dataclass(frozen=True)
class Timing:
    """One run through all questions."""

    seconds: float
    tokens: int  # that went through the layers
    rows: tuple[tuple[float, ...], ...]


def main() -> None:
    asked = _arguments()
    device = own_device(Device.CPU)
    folder = local_folder(resolve(asked.model), asked.cache)
    exams = load_benchmark(str(asked.benchmark) if asked.benchmark else "demo", asked.subjects).exams
    for dtype in asked.dtype:
        engine = load(folder, asked.model, Quant(asked.quant), DType(dtype), device)
        fast, _ = scorer_for(engine.model, engine.reader, device)
        ways: tuple[Scorer, ...] = (fast, PlainScorer(engine.model, engine.reader, device))
        for shots in asked.shots:
            conditions = Conditions(shots=shots, limit=asked.limit, pack_tokens=asked.pack_tokens)
            for subject in asked.subjects or exams:
                questions = exams[subject].questions[: asked.limit]
                reader = engine.reader
                prompts = [fit(exams[subject], q, conditions, reader.count, reader.window) for q in questions]
                _compare(engine, ways, prompts, conditions, device, f"{subject} {dtype}", asked.repeat)


def _compare(
    engine: Engine,
    ways: tuple[Scorer, ...],
    prompts: list[Prompt],
    conditions: Conditions,
    device: TorchDevice,
    label: str,
    repeat: int,
) -> None:
    best: dict[str, Timing] = {}
    rate = 0.0
    for _ in range(repeat):
        rate = max(rate, matrix_rate(TORCH_DTYPES[engine.dtype]))
        for way in ways:
            found = timed(way, prompts, conditions.pack_tokens)
            if way.name not in best or found.seconds < best[way.name].seconds:
                best[way.name] = found
    fast, plain = (best[way.name] for way in ways)
    floor_s = fast.tokens * 2 * layer_parameters(engine) / rate
    pairs = [(x, y) for a, b in zip(fast.rows, plain.rows, strict=True) for x, y in zip(a, b, strict=True)]
    for way in ways:
        timing = best[way.name]
        line = {
            "bench": "scoring",
            "case": label,
            "shots": conditions.shots,
            "way": way.name,
            "questions": len(prompts),
            "pack_tokens": conditions.pack_tokens,
            "seconds": round(timing.seconds, 3),
            "tokens": timing.tokens,
            "times_plain": round(plain.seconds / timing.seconds, 2),
            "share_of_floor": round(floor_s / timing.seconds, 3),
            "tflops": round(rate / 1e12, 3),
            "largest_difference": max(abs(x - y) for x, y in pairs),
            "same_picks": sum(_pick(a) == _pick(b) for a, b in zip(fast.rows, plain.rows, strict=True)),
            "device": device.name,
            "torch": torch.__version__,
        }
        print(json.dumps(line), flush=True)


def timed(scorer: Scorer, prompts: list[Prompt], pack_tokens: int) -> Timing:
    """Tokenize, prefill and score everything, as a Run does."""
    began = time.perf_counter()
    prepared = scorer.prepare(prompts)
    rows: dict[int, tuple[float, ...]] = {}
    tokens = prepared.prefix.length
    for pack in compose(prepared.lengths, pack_tokens, padded=prepared.padded):
        scores = scorer.score(prepared, pack)
        tokens += scores.tokens_computed
        rows |= dict(zip(pack.members, scores.options_logprob, strict=True))
    return Timing(time.perf_counter() - began, tokens, tuple(rows[n] for n in range(len(prompts))))


def matrix_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second of a large matrix product, the best of five."""
    n, k, m = _RATE_SHAPE
    left, right = torch.randn(n, k).to(dtype), torch.randn(m, k).to(dtype)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        torch.nn.functional.linear(left, right)
        best = max(best, 2 * n * k * m / (time.perf_counter() - began))
    return best


def layer_parameters(engine: Engine) -> int:
    """Parameters of the matrices that every token goes through: neither embeddings nor the output head."""
    outside = {id(p) for part in (engine.model.model.get_input_embeddings(),) for p in part.parameters()}
    head = engine.model.model.get_output_embeddings()  # type: ignore[no-untyped-call] # untyped in transformers
    outside |= {id(p) for p in head.parameters()}
    return sum(p.numel() for p in engine.model.model.parameters() if p.dim() > 1 and id(p) not in outside)


def _pick(row: tuple[float, ...]) -> int:
    return row.index(max(row))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--quant", default="none")
    parser.add_argument("--benchmark", type=Path, help="a folder in MMLU's layout; without it the demo exam")
    parser.add_argument("--subjects", nargs="*", default=[])
    parser.add_argument("--shots", type=int, action="append")
    parser.add_argument("--dtype", action="append")
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--pack-tokens", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    asked = parser.parse_args()
    asked.shots, asked.dtype = asked.shots or [5, 0], asked.dtype or ["float32", "bfloat16"]
    return asked


if __name__ == "__main__":
    main()
