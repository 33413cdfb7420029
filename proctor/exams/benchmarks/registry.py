"""Which benchmarks there are: by name, by path, and by the version of their prompts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from proctor.errors import BadInput, UnknownName
from proctor.exams.benchmarks.arc import ARC_CHALLENGE, ARC_EASY
from proctor.exams.benchmarks.base import Benchmark, ExamSet
from proctor.exams.benchmarks.bbh import BBH
from proctor.exams.benchmarks.blimp import BLIMP
from proctor.exams.benchmarks.boolq import BOOLQ
from proctor.exams.benchmarks.commonsense_qa import COMMONSENSE_QA
from proctor.exams.benchmarks.gsm8k import GSM8K, GSM8K_COT
from proctor.exams.benchmarks.hellaswag import HELLASWAG
from proctor.exams.benchmarks.humaneval import HUMANEVAL, HUMANEVAL_INSTRUCT
from proctor.exams.benchmarks.ifeval import IFEVAL
from proctor.exams.benchmarks.lambada import LAMBADA_OPENAI
from proctor.exams.benchmarks.mbpp import MBPP, MBPP_INSTRUCT
from proctor.exams.benchmarks.mgsm import MGSM, MGSM_EN_COT
from proctor.exams.benchmarks.minerva_math import MINERVA_MATH
from proctor.exams.benchmarks.mmlu import MMLU
from proctor.exams.benchmarks.mmlu_generative import MMLU_GENERATIVE
from proctor.exams.benchmarks.mmlu_pro import MMLU_PRO
from proctor.exams.benchmarks.mt_bench import MT_BENCH
from proctor.exams.benchmarks.nq_open import NQ_OPEN
from proctor.exams.benchmarks.openbookqa import OPENBOOKQA
from proctor.exams.benchmarks.own_files import DEMO, own_files
from proctor.exams.benchmarks.own_open import WAY, own_open
from proctor.exams.benchmarks.own_written import DEMO_WORDS, own_written
from proctor.exams.benchmarks.piqa import PIQA
from proctor.exams.benchmarks.social_iqa import SOCIAL_IQA
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark
from proctor.exams.benchmarks.truthfulqa import TRUTHFULQA_GEN, TRUTHFULQA_MC1, TRUTHFULQA_MC2
from proctor.exams.benchmarks.wikitext import WIKITEXT
from proctor.exams.benchmarks.winogrande import WINOGRANDE
from proctor.exams.judges.asking import JUDGE
from proctor.exams.tasks.definition import Settings

BUILT_IN: tuple[Benchmark, ...] = (
    DEMO,
    DEMO_WORDS,
    MMLU,
    ARC_CHALLENGE,
    ARC_EASY,
    BBH,
    BLIMP,
    BOOLQ,
    COMMONSENSE_QA,
    GSM8K,
    GSM8K_COT,
    HELLASWAG,
    HUMANEVAL,
    HUMANEVAL_INSTRUCT,
    IFEVAL,
    LAMBADA_OPENAI,
    MBPP,
    MBPP_INSTRUCT,
    MGSM,
    MGSM_EN_COT,
    MINERVA_MATH,
    MMLU_GENERATIVE,
    MMLU_PRO,
    MT_BENCH,
    NQ_OPEN,
    OPENBOOKQA,
    PIQA,
    SOCIAL_IQA,
    TRUTHFULQA_GEN,
    TRUTHFULQA_MC1,
    TRUTHFULQA_MC2,
    WIKITEXT,
    WINOGRANDE,
)
NAMES = tuple(one.name for one in BUILT_IN)
DEFAULT = Settings()


def load_benchmark(name_or_path: str, subjects: Sequence[str] = (), settings: Settings = DEFAULT) -> ExamSet:
    """The exams of the benchmark of this name, or of the one in a file or folder; `./mmlu` is always a path.

    `subjects` are those wanted, as `proctor.exams.reading.subjects.select` takes them: names, groups, none for all.
    `settings` are for exams in a form: shots, seed, where rows lie, and how written answers to own files are judged.

    Raises
    ------
    BadExam
        for what can't be read as questions, `SeveralFaults` for several faults: all of them, up to 20 kinds.
    UnknownName
        for an unknown benchmark or subject.
    """
    own = _existing(name_or_path) if settings.judge else None
    if own is not None and own.suffix != ".yaml":
        benchmark: Benchmark = own_open(own) if settings.judge == WAY else own_written(own, settings.judge)
    else:
        benchmark = find(name_or_path, settings.tasks)
    return (benchmark.settled(settings) if isinstance(benchmark, TaskBenchmark) else benchmark).load(subjects)


def check_judged(names: Sequence[str], judge: str) -> None:
    """Raise `BadInput` for a way of judging where none of these benchmarks is a file or folder of questions."""
    if judge and not any((own := _existing(name)) is not None and own.suffix != ".yaml" for name in names):
        raise BadInput(
            f"--judge {judge} is for questions of yours, and {', '.join(names)} is no file or folder of questions.",
            "Leave --judge away: a benchmark, or a task file, says itself how it is judged. Or name yours: -b FILE.",
        )


_ENDINGS = (".csv", ".jsonl", ".json", ".parquet", ".yaml")  # of names that can only be meant as files


def find(name_or_path: str, tasks: Path | None = None) -> Benchmark:
    """The benchmark of this name, or the one in a file or folder: of questions, or a task file (`.yaml`).

    With a folder of `tasks`, the name of a task, group or tag in it goes before one of ours.

    Raises
    ------
    UnknownName
        for a name that isn't known.
    BadExam
        for task files that can't be read.
    """
    path = _existing(name_or_path)
    if tasks is not None or (path is not None and path.suffix == ".yaml"):
        from proctor.exams.benchmarks.from_task_files import in_folder, of_file  # here: they bring Jinja and YAML

        if path is not None and path.suffix == ".yaml":
            return of_file(path, tasks)
        if tasks is not None and (found := in_folder(name_or_path, tasks)):
            return found
    for benchmark in BUILT_IN:
        if benchmark.name == name_or_path:
            return benchmark
    if path is None and ("/" in name_or_path or Path(name_or_path).suffix in _ENDINGS):
        raise UnknownName("file or folder of questions", name_or_path, [], f"It is not there, seen from {Path.cwd()}.")
    if path is None:
        raise UnknownName(
            "benchmark",
            name_or_path,
            difflib.get_close_matches(name_or_path, NAMES),
            f"There are {', '.join(NAMES)}; or give the path of a file or folder of questions, or of a task file.",
        )
    return own_files(path)


def of_version(version: str) -> Benchmark:
    """A benchmark that puts and marks questions as this version says: all that a Run needs, its rows are stored.

    Benchmarks of one version differ in their rows alone: MMLU stands for files of one's own too. Raises `BadInput` for
    a version that isn't of this release.
    """
    for benchmark in (*BUILT_IN, JUDGE):
        if benchmark.version == version:
            return benchmark
    made = ", ".join(repr(one) for one in sorted({one.version for one in (*BUILT_IN, JUDGE)}))
    raise BadInput(
        f"Prompt version {version!r} isn't made by this release, which makes {made}.",
        "Use the release that the sweep was submitted with.",
    )


def _existing(path: str) -> Path | None:
    try:
        resolved = Path(path).expanduser().resolve()
        return resolved if path and resolved.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, ~nobody, a NUL: no path at all
        return None
