"""Other people's results: a CSV with a column a model, the samples of lm-evaluation-harness, and our own exports.

What is imported is kept as one JSON-lines file in `PROCTOR_HOME/imports`, and is named like a sweep from then on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.contestants import Contestant
from analysis.files import whole_file
from analysis.panel import Panel, Terms
from analysis.rows import Row, panel_from_rows, rows_from_panel
from analysis.samples import read_samples
from analysis.wide import read_wide_csv
from proctor.errors import BadInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def read_foreign(paths: Sequence[Path], model: str | None) -> Panel:
    """A panel of files of one kind, told by their ending and columns: `.csv`, or `.jsonl` samples.

    Raises
    ------
    BadInput
        for a file of no known kind, or one that can't be read as what it seems to be.
    """
    kinds = {path.suffix.lower() for path in paths}
    if kinds == {".csv"} and len(paths) == 1:
        return read_wide_csv(paths[0])
    if kinds == {".jsonl"}:
        return read_samples(paths, model)
    raise BadInput(
        f"{', '.join(map(str, paths))}: results of this kind can't be imported.",
        "Give one CSV with a column a model, or one or more samples_*.jsonl of lm-evaluation-harness.",
    )


def keep(panel: Panel, name: str, home: Path, *, force: bool = False) -> Path:
    """Keep an imported panel under a name.

    Raises
    ------
    BadInput
        where the name is none, or is taken and `force` isn't set.
    """
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name for results.", "Use letters, digits, dots, dashes and underscores.")
    path = place_of(name, home)
    if path.exists() and not force:
        raise BadInput(f"Results named {name!r} are imported already.", "Take another --name, or replace with --force.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps({"terms": asdict(panel.terms)}) + "\n")
        for row in rows_from_panel(panel):
            stream.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
    return path


def kept(name: str, home: Path) -> Panel | None:
    """The panel that was imported under this name; None where there is none."""
    path = place_of(name, home)
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    with path.open(encoding="utf-8") as stream:
        terms = json.loads(next(stream))["terms"]
        return panel_from_rows([_row(json.loads(line)) for line in stream], Terms(**terms))


def place_of(name: str, home: Path) -> Path:
    """Where imported results of this name lie."""
    return home / "imports" / f"{name}.jsonl"


def kept_names(home: Path) -> Iterator[str]:
    """The names of everything that was imported."""
    return (path.stem for path in sorted((home / "imports").glob("*.jsonl")))


def _row(stored: dict[str, Any]) -> Row:
    scores = stored["options_logprob"]
    return Row(
        contestant=Contestant(**stored["contestant"]),
        subject=stored["subject"],
        question_index=stored["question_index"],
        question=stored["question"],
        choices=tuple(stored["choices"]),
        answer=stored["answer"],
        picked=stored["picked"],
        options_logprob=None if scores is None else tuple(scores),
    )
