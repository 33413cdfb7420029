"""Results as lm-evaluation-harness writes them with `--log_samples`: one line a question, one file a task and model."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from analysis.data.files import lines_of
from analysis.data.panel_rows import Row, Sheet, check_size
from analysis.data.terms import UNKNOWN, Terms
from analysis.exchange.lm_eval_results import About, NoResults, about, shots_in
from proctor.contestants import Contestant
from proctor.errors import BadInput
from proctor.exams.marking.choice import best_of
from proctor.exams.reading.identity import prompt_hash
from proctor.nouns.exams import LETTERS, Question, Scoring
from proctor.nouns.models import Quant

FILE_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<date>\d{4}-\d{2}-\d{2}T[^/]*?)\.jsonl(?:\.gz)?")
HASH = re.compile(r"[0-9a-f]{64}")
BENCHMARK = "lm-evaluation-harness"
LONGEST_CAUSE = 200  # letters of what was wrong with a line


@dataclass(frozen=True)
class Sample:
    """One line of a samples file: what was asked and answered, and how it was scored."""

    row: Row
    scoring: Scoring | None  # None: not said


@dataclass(frozen=True)
class SamplesFile:
    """One task of one model."""

    path: Path
    task: str
    date: str  # as its name has it, else when it was changed; sorts by time
    about: About
    samples: tuple[Sample, ...]

    @property
    def contestant(self) -> Contestant:
        return self.samples[0].row.contestant

    @property
    def terms(self) -> Terms:
        """How its questions were put, as far as that is known."""
        scoring = self.samples[0].scoring
        said = UNKNOWN if scoring is None else scoring.value
        return Terms(BENCHMARK, UNKNOWN, self.about.shots, self.about.chat_template, said)

    @property
    def sheet(self) -> Sheet:
        return Sheet(self.contestant, self.terms, self.path.name, tuple(sample.row for sample in self.samples))


@dataclass(frozen=True)
class Harvest:
    """The files that count, in the order in which they were named, and in words what was passed over or not read."""

    files: tuple[SamplesFile, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A samples file before its lines are read."""

    path: Path
    task: str
    date: str
    about: About
    contestant: Contestant


def read_samples(paths: Sequence[Path], model: str | None = None) -> Harvest:
    """The samples of these files, and of every `samples_*.jsonl` (or `.jsonl.gz`) below those that are folders.

    Each line needs `doc` with question, choices and answer, and the log-probability of each option in
    `filtered_resps` (or `resps`). What scores highest was picked; of a tie, none. How the questions were put is read
    from `results_DATE.json` beside them, else from the prompts. The model is `model`, else the folder in which a file
    lies, with more of its path where folders have the same name. Of several files of one model, task and conditions
    the newest counts, by the date in their names, else by when they were changed.

    Raises
    ------
    BadInput
        for a line that isn't such a sample, with its number, and where there is none at all.
    """
    found, notes = found_in(paths, model)
    read = list(_within_limit(map(_read, found)))
    if not any(file.samples for file in read):
        raise BadInput(
            f"{', '.join(map(str, paths))} holds no sample.",
            "Name samples_*.jsonl files that lm-evaluation-harness wrote with --log_samples, or their folder.",
        )
    return Harvest(tuple(file for file in read if file.samples), notes)


def found_in(paths: Sequence[Path], model: str | None = None) -> tuple[list[Found], tuple[str, ...]]:
    """The samples files that count, before their lines are read, and in words the others; see `read_samples`."""
    files = list(dict.fromkeys(path.resolve() for path in _expanded(paths)))
    notes: list[str] = []
    found, passed_over = _newest(_named([_look(path, notes) for path in files], model))
    return found, (*dict.fromkeys(notes), *passed_over)


def _within_limit(files: Iterator[SamplesFile]) -> Iterator[SamplesFile]:
    answers = 0
    for file in files:
        answers += len(file.samples)
        check_size(answers)
        yield file


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted([*path.rglob("samples_*.jsonl"), *path.rglob("samples_*.jsonl.gz")])
        else:
            yield path


