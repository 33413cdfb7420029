"""Samples of lm-evaluation-harness of every kind, as 0.4.13 writes them: a line a question and filter.

Nothing is read out of `doc`, which each task has in columns of its own: a question is known by its place (`doc_id`) and
by the hash of its prompt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.data.files import lines_of
from analysis.data.panel_rows import NO_KEY, Row, Sheet
from analysis.data.terms import UNKNOWN, Terms
from analysis.exchange.lm_eval_samples import HASH, Found
from proctor.errors import BadInput
from proctor.exams.marking.choice import best_of
from proctor.exams.reading.identity import prompt_hash
from proctor.nouns.exams import Scoring

USUAL = ("question", "query", "text", "problem", "prompt", "goal", "sentence", "input", "question_stem", "ctx")
PAGES = {"word_perplexity", "byte_perplexity", "bits_per_byte"}  # of which a sample has one number a question
INVALID = "[invalid]"  # what a filter that found nothing gives
MOST = 2_000_000  # lines of one verification


@dataclass
class Line:
    """What lm-evaluation-harness has of one question: log-probabilities, or replies and what filters made of them."""

    task: str
    doc_id: int
    prompt_hash: str
    scores: tuple[float, ...] = ()
    greedy: tuple[bool | None, ...] = ()
    replies: tuple[str, ...] = ()
    extracted: dict[str, str] = field(default_factory=dict)  # by filter
    judged: dict[tuple[str, str], float] = field(default_factory=dict)  # by filter and metric
    flags: dict[tuple[str, str], tuple[bool, ...]] = field(default_factory=dict)  # likewise, of metrics with several
    question: str = ""  # as its data set has it where a column of the usual names does, else the prompt
    choices: tuple[str, ...] = ()  # what was scored; contexts where the same was scored behind each
    target: str = ""


@dataclass(frozen=True)
class LinesFile:
    """One task of one model."""

    found: Found
    lines: tuple[Line, ...]


def is_mmlu(path: Path) -> bool:
    """Whether a file's lines have the columns of MMLU, in which its samples are compared question by question."""
    first = next((text for text in lines_of(path) if text.strip()), "{}")
    try:
        doc = json.loads(first)["doc"]
        return {"question", "choices", "answer"} <= set(doc) and isinstance(doc["choices"], list)
    except (ValueError, TypeError, KeyError, RecursionError):
        return True  # whoever reads it so says what is wrong with it


def read_lines(found: Found) -> LinesFile:
    """The lines of a file, those of one question together.

    Raises
    ------
    BadInput
        for a line that is no sample, with its number.
    """
    by_id: dict[int, Line] = {}
    for number, text in enumerate(lines_of(found.path), start=1):
        if not text.strip():
            continue
        try:
            _take(by_id, json.loads(text), found.task)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise BadInput(
                f"{found.path}, line {number} is no sample: {type(error).__name__} {str(error)[:200]}.",
                "Take files that lm-evaluation-harness wrote with --log_samples.",
            ) from error
        if len(by_id) > MOST:
            raise BadInput(f"{found.path} has more than {MOST:,} questions.", "Verify a part of them at a time.")
    return LinesFile(found, tuple(by_id.values()))


def _take(by_id: dict[int, Line], sample: Mapping[str, Any], task: str) -> None:
    doc_id = int(sample["doc_id"])
    line = by_id.get(doc_id)
    if line is None:
        line = by_id[doc_id] = Line(task, doc_id, _prompt(sample))
        asked = arguments_of(sample)
        line.question, line.target = _question(sample["doc"], asked), str(sample.get("target", ""))
        line.choices = _choices(asked) if len(asked) > 1 else ()
        replies = [one for of_request in sample["resps"] for one in of_request]
        if PAGES & set(sample.get("metrics") or ()):
            line.scores = (float(_text(replies[0])),)
        elif _is_text(replies[0]):
            line.replies = tuple(_text(one) for one in replies)
        else:
            line.scores = tuple(float(score) for score, _ in replies)
            line.greedy = tuple(_flag(greedy) for _, greedy in replies)
    chain = str(sample.get("filter") or "none")
    if line.replies:
        line.extracted[chain] = _text(sample["filtered_resps"][0])
    for metric in sample.get("metrics") or ():
        value = sample.get(metric)
        if isinstance(value, int | float):
            line.judged[chain, metric] = float(value)
        elif isinstance(value, list) and value and all(isinstance(one, bool) for one in value):
            line.flags[chain, metric] = tuple(value)


