"""Models with random weights at the shapes of real ones: parity with plain full prompts, and speed. A JSON line each.

    python -m bench.shapes --shape llama-3.2-1b --shape qwen2.5-7b --quant none --quant 8bit --quant 4bit   # on a GPU
    python -m bench.shapes --device cpu --shape llama-3.2-1b --layers 4 --limit 4

No weights are downloaded: a checkpoint is written once to `--folder`, with the tokenizer of `--model`. What is measured
is all of a Run from prompts to log-probabilities: questions a second, the share of the matrix rate that the same
device reaches at the shapes of the layers (see `bench.floor`), peak memory, and how far log-probabilities are from
those of plain full prompts, in the same type and in float32 (where that fits into memory).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedConfig, Qwen2Config

from bench.floor import floor_of
from bench.scoring import Total, timed
from proctor.catalog.refs import resolve
from proctor.errors import DoesNotFit
from proctor.exams.load import load_benchmark
from proctor.nouns import Conditions, Device, DType, Exam, Quant
from workers.convert import local_folder
from workers.devices import TORCH_DTYPES, TorchDevice, own_device
from workers.engine.meter import PeakMemory
from workers.engine.plain import PlainScorer
from workers.engine.quiet import quiet_libraries
from workers.engine.score import Scorer
from workers.models import Loaded, Models

SHAPES: dict[str, PreTrainedConfig] = {
    "llama-3.2-1b": LlamaConfig(
        hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        head_dim=64, vocab_size=128256, max_position_embeddings=8192, tie_word_embeddings=True,
    ),
    "qwen2.5-7b": Qwen2Config(
        hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
        vocab_size=152064, max_position_embeddings=8192, tie_word_embeddings=False,
    ),
}  # fmt: skip


def main() -> None:
    asked = _arguments()
    device = own_device(asked.device)
    with TemporaryDirectory() as scratch:
        for name in asked.shape:
            folder = _checkpoint(name, asked.layers, asked.folder or Path(scratch), asked.model, asked.cache)
            models, ref = Models(device, asked.cache), resolve(str(folder))
            exams = load_benchmark(str(asked.benchmark) if asked.benchmark else "demo", asked.subjects).exams
            conditions = Conditions(shots=asked.shots, limit=asked.limit, pack_tokens=asked.pack_tokens)
            bench = Bench(device, tuple(exams.values()), conditions)
            try:
                exact = bench.plain(models.get(ref, Quant.NONE, DType.FLOAT32))
            except DoesNotFit as error:
                exact = Total()
                print(json.dumps({"bench": "shapes", "shape": name, "float32": str(error)}), flush=True)
            for quant in asked.quant:
                bench.measure(name, models.get(ref, Quant(quant), DType.BFLOAT16), exact)
            models.unload()


def _checkpoint(name: str, layers: int | None, parent: Path, tokenizer: str, cache: Path) -> Path:
    config = SHAPES[name]
    config.num_hidden_layers = layers or config.num_hidden_layers
    folder = parent / f"{name}-{config.num_hidden_layers}-layers"
    if not (folder / "config.json").exists():
        torch.manual_seed(0)
        with quiet_libraries():
            AutoTokenizer.from_pretrained(local_folder(resolve(tokenizer), cache)).save_pretrained(folder)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
            model.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Bench:
    """What is asked of every model."""

    device: TorchDevice
    exams: tuple[Exam, ...]
    conditions: Conditions

    def plain(self, model: Loaded) -> Total:
        """Full prompts, padded."""
        return self._all(model, PlainScorer(model.model, model.reader, self.device))

    def measure(self, name: str, model: Loaded, exact: Total) -> None:
        """One line: this model's own way, beside the plain one and the plain one in float32."""
        timed(model, model.scorer, self.exams[0], self.conditions)  # kernels are chosen, memory is taken at the first
        with PeakMemory(self.device) as peak:
            fast = self._all(model, model.scorer)
        plain = self.plain(model)
        floor = floor_of(model.model.model, self.conditions.pack_tokens, TORCH_DTYPES[model.provenance.dtype])
        line = {
            "bench": "shapes",
            "shape": name,
            "layers": model.model.model.config.num_hidden_layers,
            "device": self.device.name,
            "quant": str(model.quant),
            "dtype": str(model.provenance.dtype),
            "attention": model.provenance.attention,
            "questions": len(fast.answers),
            "shots": self.conditions.shots,
            "tokens": fast.tokens,
            "seconds": round(fast.seconds, 2),
            "questions_s": round(len(fast.answers) / fast.seconds, 2),
            "share_of_rate": round(floor.seconds(fast.tokens) / fast.seconds, 3),
            "tflops": round(floor.rate / 1e12, 2),
            "plain_s": round(plain.seconds, 2),
            "times_plain": round(plain.seconds / fast.seconds, 2),
            **_differences("plain", fast, plain),
            **_differences("float32", fast, exact),
            **_differences("plain_and_float32", plain, exact),
            "peak_device_mib": peak.device_bytes >> 20,
            "peak_rss_mib": peak.rss_bytes >> 20,
            "load_s": round(model.load_cost.wall_s, 2),
            "torch": torch.__version__,
        }
        print(json.dumps(line), flush=True)

    def _all(self, model: Loaded, scorer: Scorer) -> Total:
        total = Total()
        for exam in self.exams:
            total.add(timed(model, scorer, exam, self.conditions))
        return total


def _differences(name: str, one: Total, other: Total) -> dict[str, float]:
    """The largest and the mean difference of log-probabilities; nothing where there is nothing to compare with."""
    both = one.answers.keys() & other.answers.keys()
    if not both:
        return {}
    off = (torch.tensor([one.answers[key] for key in both]) - torch.tensor([other.answers[key] for key in both])).abs()
    return {f"{name}_largest": round(float(off.max()), 5), f"{name}_mean": round(float(off.mean()), 6)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=Device, choices=list(Device), default=Device.GPU)
    parser.add_argument("--shape", action="append", choices=list(SHAPES))
    parser.add_argument("--quant", action="append", choices=[str(one) for one in Quant])
    parser.add_argument("--layers", type=int, help="fewer layers than the real one has")
    parser.add_argument("--benchmark", type=Path, help="a folder in MMLU's layout; without it the demo exam")
    parser.add_argument("--subjects", nargs="*", default=[])
    parser.add_argument("--shots", type=int, default=5)
    parser.add_argument("--limit", type=int, default=40, help="questions of a subject")
    parser.add_argument("--pack-tokens", type=int, default=2048)
    parser.add_argument("--model", default="smollm2", help="whose tokenizer is taken")
    parser.add_argument("--folder", type=Path, help="keep the checkpoints here: 3 GB and 15 GB")
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    asked = parser.parse_args()
    asked.shape, asked.quant = asked.shape or list(SHAPES), asked.quant or ["none"]
    return asked


if __name__ == "__main__":
    main()