def _look(path: Path, notes: list[str]) -> Found:
    named = FILE_NAME.fullmatch(path.name)
    task = named["task"] if named else path.name.removesuffix(".gz").removesuffix(".jsonl")
    if named:
        date, said = named["date"], _about(path, named["date"], task, notes)
    else:
        changed = path.stat().st_mtime if path.exists() else 0.0
        date, said = datetime.fromtimestamp(changed).isoformat().replace(":", "-"), About()  # noqa: DTZ006 -- as theirs
    who = Contestant(str(path.parent), said.revision, said.quant or Quant.NONE.value, dtype=said.dtype)
    return Found(path, task, date, said, who)


def _about(path: Path, date: str, task: str, notes: list[str]) -> About:
    """What the results file of the same date says; nothing where there is none."""
    for results in sorted(path.parent.glob(f"*_{date}.json")):
        try:
            return about(results, task)
        except NoResults as error:
            notes.append(f"{results.name} can't be read ({error}): shots, chat template and model are not known")
    return About()


def _named(files: Sequence[Found], model: str | None) -> list[Found]:
    """The files with the names of their contestants: the model's, and what sets those of one name apart."""
    names = _short({file.path.parent for file in files})
    # Our own export names a folder by the model, and by its quantization where there is one.
    own = [
        replace(file.contestant, model=model or names[file.path.parent].removesuffix(f"__{file.contestant.quant}"))
        for file in files
    ]
    arguments: dict[Contestant, list[About]] = defaultdict(list)
    for file, who in zip(files, own, strict=True):
        arguments[who].append(file.about)
    return [
        replace(file, contestant=replace(who, model=f"{who.model}{_apart(file.about, arguments[who])}"))
        for file, who in zip(files, own, strict=True)
    ]


def _short(folders: set[Path]) -> dict[Path, str]:
    """The last part of each folder, and more of the path where several end alike."""
    names = {}
    for folder in folders:
        size = 1
        while size < len(folder.parts) and any(
            other != folder and other.parts[-size:] == folder.parts[-size:] for other in folders
        ):
            size += 1
        names[folder] = "/".join(folder.parts[-size:])
    return names


def _apart(one: About, others: Sequence[About]) -> str:
    """The arguments of a model in which it differs from others of its name, ` (peft=x)`; "" where there is none."""
    differing = [
        f"{name}={value}"
        for name, value in sorted(one.arguments.items())
        if any(other.arguments.get(name) != value for other in others)
    ]
    return f" ({', '.join(differing)})" if differing else ""


