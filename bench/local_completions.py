"""lm-evaluation-harness twice over the same tasks: its own model, and `proctor serve` through its `local-completions`.

    python -m bench.local_completions --lm-eval ../lm-eval/bin/python --folder FOLDER --url http://127.0.0.1:8000

FOLDER is the model that the server was started with (`proctor serve -m FOLDER`), as lm-eval loads it itself. The tasks
are made of the exam `demo`: letters, options by their own text, a short text to be written, a whole text's perplexity.
Said are the largest difference of a log-probability, how many are greedy on one side alone, how many written texts
differ, and the seconds of each way. lm-eval's Python needs `lm-eval[hf,api]==0.4.13`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

DATA = Path(__file__).resolve().parent.parent / "proctor" / "exams" / "data" / "demo"
LETTERS = "{{question}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"
PLAIN = "Question: {{question}}\nAnswer:"
ACC = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
TASKS: Mapping[str, Mapping[str, Any]] = {
    "letters": {
        "output_type": "multiple_choice",
        "doc_to_text": LETTERS,
        "doc_to_choice": ["A", "B", "C", "D"],
        "doc_to_target": "answer",
        "metric_list": ACC,
    },
    "text": {
        "output_type": "multiple_choice",
        "doc_to_text": PLAIN,
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": ACC,
    },
    "written": {
        "output_type": "generate_until",
        "doc_to_text": PLAIN,
        "doc_to_target": "{{choices[answer]}}",
        "generation_kwargs": {"until": ["\n", "Question:"], "max_gen_toks": 16, "do_sample": False},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    },
    "rolling": {
        "output_type": "loglikelihood_rolling",
        "doc_to_text": "",
        "doc_to_target": "{{question}} {{choices[0]}}, {{choices[1]}}, {{choices[2]}}, {{choices[3]}}.",
        "metric_list": [
            {"metric": "bits_per_byte", "aggregation": "bits_per_byte", "higher_is_better": False},
        ],
    },
}


@dataclass(frozen=True)
class Examined:
    """What one way gave: each task's answers by document, and the seconds of the whole program."""

    answers: Mapping[str, Sequence[Any]]
    seconds: float


def write_tasks(folder: Path, subject: str) -> None:
    """A task file a kind of request, over the exam's own files."""
    for name, task in TASKS.items():
        files = {split: str(DATA / split / f"{subject}.jsonl") for split in ("test", "dev")}
        whole = {
            "task": f"demo_{name}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": files},
            "test_split": "test",
            "fewshot_split": "dev",
            "fewshot_config": {"sampler": "first_n"},
            **task,
        }
        (folder / f"demo_{name}.yaml").write_text(yaml.safe_dump(whole))


@dataclass(frozen=True)
class Plan:
    """How lm-eval asks: shots of a question, and how many questions of each task."""

    shots: int
    limit: int


def examine(python: Path, tasks: Path, plan: Plan, model: Sequence[str]) -> Examined:
    """lm-eval's own command with this model, as a person runs it; what it logged of each request."""
    with TemporaryDirectory() as out:
        words = [
            *("-m", "lm_eval", "run", *model, "--include_path", str(tasks)),
            *("--tasks", ",".join(f"demo_{name}" for name in TASKS), "--num_fewshot", str(plan.shots)),
            *("--limit", str(plan.limit), "--output_path", out, "--log_samples"),
        ]
        environ = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OPENAI_API_KEY": "none"}
        began = time.perf_counter()
        subprocess.run([str(python), *words], env=environ, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        answers = {name: _logged(Path(out), f"samples_demo_{name}_") for name in TASKS}
    return Examined(answers, seconds)


def _logged(folder: Path, beginning: str) -> list[Any]:
    (path,) = folder.rglob(f"{beginning}*.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row["filtered_resps"] for row in sorted(rows, key=lambda row: row["doc_id"])]


def compare(ours: Examined, theirs: Examined) -> str:
    """A table of the four kinds of request."""
    lines = ["| requests | compared | largest difference | greedy on one side alone |", "| --- | --- | --- | --- |"]
    for name in ("letters", "text"):
        pairs = [
            (one, other)
            for mine, its in zip(ours.answers[name], theirs.answers[name], strict=True)
            for one, other in zip(mine, its, strict=True)
        ]
        largest = max(abs(float(one[0]) - float(other[0])) for one, other in pairs)
        unlike = sum(str(one[1]) != str(other[1]) for one, other in pairs)
        lines.append(f"| loglikelihood, {name} | {len(pairs)} | {largest:.1e} | {unlike} |")
    rolled = list(zip(ours.answers["rolling"], theirs.answers["rolling"], strict=True))
    largest = max(abs(float(one[0]) - float(other[0])) for one, other in rolled)
    lines.append(f"| loglikelihood_rolling | {len(rolled)} | {largest:.1e} | |")
    written = list(zip(ours.answers["written"], theirs.answers["written"], strict=True))
    unlike = sum(one != other for one, other in written)
    lines.append(f"| generate_until | {len(written)} | {unlike} texts differ | |")
    lines.append(f"\n{ours.seconds:.0f} s over HTTP, {theirs.seconds:.0f} s with `hf`, each program's start included.")
    return "\n".join(lines)


def main() -> None:
    """Run both, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lm-eval", type=Path, required=True, help="the Python that lm-eval is installed for")
    parser.add_argument("--folder", type=Path, required=True, help="the model's folder, as the server was given it")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--subject", default="everyday_science")
    parser.add_argument("--shots", type=int, default=2)
    parser.add_argument("--limit", type=int, default=40, help="questions of each task")
    parser.add_argument("--dtype", default="float32", help="of lm-eval's own model")
    asked = parser.parse_args()
    local = (
        f"model={asked.folder},base_url={asked.url}/v1/completions,tokenizer={asked.folder},"
        "tokenizer_backend=huggingface,num_concurrent=4"
    )
    own = f"pretrained={asked.folder},dtype={asked.dtype}"
    ways = (
        ("--model", "local-completions", "--model_args", local),
        ("--model", "hf", "--device", "cpu", "--model_args", own),
    )
    with TemporaryDirectory() as tasks:
        write_tasks(Path(tasks), asked.subject)
        plan = Plan(asked.shots, asked.limit)
        ours, theirs = (examine(asked.lm_eval, Path(tasks), plan, way) for way in ways)
    print(compare(ours, theirs))


if __name__ == "__main__":
    main()
