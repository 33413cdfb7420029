"""What makes a question that question, an exam that exam, and a prompt that prompt: hashes of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from proctor.nouns.exams import Question


def question_id(
    subject: str,
    text: str,
    choices: Sequence[str],
    turns: Sequence[str] = (),
    contexts: Sequence[str] = (),
    opening: str = "",
) -> str:
    """16 hex digits of the sha256 over all that a model is shown of the question, the subject included.

    Within a benchmark it is the question's own: the subject is part of it because real benchmarks ask the same text in
    two subjects. White space around the text doesn't count, for it isn't shown. The answer key is not part of it: a
    question whose key is mended stays the same question, while `content_hash` tells the two exams apart.
    """
    named = _named(turns=list(turns), contexts=list(contexts), opening=opening)
    return _sha256([subject, text.strip(), *choices, *named])[:16]


def content_hash(subject: str, dev: Sequence[Question], questions: Sequence[Question], form: str = "") -> str:
    """64 hex digits of the sha256 over all that decides an exam's prompts and marks, keys and order included.

    Where the files lie and what the benchmark is called doesn't count: the same questions have the same hash on every
    machine and in every format.
    """
    splits = [[_decisive(item) for item in split] for split in (dev, questions)]
    return _sha256([subject, *splits, *_named(form=form)])


def prompt_hash(text: str) -> str:
    """64 hex digits of the sha256 of `text` in UTF-8: the field `prompt_hash` of lm-evaluation-harness's samples."""
    return hashlib.sha256(text.encode()).hexdigest()


def _decisive(item: Question) -> list[object]:
    named = _named(
        reference=item.reference,
        turns=list(item.turns),
        further=list(item.further),
        contexts=list(item.contexts),
        opening=item.opening,
        shots=list(item.shots),
    )
    return [item.text, *item.choices, item.answer, *named]


def _named(**parts: object) -> list[object]:
    """What only some questions have, by name: a question without any of it has the hash that it always had."""
    there = {name: part for name, part in parts.items() if part}
    return [there] if there else []


def _sha256(content: object) -> str:
    # JSON keeps apart what plain joining would not: ["a b"] and ["a", "b"].
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
