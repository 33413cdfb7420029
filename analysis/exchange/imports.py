"""Other people's results: a CSV with a column a model, or the samples of lm-evaluation-harness.

What is imported is kept as one JSON-lines file in `PROCTOR_HOME/imports`, and is named like a sweep from then on: first
a line about all, then for each panel a line about it and one a question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.data.panel import QUESTION_COLUMNS, Panel
from analysis.data.panel_rows import Imported, Sheet, check_size, gather, prompt_number
from analysis.data.terms import Terms
from analysis.exchange.lm_eval_lines import is_mmlu, read_lines, sheet_of
from analysis.exchange.lm_eval_samples import found_in, read_samples
from analysis.exchange.wide_csv import read_wide_csv
from proctor import private
from proctor.contestants import Contestant
from proctor.errors import BadInput, UnknownName
from proctor.files import whole_file

NOT_ASKED = -2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FORMAT = 3  # 1 had one panel, and said 0 shots and no chat template where nobody knew; 2 had no points


@dataclass(frozen=True, eq=False)
class Taken:
    """What files held: panels within which everything may be compared, and what a person must know, in words."""

    sets: tuple[Imported, ...]
    notes: tuple[str, ...]  # what was passed over, dropped, or could not be read

    @property
    def panels(self) -> tuple[Panel, ...]:
        return tuple(one.panel for one in self.sets)


def read_foreign(paths: Sequence[Path], model: str | None = None) -> Taken:
    """The results in files of one kind, told by their ending and columns: `.csv`, or `.jsonl` samples or their folders.

    Raises
    ------
    BadInput
        for a file of no known kind, or one that can't be read as what it seems to be.
    """
    kinds = {"" if path.is_dir() else path.name.lower().removesuffix(".gz").rpartition(".")[-1] for path in paths}
    notes: tuple[str, ...] = ()
    if kinds == {"csv"} and len(paths) == 1:
        sheets = read_wide_csv(paths[0])
    elif kinds <= {"jsonl", ""}:
        sheets, notes = _samples(paths, model)
    else:
        raise BadInput(
            f"{', '.join(map(str, paths))}: results of this kind can't be imported.",
            "Give one CSV with a column a model, or samples_*.jsonl of lm-evaluation-harness or their folder.",
        )
    gathered = gather(sheets)
    return Taken(gathered.sets, (*notes, *map(str, gathered.copies)))


def _samples(paths: Sequence[Path], model: str | None) -> tuple[tuple[Sheet, ...], tuple[str, ...]]:
    """Samples of MMLU's columns as questions with keys, and those of every other kind by what a metric says of them."""
    found, notes = found_in(paths, model)
    others = [one for one in found if not is_mmlu(one.path)]
    theirs = [sheet_of(read_lines(one)) for one in others]
    check_size(sum(len(sheet.rows) for sheet, _ in theirs))
    sheets = tuple(sheet for sheet, _ in theirs)
    said = tuple(words for _, words in theirs)
    if len(others) == len(found) and found:
        return sheets, (*notes, *said)
    harvest = read_samples([one.path for one in found if one not in others] if others else paths, model)
    return (*(file.sheet for file in harvest.files), *sheets), (*(notes if others else harvest.notes), *said)


