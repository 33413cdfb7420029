"""Texts of others that an exam shows, read out of a task file where one is at hand; none is shipped.

Some benchmarks show the same written examples to everybody: chain-of-thought solutions, questions with answers. They
are what is asked, and others' work. A definition of ours names the task file that has them, and the sha256 of what is
read out of it: a changed text is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.tasks.installed import installed
from proctor.exams.tasks.literals import literals_of
from proctor.exams.tasks.task_files import Reference, read_file

_NEXT = "Install lm_eval 0.4.13 (pip install --no-deps lm_eval==0.4.13), or give a folder with its task files."


def borrowed(folder: Path | None, places: Sequence[str], keys: Sequence[str], sha256: str) -> list[list[object]]:
    """What stands in task files under these keys (`fewshot_config.samples`): of each file a list.

    `places` are paths in `folder`, or else in an installed lm_eval; `sha256` is `digest_of` all that is read.

    Raises
    ------
    BadExam
        where there is no such file, or another text in it.
    """
    root = folder or installed()
    if root is None:
        raise BadExam(
            f"The benchmark shows others' texts, which stand in lm_eval's task file {places[0]}, and none is at hand.",
            _NEXT,
        )
    found = [_values(root / place, keys) for place in places]
    if (digest := digest_of(found)) != sha256:
        raise BadExam(f"{root / places[0]} isn't the text of lm_eval 0.4.13 (its digest is {digest[:12]}…).", _NEXT)
    return found


def rows_in(value: object) -> tuple[dict[str, object], ...]:
    """A list of examples as rows."""
    return tuple(dict(row) for row in value) if isinstance(value, list) else ()


def _values(path: Path, keys: Sequence[str]) -> list[object]:
    values = []
    for key in keys:
        value: object = read_file(path)
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        values.append(literals_of(value) if isinstance(value, Reference) else value)
    return values


def digest_of(value: object) -> str:
    """The sha256 of a value as JSON with sorted keys, 64 hex digits; of what isn't JSON, that of its name."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True, default=str).encode()).hexdigest()