def arguments_of(sample: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Prompt and continuation, or settings, of each request: objects in today's files, lists in older ones."""
    asked = sample.get("arguments") or []
    each = asked.values() if isinstance(asked, dict) else asked
    parts = [list(one.values()) if isinstance(one, dict) else list(one) for one in each]
    return [(str(one[0]), one[1] if len(one) > 1 else None) for one in parts]  # of a page there is one part


def _question(doc: Mapping[str, Any], asked: Sequence[tuple[str, object]]) -> str:
    found = (doc.get(name) for name in USUAL)
    text = next((one for one in found if isinstance(one, str) and one.strip()), "")
    return text or (asked[0][0] if asked else "")


def _choices(asked: Sequence[tuple[str, object]]) -> tuple[str, ...]:
    contexts, behind = zip(*asked, strict=True)
    if len(set(map(str, behind))) == 1:
        return tuple(map(str, contexts))
    return tuple(str(one).strip() for one in behind)


def _is_text(reply: object) -> bool:
    return isinstance(reply, str) or (isinstance(reply, list) and len(reply) == 1)


def _text(reply: object) -> str:
    while isinstance(reply, list):
        reply = reply[0]
    return str(reply)


def _flag(value: object) -> bool | None:
    return {"True": True, "False": False}.get(str(value))


def _prompt(sample: Mapping[str, Any]) -> str:
    said = str(sample.get("prompt_hash") or "")
    if HASH.fullmatch(said):
        return said
    return prompt_hash(arguments_of(sample)[0][0])


def of_one_model(files: Sequence[LinesFile]) -> None:
    """Raise `BadInput` where these are files of several models."""
    models = sorted({file.found.contestant.model for file in files})
    if len(models) > 1:
        raise BadInput(f"These are samples of several models: {', '.join(models)}.", "Name the folder of one of them.")


def sheet_of(file: LinesFile) -> tuple[Sheet, str]:
    """The lines as one contestant's answers under the first filter and metric, and in words by which they are judged.

    Raises `BadInput` where no metric of theirs is worth 0 to 1 on each question.
    """
    lines, about = file.lines, file.found.about
    first = lines[0]
    scoring = Scoring.WRITTEN if first.replies else Scoring.TEXT if len(first.scores) > 1 else Scoring.ONE_TEXT
    fits = [key for key in first.judged if all(0 <= line.judged.get(key, -1.0) <= 1 for line in lines)]
    if not fits:
        raise BadInput(
            f"{file.found.path} has no metric that is worth 0 to 1 on each question.",
            "Take a task that is judged by acc, exact_match or another share.",
        )
    chain, metric = fits[0]
    rows = tuple(_row(file, line, line.judged[chain, metric], chain) for line in lines)
    terms = Terms(file.found.task, UNKNOWN, about.shots, about.chat_template, scoring.value)
    others = sorted({" ".join(key) for key in fits[1:]})
    judged = f"{file.found.path.name} is judged by {metric}" + (f" on {chain}" if first.replies else "")
    return Sheet(file.found.contestant, terms, file.found.path.name, rows), (
        f"{judged}; it has {', '.join(others)} too" if others else judged
    )


def _row(file: LinesFile, line: Line, points: float, chain: str) -> Row:
    key = int(line.target) if line.target.isdecimal() and int(line.target) < len(line.choices) else NO_KEY
    read = line.extracted.get(chain, "")
    return Row(
        file.found.contestant,
        file.found.task,
        line.doc_id,
        line.question,
        line.choices,
        key,
        (best_of(line.scores) if len(line.scores) > 1 else None),
        line.scores or None,
        line.prompt_hash,
        points,
        extracted=bool(points) or len(line.scores) == 1 or read not in ("", INVALID),
    )