def _newest(files: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Of each model, task and set of conditions the newest file, and in words the others."""
    newest: dict[object, Found] = {}
    for file in files:
        held = newest.setdefault(_rerun_of(file), file)
        if file.date > held.date:
            newest[_rerun_of(file)] = file
    notes = [
        f"{file.path.name} of {file.contestant.model} is passed over: {kept.path.name} is newer"
        if file.date < kept.date
        else f"{file.path.name} of {file.contestant.model} is passed over: {kept.path} is of the same date"
        for file in files
        if (kept := newest[_rerun_of(file)]) is not file
    ]
    return [file for file in files if newest[_rerun_of(file)] is file], notes


def _rerun_of(file: Found) -> tuple[object, ...]:
    return file.contestant, file.task, file.about.identity


def _read(file: Found) -> SamplesFile:
    subject = file.task.removeprefix("mmlu_").removesuffix("_continuation")
    lines: list[_Line] = []
    for number, text in enumerate(lines_of(file.path), start=1):
        if not text.strip():
            continue
        try:
            lines.append(_line(json.loads(text), subject, file.contestant))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise BadInput(
                f"{file.path}, line {number} is no multiple-choice sample: {type(error).__name__} {_cut(error)}.",
                "Wanted: doc with question, choices and answer, and filtered_resps with a log-probability an option.",
            ) from error
    scoring = _scoring(file.path, lines)
    known = file.about
    if known.shots is None and not known.chat_template and scoring is not None:
        shots = _shots(lines, scoring)
        known = known if shots is None else replace(known, shots=shots, chat_template=False)
    samples = tuple(Sample(line.row, scoring) for line in lines)
    return SamplesFile(file.path, file.task, file.date, known, samples)


@dataclass(frozen=True)
class _Line:
    row: Row
    prompt: str  # "" where it isn't kept
    scored: tuple[str, ...]  # the continuations, without white space; empty where they aren't kept


def _line(sample: dict[str, Any], subject: str, contestant: Contestant) -> _Line:
    doc = sample["doc"]
    choices = tuple(str(choice) for choice in doc["choices"])
    scores = tuple(_score(response) for response in sample.get("filtered_resps") or sample["resps"])
    if len(scores) != len(choices):
        raise ValueError(f"{len(scores)} scores for {len(choices)} choices")
    key = _key(doc["answer"], len(choices))
    asked = _arguments(sample)
    prompt = asked[0][0] if asked else ""
    said = str(sample.get("prompt_hash") or "")
    known = said if HASH.fullmatch(said) else prompt_hash(prompt) if prompt else ""
    row = Row(
        contestant, str(doc.get("subject") or subject), int(sample["doc_id"]), str(doc["question"]), choices, key,
        best_of(scores), scores, known,
    )  # fmt: skip
    return _Line(row, prompt, tuple(continuation.strip() for _, continuation in asked))


def _scoring(path: Path, lines: Sequence[_Line]) -> Scoring | None:
    """How a file's options were scored; None where no line keeps what was scored."""
    found = set()
    for line in lines:
        letters = line.scored == tuple(LETTERS[: len(line.scored)])
        texts = line.scored == tuple(choice.strip() for choice in line.row.choices)
        if line.scored and letters != texts:  # where the options are the letters themselves, other lines tell
            found.add(Scoring.LETTERS if letters else Scoring.TEXT)
    if len(found) > 1:
        raise BadInput(
            f"{path} holds samples that were scored by the options' letters and some by their text.",
            "Take the files as lm-evaluation-harness wrote them: one for each task.",
        )
    if not found and any(line.scored == tuple(LETTERS[: len(line.scored)]) for line in lines if line.scored):
        return Scoring.LETTERS
    return found.pop() if found else None


def _shots(lines: Sequence[_Line], scoring: Scoring) -> int | None:
    """The examples that the prompts show, where they are kept and of our layout."""
    kept = [
        (line.prompt, Question("", row.question_index, row.question, row.choices, row.answer), row.subject)
        for line in lines
        if line.prompt and 2 <= len(line.row.choices) <= len(LETTERS)
        for row in (line.row,)
    ]
    return shots_in(kept, scoring)


def _cut(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= LONGEST_CAUSE else f"{text[:LONGEST_CAUSE]}…"


def _key(answer: object, choices: int) -> int:
    """The right option's place: an index that counts from 0, or a letter."""
    text = str(int(answer) if isinstance(answer, float) and answer.is_integer() else answer).strip().upper()
    key = int(text) if text.isdecimal() else next((n for n, letter in enumerate(LETTERS) if letter == text), -1)
    if not 0 <= key < choices:
        raise ValueError(f"the answer {answer!r} is none of {choices} choices")
    return key


def _arguments(sample: dict[str, Any]) -> list[tuple[str, str]]:
    """Prompt and continuation of each request: objects in today's files, lists in older ones."""
    asked = sample.get("arguments") or []
    each = asked.values() if isinstance(asked, dict) else asked
    return [(one["arg_0"], one["arg_1"]) if isinstance(one, dict) else (one[0], one[1]) for one in each]


def _score(response: Any) -> float:
    """The log-probability in `[-1.2, false]`, `["-1.2", "False"]`, or either inside a list of one."""
    while isinstance(response[0], list):
        response = response[0]
    score = float(response[0])
    if math.isnan(score) or score == math.inf:
        raise ValueError(f"{score} is no log-probability")
    return score
