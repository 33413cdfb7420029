"""What makes a question that question, and an exam that exam: hashes of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from proctor.nouns.exams import Question


def question_id(subject: str, text: str, choices: Sequence[str]) -> str:
    """16 hex digits of the sha256 over subject, text and choices: what a model is shown of the question.

    Within a benchmark it is the question's own: the subject is part of it because real benchmarks ask the same text in
    two subjects. White space around the text doesn't count, for it isn't shown. The answer key is not part of it: a
    question whose key is mended stays the same question, while `content_hash` tells the two exams apart.
    """
    return _sha256([subject, text.strip(), *choices])[:16]


def content_hash(subject: str, dev: Sequence[Question], questions: Sequence[Question]) -> str:
    """64 hex digits of the sha256 over all that decides an exam's prompts and marks, keys and order included.

    Where the files lie and what the benchmark is called doesn't count: the same questions have the same hash on every
    machine and in every format.
    """
    splits = [[[item.text, *item.choices, item.answer] for item in split] for split in (dev, questions)]
    return _sha256([subject, *splits])


def _sha256(content: object) -> str:
    # JSON keeps apart what plain joining would not: ["a b"] and ["a", "b"].
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
