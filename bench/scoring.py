"""Speed of scoring: ours beside lm-evaluation-harness and the machine's own floor, in one run. JSON lines.

    python -m bench.scoring --quick
    python -m bench.scoring --benchmark ../shared/data/mmlu --lm-eval ../lm-eval/bin/python --shots 5 --dtype float32

A line is one way at one dtype and number of shots, over all subjects: seconds to write, tokenize and score their
prompts, the share of the floor (see `bench.floor`; `share_with_attention`: of the products in attention too, which the
floor leaves out), and how far its numbers are from lm-eval's. Subjects are scored in turns, ours and theirs, so that
whatever else the machine does meets both. `--lm-eval` names the Python of an environment that has it; without one that
part is left out, and said. Lines of `case: shots` tell what five shots add to none where many questions share them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter

import torch

from bench.floor import Floor, floor_of
from bench.harness import HOW_TO, Harness, harness
from proctor.catalog.resolve import resolve
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.packs import compose
from proctor.nouns.exams import Conditions, Exam
from proctor.nouns.models import Device, DType, Quant
from workers.engines.base import Engine, LoadRequest
from workers.engines.devices import TORCH_DTYPES, own_device
from workers.engines.hf.engine import HfEngine, load_engine
from workers.engines.hf.scoring.plain import PlainScorer
from workers.engines.scoring import Scorer
from workers.models.local_files import local_folder
from workers.run.paper import write_paper

TEN = (
    "abstract_algebra", "anatomy", "astronomy", "business_ethics", "computer_security", "econometrics",
    "electrical_engineering", "high_school_physics", "machine_learning", "professional_law",
)  # fmt: skip
MANY = 95  # questions that share their shots, for the lines of `case: shots`


@dataclass
class Total:
    """One way over several subjects."""

    seconds: float = 0.0
    forward_s: float = 0.0
    tokens: int = 0  # that went through the layers; 0 where it isn't known
    pairs: int = 0  # of a token and one that it sees, itself included
    answers: dict[str, tuple[float, ...]] = field(default_factory=dict)  # log-probabilities by prompt_hash

    def add(self, one: Total) -> None:
        self.seconds += one.seconds
        self.forward_s += one.forward_s
        self.tokens += one.tokens
        self.pairs += one.pairs
        self.answers |= one.answers


def main() -> None:
    asked = _arguments()
    exams = load_benchmark(str(asked.benchmark) if asked.benchmark else "demo", asked.subjects).exams
    subjects = [exams[name] for name in asked.subjects or exams]
    if asked.lm_eval is None:
        _say(case="lm-eval", skipped=f"no --lm-eval given. {HOW_TO}")
    device = own_device(Device.CPU)
    for dtype in asked.dtype:
        ref = resolve(asked.model)
        folder = local_folder(ref, asked.cache)
        began = perf_counter()
        model = load_engine(
            LoadRequest(ref, Quant(asked.quant), DType(dtype)), partial(local_folder, ref, asked.cache), device
        )
        _say(case="load", dtype=dtype, quant=asked.quant, seconds=round(perf_counter() - began, 2))
        beside = (
            nullcontext()
            if asked.lm_eval is None
            else harness(asked.lm_eval, folder, dtype, asked.benchmark, asked.subjects)
        )
        with beside as other:
            for shots in asked.shots:
                _compare(model, other, subjects, shots, asked)
        if not asked.quick:
            _added_by_shots(model, subjects[0], asked.pack_tokens)


def _compare(
    model: HfEngine, other: Harness | None, subjects: list[Exam], shots: int, asked: argparse.Namespace
) -> None:
    conditions = Conditions(shots=shots, limit=asked.limit, pack_tokens=asked.pack_tokens)
    dtype = TORCH_DTYPES[model.provenance.dtype]
    floors = [floor_of(model.model.model, asked.pack_tokens, dtype)]
    ours, plain, theirs = Total(), Total(), Total()
    batch = _best_batch(other, subjects[0].subject, shots, asked) if other is not None else 0
    for exam in subjects:
        ours.add(timed(model, model.scorer, exam, conditions))
        if asked.plain:
            plain.add(timed(model, PlainScorer(model.model, model.tokenizer, own_device(Device.CPU)), exam, conditions))
        if other is not None:
            scored = other.score(exam.subject, shots, asked.limit, batch)
            theirs.add(Total(scored.seconds, answers=dict(scored.answers)))
        floors.append(floor_of(model.model.model, asked.pack_tokens, dtype))
    floor = max(floors, key=lambda one: one.rate)  # the strictest: others only make it slower
    about = {"dtype": str(model.provenance.dtype), "shots": shots, "subjects": len(subjects)}
    if other is not None:
        _line(about, f"lm-eval {other.version} hf, batch {batch}", theirs, floor, theirs)
    if asked.plain:
        _line(about, "plain", plain, floor, theirs)
    _line(about, model.scorer.name, ours, floor, theirs if other is not None else plain)


def timed(model: Engine, scorer: Scorer, exam: Exam, conditions: Conditions) -> Total:
    """Write, tokenize, prefill and score, as a Run does."""
    began = perf_counter()
    prompts = write_paper(exam, conditions, model).prompts
    prepared = scorer.prepare(prompts)
    shared = prepared.prefix_tokens
    pairs = _seen(shared) + sum(_seen(shared + length) - _seen(shared) for length in prepared.lengths)
    total = Total(forward_s=prepared.prefilling.wall_s, tokens=shared, pairs=pairs)
    for pack in compose(prepared.lengths, conditions.pack_tokens, padded=prepared.padded):
        scores = scorer.score(prepared, pack)
        total.tokens += scores.tokens_computed
        total.forward_s += scores.cost.wall_s
        rows = zip(pack.members, scores.options_logprob, strict=True)
        total.answers |= {prompts[member].hash: row for member, row in rows}
    total.seconds = perf_counter() - began
    return total


def _seen(length: int) -> int:
    """Pairs of a token and one that it sees, in a prompt of this length."""
    return length * (length + 1) // 2


def _best_batch(other: Harness, subject: str, shots: int, asked: argparse.Namespace) -> int:
    """The batch size that lm-eval is quickest with, on its first subject."""
    took = {batch: other.score(subject, shots, asked.limit, batch) for batch in asked.batches}
    for batch, scored in took.items():
        _say(case="lm-eval batch", shots=shots, batch=batch, subject=subject, seconds=round(scored.seconds, 2))
    best: int = min(took, key=lambda batch: took[batch].seconds)
    return best


def _added_by_shots(model: HfEngine, exam: Exam, pack_tokens: int) -> None:
    """What five shots add to the time of none, at as many questions as share them."""
    took = {}
    for shots in (0, 5):
        conditions = Conditions(shots=shots, limit=MANY, pack_tokens=pack_tokens)
        took[shots] = min(timed(model, model.scorer, exam, conditions).seconds for _ in range(2))
    _say(
        case="shots",
        dtype=str(model.provenance.dtype),
        subject=exam.subject,
        questions=min(MANY, len(exam.questions)),
        none_s=round(took[0], 2),
        five_s=round(took[5], 2),
        added=round(took[5] / took[0] - 1, 3),
    )


def _line(about: Mapping[str, object], way: str, total: Total, floor: Floor, reference: Total) -> None:
    both = total.answers.keys() & reference.answers.keys()
    pairs = [(total.answers[key], reference.answers[key]) for key in both]
    least_s = floor.seconds(total.tokens)
    known = (
        {
            "forward_share": round(total.forward_s / total.seconds, 3),
            "tokens": total.tokens,
            "floor_s": round(least_s, 2),
            "share_of_floor": round(least_s / total.seconds, 3),
            "share_with_attention": round(floor.seconds(total.tokens, total.pairs) / total.seconds, 3),
            "tflops": round(floor.rate / 1e12, 3),
        }
        if total.tokens
        else {}
    )
    compared = (
        {
            "times_reference": round(reference.seconds / total.seconds, 2),
            "compared": len(both),
            "largest_difference": max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True)),
            "same_picks": sum(_pick(a) == _pick(b) for a, b in pairs),
        }
        if pairs and total is not reference
        else {}
    )
    _say(
        case="subjects",
        **about,
        way=way,
        questions=len(total.answers),
        seconds=round(total.seconds, 2),
        questions_s=round(len(total.answers) / total.seconds, 2),
        **known,
        **compared,
    )


def _pick(row: tuple[float, ...]) -> int:
    return row.index(max(row))


def _say(**facts: object) -> None:
    print(json.dumps({"bench": "scoring", **facts, "torch": torch.__version__}), flush=True)


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
    parser.add_argument("--lm-eval", type=Path, help=f"the Python of an environment that has lm-eval. {HOW_TO}")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4, 16], help="lm-eval's batch sizes to try")
    parser.add_argument("--plain", action="store_true", help="time our plain way too")
    parser.add_argument("--quick", action="store_true", help="one subject, ten questions")
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    asked = parser.parse_args()
    asked.shots, asked.dtype = asked.shots or [5, 0], asked.dtype or ["float32", "bfloat16"]
    if asked.lm_eval is not None and asked.benchmark is None:
        parser.error("lm-eval reads the benchmark's files: say --benchmark FOLDER, in MMLU's layout")
    if asked.benchmark is not None and not asked.subjects:
        asked.subjects = list(TEN)
    if asked.quick:
        asked.limit, asked.subjects = 10, asked.subjects[:1] or ["everyday_science"]
    return asked


if __name__ == "__main__":
    main()
