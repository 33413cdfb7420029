"""From the keys of a task file to a Task. A key that isn't known is refused by name, unless it is without effect."""

from __future__ import annotations

from proctor.errors import BadExam
from proctor.exams.judging.marking import check
from proctor.exams.reading.problems import shown
from proctor.exams.tasks.definition import Asking, Prepare, Row, Rows, Shown, Task
from proctor.exams.tasks.form import Kind
from proctor.exams.tasks.forming import form_of
from proctor.exams.tasks.keys import Keys
from proctor.exams.tasks.keys_of_judging import read_judging
from proctor.exams.tasks.literals import literals_of
from proctor.exams.tasks.task_files import Config, Reference
from proctor.exams.tasks.templates import read_template

KINDS = {
    "multiple_choice": Kind.CHOOSE,
    "generate_until": Kind.WRITE,
    "loglikelihood": Kind.LOGLIKELIHOOD,
    "loglikelihood_rolling": Kind.ROLLING,
}
REFUSED = {
    "class": "it is a Python class",
    "custom_dataset": "its rows are made by Python",
    "doc_to_image": "it shows images",
    "doc_to_audio": "it plays sounds",
    "use_prompt": "its prompt is in another library",
}
WITHOUT_EFFECT = (
    "task_alias",
    "tag",
    "group",
    "group_alias",
    "task_list",
    "should_decontaminate",
    "doc_to_decontamination_query",
)
KNOWN = frozenset(
    [
        *REFUSED,
        *WITHOUT_EFFECT,
        "task",
        "dataset_path",
        "dataset_name",
        "dataset_kwargs",
        "training_split",
        "validation_split",
        "test_split",
        "fewshot_split",
        "process_docs",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "gen_prefix",
        "description",
        "target_delimiter",
        "fewshot_delimiter",
        "fewshot_config",
        "num_fewshot",
        "output_type",
        "generation_kwargs",
        "repeats",
        "filter_list",
        "metric_list",
        "process_results",
        "unsafe_code",
        "metadata",
    ]
)
SHOWN_KEYS = frozenset(
    [
        "sampler",
        "split",
        "process_docs",
        "samples",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "gen_prefix",
        "target_delimiter",
        "fewshot_delimiter",
    ]
)


def task_of(config: Config, *, release: str = "", sha256: str = "") -> Task:
    """The task that these keys describe.

    Raises
    ------
    BadExam
        for a key or value that isn't known, a filter or metric that this release hasn't, and functions that no piece of
        ours stands for: all of them, by name.
    """
    keys = Keys(config)
    for key, why in REFUSED.items():
        if config.get(key) is not None:
            raise BadExam(f"{keys.name!r} can't be read: {why} ({key}).", "Take another task.")
    if unknown := sorted(set(config) - KNOWN):
        raise BadExam(f"{keys.name!r} has keys that aren't known: {', '.join(unknown)}.", "Leave them out.")
    kind = KINDS.get(keys.text("output_type", "generate_until"))
    if kind is None:
        raise keys.bad("output_type", f"one of {', '.join(KINDS)} is needed")
    task = Task(
        keys.name,
        kind,
        _rows(keys),
        _asking(keys),
        read_judging(keys, kind),
        str(keys.config["metadata"]["version"]) if "version" in keys.mapping("metadata") else "",
        release,
        sha256,
        keys.flag("unsafe_code"),
    )
    keys.raise_missing()
    try:
        check(form_of(task, ""))
    except BadExam as fault:
        raise BadExam(f"{task.name!r} can't be judged: {fault.problem}", fault.next_step) from fault
    return task


def _rows(keys: Keys) -> Rows:
    own = keys.mapping("fewshot_config")
    split = own.get("split")
    arguments = {key: value for key, value in keys.mapping("dataset_kwargs").items() if key != "trust_remote_code"}
    if any(isinstance(value, Reference) for value in arguments.values()):
        raise keys.bad("dataset_kwargs", "a data set whose columns are made by Python isn't read")
    return Rows(
        keys.text("dataset_path"),
        keys.text("dataset_name"),
        str(arguments.pop("revision", None) or ""),
        keys.text("training_split"),
        keys.text("validation_split"),
        keys.text("test_split"),
        split if isinstance(split, str) else keys.text("fewshot_split"),
        _samples(keys, own.get("samples")),
        arguments,
        _prepare(keys, "process_docs", keys.config.get("process_docs")),
        _prepare(keys, "fewshot_config.process_docs", own.get("process_docs")),
    )


def _samples(keys: Keys, samples: object) -> tuple[Row, ...] | None:
    if isinstance(samples, Reference):
        known = keys.piece("fewshot_config.samples", samples, lambda piece: piece.samples)
        samples = literals_of(samples) if known else None
    if samples is None:
        return None
    if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
        raise keys.bad("fewshot_config", "a list of rows is needed as samples")
    return tuple(samples)


def _prepare(keys: Keys, key: str, value: object) -> Prepare | None:
    return None if value is None else keys.piece(key, value, lambda piece: piece.prepare)


def _asking(keys: Keys) -> Asking:
    config, own = keys.config, keys.mapping("fewshot_config")
    if unknown := sorted(set(own) - SHOWN_KEYS):
        raise BadExam(f"{keys.name!r} has keys in fewshot_config that aren't known: {', '.join(unknown)}.")
    sampler = own.get("sampler") or "default"
    if sampler not in ("default", "first_n"):
        raise BadExam(f"{keys.name!r} draws examples by {shown(sampler)}; default and first_n are known.")
    delimiters = [_delimiter(keys, own.get(key)) for key in ("target_delimiter", "fewshot_delimiter")]
    names = {"text": "doc_to_text", "target": "doc_to_target", "choices": "doc_to_choice", "opening": "gen_prefix"}
    fields = {name: keys.field(key, config.get(key)) for name, key in names.items()}
    text, target, choices, opening = [keys.field(f"fewshot_config.{key}", own.get(key)) for key in names.values()]
    description = keys.text("description")
    read_template(description, f"description of {keys.name!r}")
    return Asking(
        fields["text"],
        fields["target"],
        fields["choices"],
        fields["opening"],
        description,
        keys.text("target_delimiter", " "),
        keys.text("fewshot_delimiter", "\n\n"),
        Shown(text, target, choices, opening, *delimiters),
        sampler == "first_n",
        keys.count("num_fewshot"),
        keys.mapping("generation_kwargs") or None,
    )


def _delimiter(keys: Keys, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise keys.bad("fewshot_config", "texts are needed as delimiters")
