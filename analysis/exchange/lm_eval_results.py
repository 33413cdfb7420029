"""What lm-evaluation-harness says of its own run in `results_DATE.json`, beside the samples files of the same date.

Its format is that of `lm_eval/evaluator.py` and `lm_eval/loggers/evaluation_tracker.py` of release 0.4.13. Older files
say less: what isn't there is not known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proctor.exams.benchmarks.mmlu_prompts import render
from proctor.nouns.exams import Exam, Question, Scoring
from proctor.nouns.models import Quant

# Arguments of a model that are told elsewhere, or change no answer on purpose.
NO_CONDITION = frozenset(
    {
        "pretrained", "dtype", "revision", "load_in_4bit", "load_in_8bit", "quantization", "batch_size",
        "max_batch_size", "device", "device_map", "parallelize", "max_memory_per_gpu", "max_cpu_memory",
        "offload_folder", "trust_remote_code", "use_fast_tokenizer", "logits_cache", "token", "tensor_parallel_size",
        "data_parallel_size", "gpu_memory_utilization", "num_concurrent", "max_retries", "timeout",
    }
)  # fmt: skip
SHOT = {Scoring.LETTERS: re.compile(r"\nAnswer: [A-Z]\n\n"), Scoring.TEXT: re.compile(r"\nAnswer: .*\n\n")}
LARGEST = 64 << 20  # bytes of a results file: those of 57 tasks take less than one million


@dataclass(frozen=True)
class About:
    """What a results file says of one task; None and "" where it doesn't."""

    shots: int | None = None
    chat_template: bool | None = None
    quant: str = ""
    dtype: str = ""
    revision: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)  # the model's others: what else sets two runs apart

    @property
    def identity(self) -> tuple[object, ...]:
        """What two files of a task have in common where the one is a rerun of the other."""
        model = self.quant, self.dtype, self.revision, tuple(sorted(self.arguments.items()))
        return (self.shots, self.chat_template, *model)


class NoResults(ValueError):
    """A results file that can't be read; the message says why."""


def about(path: Path, task: str) -> About:
    """What the results file at `path` says of a task.

    Raises
    ------
    NoResults
        where it is none, or is larger than `LARGEST`.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise NoResults(f"it is larger than {LARGEST >> 20} MiB")
        found = json.loads(path.read_text("utf-8"))
        return _about(found, task)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise NoResults(str(error) or type(error).__name__) from error


def _about(found: dict[str, Any], task: str) -> About:
    config = found.get("config") or {}
    arguments = _arguments(config.get("model_args"))
    return About(
        shots=_shots(found, task),
        chat_template=_chat_template(found, config),
        quant=_quant(arguments),
        dtype=_dtype(str(config.get("model_dtype") or arguments.get("dtype") or "")),
        revision=str(config.get("model_sha") or config.get("model_revision") or arguments.get("revision") or ""),
        arguments={name: value for name, value in arguments.items() if name not in NO_CONDITION},
    )


def _shots(found: dict[str, Any], task: str) -> int | None:
    configured = ((found.get("configs") or {}).get(task) or {}).get("num_fewshot")
    shots = (found.get("n-shot") or {}).get(task, configured)
    return None if shots is None else int(shots)


def _chat_template(found: dict[str, Any], config: dict[str, Any]) -> bool | None:
    """None where it isn't said, or where the template is empty, as for servers that write the prompt themselves."""
    if "apply_chat_template" in config:  # as `proctor export --format lm-eval` says it
        return bool(config["apply_chat_template"])
    if "chat_template" not in found:
        return None
    template = found["chat_template"]
    return False if template is None else True if template else None


def _arguments(said: Any) -> dict[str, str]:
    """`pretrained=org/x,dtype=float32`, or the same as an object."""
    if isinstance(said, str):
        parts = (part.partition("=") for part in said.split(",") if part)
        return {name.strip(): value.strip() for name, _, value in parts}
    return {str(name): str(value) for name, value in dict(said or {}).items()}


def _quant(arguments: Mapping[str, str]) -> str:
    for name, quant in (("load_in_4bit", Quant.FOUR_BIT), ("load_in_8bit", Quant.EIGHT_BIT)):
        if arguments.get(name, "").casefold() in ("true", "1"):
            return quant.value
    named = arguments.get("quantization", "")
    return named if named in set(Quant) else ""


def _dtype(said: str) -> str:
    name = said.removeprefix("torch.")
    return "" if name in ("auto", "None") else name


def shots_in(prompts: Sequence[tuple[str, Question, str]], scoring: Scoring) -> int | None:
    """The examples that prompts of our own layout show, without a chat template (`benchmarks.mmlu_prompts`).

    `prompts` are texts with their question and subject. None where one has another layout, or they differ.
    """
    found = {_shots_in(text, question, subject, scoring) for text, question, subject in prompts}
    return found.pop() if len(found) == 1 else None


def _shots_in(text: str, question: Question, subject: str, scoring: Scoring) -> int | None:
    bare = render(Exam("", subject, (), (), ""), question, 0, scoring=scoring)
    description, _, asked = bare.partition("\n\n")
    if not text.startswith(f"{description}\n\n") or not text.endswith(asked):
        return None
    middle = text[len(description) + 2 : len(text) - len(asked)]
    shots = len(SHOT[scoring].findall(middle))
    return shots if not middle or (shots and middle.endswith("\n\n")) else None
