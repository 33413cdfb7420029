"""Benchmarks on a real model: log-probabilities and greediness are those of lm-evaluation-harness's own `hf` model."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from proctor.catalog.demo import DEMO_MODELS, fetch
from proctor.catalog.resolve import resolve
from proctor.errors import BadExam, SeveralFaults
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.tasks.definition import Settings
from proctor.nouns.exams import Conditions, Exam, Scored
from proctor.nouns.models import DType, Quant
from scheduler.plan import conditions_of
from tests import tiny
from tests.models import cache_folder, smollm2
from tests.support import shared_data
from workers.engines.base import Engine, LoadRequest
from workers.models.loading import engine_loader
from workers.run.choosing import OptionScorer
from workers.run.paper import write_paper

pytestmark = [pytest.mark.model, pytest.mark.xdist_group("smollm2")]

ROWS = 8  # of the 40 that were scored for reference
NATS = 1e-4
TASKS = {  # a reference file -> the benchmark, its rows, and its subject
    "arc_easy": ("arc_easy", "arc_easy", ""),
    "blimp_adjunct_island": ("blimp", "blimp", "blimp_adjunct_island"),
    "commonsense_qa": ("commonsense_qa", "commonsense_qa", ""),
    "hellaswag": ("hellaswag", "hellaswag", ""),
    "lambada_openai": ("lambada_openai", "lambada_openai", ""),
    "openbookqa": ("openbookqa", "openbookqa", ""),
    "piqa": ("piqa", "piqa", ""),
    "truthfulqa_mc2": ("truthfulqa_mc2", "truthfulqa_mc", ""),
    "winogrande": ("winogrande", "winogrande", ""),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """SmolLM2 as the reference had it: the file's numbers in float32, where our own folder has them in bfloat16."""
    folder = tmp_path_factory.mktemp("float32")
    file = fetch(DEMO_MODELS[0], cache_folder())
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    for one in smollm2().glob("*.json*"):
        shutil.copy(one, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float32"}))
    weights = {name: value.contiguous() for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return engine_loader(tiny.CPU, cache_folder())(LoadRequest(resolve(str(folder)), Quant.NONE, DType.FLOAT32))


def load(task: str) -> Exam:
    benchmark, folder, subject = TASKS[task]
    own = os.environ.get("LM_EVAL_TASKS")  # the folder of an installed lm_eval
    settings = Settings(shots=0, folder=shared_data(f"benchmarks/{folder}"), tasks=Path(own) if own else None)
    try:
        (exam,) = load_benchmark(benchmark, (subject,) if subject else (), settings).exams.values()
    except (BadExam, SeveralFaults) as fault:
        if "lm_eval" not in str(fault):
            raise
        pytest.skip(str(fault))  # it shows others' texts, and lm_eval's task files aren't at hand
    return exam


@pytest.mark.parametrize("task", TASKS)
def test_log_probabilities_are_those_of_lm_evaluation_harness(engine: Engine, task: str) -> None:
    lines = (shared_data("benchmarks/reference") / f"{task}.0.jsonl").read_text("utf-8").splitlines()
    reference = {row["doc_id"]: row for row in map(json.loads, lines)}
    exam = load(task)
    paper = write_paper(exam, conditions_of(Conditions(limit=ROWS), exam), engine)
    prepared = engine.prepare(paper.prompts)
    compared = 0
    for pack in paper.packs(prepared):
        replies = OptionScorer(engine).answer(prepared, pack)
        for member, ((exchange,)) in zip(pack.members, (row for row in replies.exchanges), strict=True):
            assert isinstance(exchange.reply, Scored)
            theirs = [answer for (answer,) in reference[paper.prompts[member].question.index]["resps"]]
            assert exchange.reply.options_logprob == pytest.approx([value for value, _ in theirs], abs=NATS)
            if exchange.reply.greedy:
                assert list(exchange.reply.greedy) == [greedy for _, greedy in theirs]
            compared += 1
    assert compared == ROWS