def keep(taken: Taken, name: str, home: Path, *, force: bool = False) -> Path:
    """Keep imported results under a name.

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
    private.make_own_folder(path.parent)
    with whole_file(path) as beside, beside.open("w", encoding="utf-8") as stream:
        for line in ({"format": FORMAT, "notes": taken.notes}, *_lines(taken.sets)):
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def kept(name: str, home: Path) -> Taken | None:
    """What was imported under this name; None where there is nothing.

    Raises
    ------
    BadInput
        where a newer release kept it.
    """
    path = place_of(name, home)
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    private.tighten(path)
    with path.open(encoding="utf-8") as stream:
        head = json.loads(next(stream))
        if "format" not in head:
            terms = replace(Terms(**head["terms"]), shots=None, chat_template=None)
            return Taken((_set(head, terms, map(json.loads, stream)),), ())
        if head["format"] > FORMAT:
            raise BadInput(f"{path} was kept by a newer Proctor.", "Update this one, or import the results again.")
        sets = []
        for line in stream:
            about = json.loads(line)
            lines = map(json.loads, islice(stream, about["questions"]))
            sets.append(_set(about, Terms(**about["terms"]), lines))
    return Taken(tuple(sets), tuple(head["notes"]))


def names(home: Path) -> list[str]:
    """The names of all imported results, the latest first."""
    files = sorted((home / "imports").glob("*.jsonl"), key=lambda path: (-path.stat().st_mtime_ns, path.name))
    return [path.stem for path in files if NAME.fullmatch(path.stem)]


def opened(name: str, home: Path) -> Taken:
    """What was imported under this name.

    Raises
    ------
    UnknownName
        where there is nothing, with the nearest names.
    """
    found = kept(name, home)
    if found is None:
        near = get_close_matches(name, names(home))
        raise UnknownName("imported results", name, near, "`proctor imports list` names them.")
    return found


def forget(name: str, home: Path) -> None:
    """Delete what was imported under this name; raises as `opened` does, but reads nothing."""
    path = place_of(name, home)
    if not NAME.fullmatch(name) or not path.is_file():
        near = get_close_matches(name, names(home))
        raise UnknownName("imported results", name, near, "`proctor imports list` names them.")
    path.unlink()


def _set(about: dict[str, Any], terms: Terms, lines: Iterator[dict[str, Any]]) -> Imported:
    """A panel of its lines."""
    found = list(lines)
    picked = np.array([line["picked"] for line in found], dtype=np.int16).T
    questions = pd.DataFrame({column: [line[column] for line in found] for column in QUESTION_COLUMNS})
    questions["choices"] = pd.Series([tuple(line["choices"]) for line in found], dtype=object)
    questions["answer"] = questions["answer"].astype(np.int8)
    asked = picked != NOT_ASKED
    hashes = np.array([line.get("prompt_hash") or [""] * len(asked) for line in found], dtype=object).T
    prompt = np.array([[prompt_number(one) for one in row] for row in hashes], dtype=np.uint64)
    by_key = (picked == questions["answer"].to_numpy()) & asked
    marks = np.array([line.get("points") or by_key[:, n] for n, line in enumerate(found)], dtype=np.float64).T
    answered = np.array([line.get("answered") or picked[:, n] >= 0 for n, line in enumerate(found)], dtype=np.bool_).T
    panel = Panel(
        terms=terms,
        contestants=tuple(Contestant(**one) for one in about["contestants"]),
        questions=questions,
        asked=asked,
        correct=(marks == 1) & asked,
        picked=np.where(asked, picked, -1).astype(np.int8),
        logprob=_logprob([line["options_logprob"] for line in found]),
        prompt=prompt if prompt.any() else None,
        points=marks if ((marks > 0) & (marks < 1) & asked).any() else None,
        answered=answered if (answered != (picked >= 0))[asked].any() else None,
    )
    return Imported(panel, hashes)


def place_of(name: str, home: Path) -> Path:
    """Where imported results of this name lie."""
    return home / "imports" / f"{name}.jsonl"


def _lines(sets: Sequence[Imported]) -> Iterator[dict[str, Any]]:
    """For each panel a line about it, and a line a question.

    A question's line says what each contestant picked: -1 for no answer, -2 for not asked.
    """
    for one in sets:
        panel = one.panel
        who = [asdict(contestant) for contestant in panel.contestants]
        yield {"terms": asdict(panel.terms), "contestants": who, "questions": len(panel.questions)}
        picked = np.where(panel.asked, panel.picked, NOT_ASKED).T.tolist()
        for place, question in enumerate(panel.questions.to_dict("records")):
            hashes = one.prompt_hashes[:, place].tolist()
            answers = {
                "picked": picked[place],
                "options_logprob": _scores(panel, place, len(question["choices"]) or 1),
                "prompt_hash": hashes if any(hashes) else None,
                "points": one.panel.marks[:, place].tolist(),
                "answered": (panel.asked & ~panel.silent)[:, place].tolist(),
            }
            yield {str(name): value for name, value in question.items()} | answers


def _scores(panel: Panel, place: int, options: int) -> list[list[float | None]] | None:
    """What each contestant gave the options; JSON has no infinity."""
    if panel.logprob is None:
        return None
    known = panel.logprob[:, place, :options].tolist()
    return [[value if isfinite(value) else None for value in row] for row in known]


def _logprob(scores: Sequence[list[list[float | None]] | None]) -> NDArray[np.float32] | None:
    """(C, Q, K) of the lists of each question; None where any has none."""
    known = [one for one in scores if one is not None]
    if not known or len(known) < len(scores):
        return None
    widest = max(len(one[0]) for one in known)
    matrix = np.full((len(known[0]), len(known), widest), -np.inf, dtype=np.float32)
    for place, one in enumerate(known):
        filled = np.array(one, dtype=np.float64)
        matrix[:, place, : filled.shape[1]] = np.nan_to_num(filled, nan=-np.inf, neginf=-np.inf)
    return matrix
