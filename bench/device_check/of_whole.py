"""The whole of it: a sweep as a person submits it, the demo model, and a group of GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.device_check.asked import PLAIN_BUDGET, asked_of, off, prompts
from bench.device_check.check import Check
from bench.device_check.of_scores import TOLERANCES, compare, plain_scores
from bench.device_check.results import Found
from bench.device_check.workshop import DEMO, ROOT, Need, Workshop
from proctor.catalog.memory import model_memory
from proctor.exams.benchmarks.mmlu_prompts import fit
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import Device, DType, Quant
from proctor.nouns.runs import Provenance
from workers.engines.hf.load import load
from workers.engines.hf.scoring.choose import scorer_for
from workers.engines.hf.tokens import HfTokenizer
from workers.engines.scoring import EncodedPrompt

_LIMIT_S = 240.0  # of a command: bounds hangs only
_ASKED = 12  # questions of a sweep
_SPREAD = 0.8  # of what a model needs, that each of two GPUs may take: neither has room for all of it


def sweep() -> Check:
    """As a person submits it."""
    return Check(
        "sweep",
        "submit-sweep on this device ends with every answer, and a second one with the same bits",
        _sweep,
        (Need.PROJECT,),
    )


def demo(dtype: DType) -> Check:
    """Real text and a real model, where it lies in the cache."""
    return Check(
        f"demo-model-{dtype}",
        f"its exam off plain float32 by at most {TOLERANCES[dtype]}; the same bits again",
        _demo(dtype),
        (Need.DEMO_MODEL, Need.PROJECT),
    )


def group() -> Check:
    """A model over two GPUs."""
    return Check(
        "group",
        "a model over two GPUs, none of it on the CPU, scores as it does on one",
        _group,
        (Need.TWO_GPUS,),
    )


@dataclass(frozen=True)
class Swept:
    """What a sweep left: rows of its export by question, and what computed them."""

    scores: dict[str, Any]
    device: str
    attention: str


def _sweep(shop: Workshop) -> Found:
    dtype = DType.BFLOAT16
    model, home = shop.checkpoint("llama", dtype), shop.scratch / "home"
    benchmark = shop.scratch / "made.jsonl"
    benchmark.write_text("".join(json.dumps(row) + "\n" for row in _questions()), encoding="utf-8")
    first, second = (_swept(shop, model, benchmark, home, name) for name in ("first", "second"))
    told = f"{len(first.scores)} and {len(second.scores)} answers of {_ASKED} on {first.device}, {first.attention}"
    same = first.scores == second.scores
    named = first.device == shop.device.name or shop.device.kind is Device.CPU  # threads are part of a CPU's name
    good = same and named and len(first.scores) == _ASKED
    return Found(f"{told}; {'the same bits' if same else 'OTHER BITS'}", good, {"answers": len(first.scores)})


def _questions() -> list[dict[str, object]]:
    return [
        {
            "question": f"What is {n} and {n + 1}?",
            "choices": [str(2 * n + k) for k in range(4)],
            "answer": 1,
            "subject": "sums",
        }
        for n in range(_ASKED)
    ]


def _swept(shop: Workshop, model: Path, benchmark: Path, home: Path, name: str) -> Swept:
    """Submit a sweep to an embedded worker on this device, and export it."""
    device = "cuda" if shop.device.kind is Device.GPU else "cpu"
    _proctor(home, "submit", "-m", str(model), "--benchmark", str(benchmark), "--device", device, "--name", name,
             "--fresh")  # fmt: skip
    file = home / f"{name}.jsonl"
    _proctor(home, "export", name, "-o", str(file))
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    made = _provenance(home, {int(row["run_id"]) for row in rows})
    return Swept(
        {row["question_id"]: row["options_logprob"] for row in rows},
        ", ".join(sorted({one.device_name for one in made})),
        ", ".join(sorted({one.attention for one in made})),
    )


def _provenance(home: Path, run_ids: AbstractSet[int]) -> list[Provenance]:
    from proctor.settings import Settings
    from proctor.store.database.open import open_store
    from proctor.store.reads import records

    with open_store(Settings.read({"PROCTOR_HOME": str(home)})) as store:
        sweeps = [sweep.id for sweep in records.overview(store)]
        return [one.provenance for one in records.runs(store, sweeps) if one.run_id in run_ids and one.provenance]


def _proctor(home: Path, *words: str) -> None:
    """Run a command of Proctor with a home of its own, and no fleet.

    Raises
    ------
    RuntimeError
        with its last lines, where it fails.
    """
    own = {"PROCTOR_HOME": str(home), "PROCTOR_CACHE": str(home / "cache"), "HF_HUB_OFFLINE": "1"}
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PROCTOR_")}
    done = subprocess.run(
        [sys.executable, "-m", "proctor.cli", *words],
        capture_output=True, text=True, timeout=_LIMIT_S, check=False, env={**bare, **own}, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"proctor {words[0]}: exit code {done.returncode}: {done.stderr.strip()[-600:]}")


def _demo(dtype: DType) -> Callable[[Workshop], Found]:
    def run(shop: Workshop) -> Found:
        from proctor.catalog.resolve import resolve
        from workers.models.local_files import local_folder

        folder = local_folder(resolve(DEMO), shop.cache)
        wide = shop.load(folder, DType.FLOAT32)
        asked = _exam(wide.tokenizer, *((12, 5) if shop.sizes.real else (3, 1)))
        exact = plain_scores(wide.model, wide.tokenizer, shop.device, asked)
        del wide
        engine = shop.load(folder, dtype)
        return compare(engine.model, engine.tokenizer, shop.device, asked, exact, TOLERANCES[dtype])

    return run


def _exam(reader: HfTokenizer, questions: int, shots: int) -> dict[str, tuple[EncodedPrompt, ...]]:
    """The first questions of the demo exam, by kind of scoring."""
    exam = next(iter(load_benchmark("demo", []).exams.values()))
    found = {}
    for scoring in Scoring:
        conditions = Conditions(shots, scoring=scoring)
        asked = [fit(exam, one, conditions, reader.count, reader.window, None) for one in exam.questions[:questions]]
        found[str(scoring)] = reader.encode(asked)
    return found


def _group(shop: Workshop) -> Found:
    folder = shop.real_checkpoint("1b")
    one = shop.load(folder, DType.BFLOAT16)
    vocabulary = one.weights.vocab
    asked = prompts(vocabulary, shop.sizes.questions, shop.sizes.shared, shop.sizes.own, text=False)
    reference = asked_of(one.model, scorer_for(one.model, one.tokenizer, shop.device)[0], asked, PLAIN_BUDGET)
    needs = model_memory(one.weights, Quant.NONE, one.dtype, shop.device.kind, Conditions())
    del one
    shop.device.release()
    tight = replace(shop.device, limit_bytes=int(_SPREAD * shop.device.gpus * needs))
    several = load(folder, folder.name, Quant.NONE, DType.BFLOAT16, tight)
    places = sorted({str(place) for place in getattr(several.model.model, "hf_device_map", {}).values()})
    scorer, why = scorer_for(several.model, several.tokenizer, tight)
    apart = off(asked_of(several.model, scorer, asked, PLAIN_BUDGET), reference)
    good = len(places) > 1 and scorer.name != "plain" and apart.largest == 0.0
    words = [f"on {', '.join(places)}", f"{apart} nats apart", why]
    return Found("; ".join(filter(None, words)), good, {"off": apart.largest, "places": len(places)})
