"""lm-evaluation-harness beside us: a process of its own, in an environment of its own, that scores when it is asked."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

HOW_TO = (
    'Make one with: python -m venv ../lm-eval && ../lm-eval/bin/pip install "lm-eval[hf]==0.4.13" '
    '"torch>=2.13,<2.14" "transformers==5.24.0", and say --lm-eval ../lm-eval/bin/python'
)
_SIDE = Path(__file__).with_name("lm_eval_side.py")
# The task `mmlu` (default template, version 1.0) as lm-eval 0.4.13 has it, over local files.
_TASK = {
    "dataset_path": "json",
    "test_split": "test",
    "fewshot_split": "dev",
    "fewshot_config": {"sampler": "first_n"},
    "output_type": "multiple_choice",
    "doc_to_text": (
        "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nD. {{choices[3]}}\nAnswer:"
    ),
    "doc_to_choice": ["A", "B", "C", "D"],
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": 1.0},
}


@dataclass(frozen=True)
class Scored:
    """What one subject took, and the log-probabilities of its options by `prompt_hash`."""

    seconds: float
    answers: Mapping[str, tuple[float, ...]]


class Harness:
    """A running lm-evaluation-harness with its model loaded. Made by `harness`."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log
        self.version: str = json.loads(self._line())["version"]

    def score(self, subject: str, shots: int, limit: int, batch: int) -> Scored:
        """Have it score the first `limit` questions of a subject."""
        assert self._process.stdin is not None
        asked = {"task": _name(subject), "shots": shots, "limit": limit, "batch": batch}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._line())
        return Scored(found["seconds"], {key: tuple(row) for key, row in found["answers"].items()})

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._log.read_text()}\nlm-eval ended with exit code {self._process.wait()}.")
        return line


@contextmanager
def harness(python: Path, folder: Path, dtype: str, benchmark: Path, subjects: list[str]) -> Iterator[Harness]:
    """lm-eval's `hf` with the model of `folder`, on all cores, until the block ends."""
    with TemporaryDirectory() as tasks:
        for subject in subjects:
            files = {split: str((benchmark / split / f"{subject}.jsonl").resolve()) for split in ("test", "dev")}
            about = f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"
            task = {**_TASK, "task": _name(subject), "dataset_kwargs": {"data_files": files}, "description": about}
            (Path(tasks) / f"{subject}.yaml").write_text(yaml.safe_dump(task))
        command, log = [str(python), "-P", str(_SIDE), str(folder), dtype, tasks], Path(tasks) / "said.txt"
        environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
        pipe = subprocess.PIPE
        with (
            log.open("w") as said,
            subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=said, text=True, env=environ) as process,
        ):
            try:
                yield Harness(process, log)
            finally:
                assert process.stdin is not None
                process.stdin.close()


def _name(subject: str) -> str:
    return f"bench_{subject}"
