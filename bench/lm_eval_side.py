"""lm-evaluation-harness, run by a Python of its own: one JSON line asked on stdin, one answered on stdout, until EOF.

    PYTHON bench/lm_eval_side.py MODEL_FOLDER DTYPE TASKS_FOLDER

Asked: `{"task", "shots", "limit", "batch"}`. Answered: `{"seconds", "answers"}`, the seconds of `HFLM.loglikelihood`
alone (tokenizing and forward passes, neither loading nor building requests), and for each `prompt_hash` the
log-probabilities of its options. The first line, unasked, tells the version.
"""

from __future__ import annotations

import json
import os
import sys
import time

from lm_eval import __version__, simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager


class TimedLM(HFLM):  # type: ignore[misc] # lm_eval isn't in the environment that is checked
    """`HFLM` with a clock around what scores."""

    seconds = 0.0

    def loglikelihood(self, requests: list[object], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        began = time.perf_counter()
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm)
        self.seconds = time.perf_counter() - began
        return found


def main(folder: str, dtype: str, tasks: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print is no answer
    model = TimedLM(pretrained=folder, dtype=dtype, device="cpu", batch_size=1)
    manager = TaskManager(include_path=tasks, include_defaults=False)
    print(json.dumps({"version": __version__}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        model.batch_size_per_gpu = asked["batch"]
        found = simple_evaluate(
            model=model,
            tasks=[asked["task"]],
            num_fewshot=asked["shots"],
            limit=asked["limit"],
            bootstrap_iters=0,
            task_manager=manager,
        )
        rows = {
            sample["prompt_hash"]: [float(answer[0][0]) for answer in sample["resps"]]
            for sample in found["samples"][asked["task"]]
        }
        print(json.dumps({"seconds": model.seconds, "answers": rows}), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
