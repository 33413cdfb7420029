"""Functions of lm-evaluation-harness 0.4.13's task files, and the pieces of ours that stand for them.

`proctor/exams/data/known_functions.jsonl` has a line for each Python file and piece: the file's sha256, the piece's
name, its arguments, and the functions by name with what tells them apart. A piece was written from what the function
does, and stands for it in this file alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from proctor.exams.benchmarks import (
    hellaswag,
    humaneval,
    ifeval,
    mbpp,
    minerva_math,
    mmlu_pro,
    truthfulqa,
    wikitext,
    winogrande,
)
from proctor.exams.tasks import native, native_rows
from proctor.exams.tasks.pieces import OWN, Piece, Results
from proctor.exams.tasks.task_files import Reference

TABLE = Path(__file__).parents[1] / "data" / "known_functions.jsonl"
Maker = Callable[[Reference, Any, Any], Piece]  # of the function, the file's arguments, and the function's own

_SINGLE: Mapping[str, Mapping[str, Piece]] = {  # by name, of one Python file
    "winogrande": {
        "doc_to_text": Piece(column=winogrande.right),
        "doc_to_choice": Piece(column=winogrande.contexts),
        "doc_to_target": Piece(column=winogrande.rest),
    },
    "truthfulqa": {
        "process_docs_gen": Piece(prepare=truthfulqa.prepared),
        "process_results_gen": Piece(
            results=Results({name: name for name in truthfulqa.FIGURES}, truthfulqa.references)
        ),
    },
    "ifeval": {
        "process_results": Piece(
            results=Results({one.name: one.name for one in ifeval.TASK.judging.metrics}, ifeval.instructions)
        ),
        "agg_inst_level_acc": Piece(aggregation=OWN),
    },
    "wikitext": {
        "wikitext_detokenizer": Piece(column=wikitext.typeset),
        "process_results": Piece(
            results=Results({one.name: one.name for one in wikitext.TASK.judging.metrics}, wikitext.counts)
        ),
    },
    "mmlu_pro": {
        "doc_to_text": Piece(column=mmlu_pro.question),
        "fewshot_to_text": Piece(column=mmlu_pro.question),
        "fewshot_to_target": Piece(column=mmlu_pro.solution),
    },
    "minerva_math": {
        "doc_to_text": Piece(column=minerva_math.problem),
        "process_docs": Piece(prepare=minerva_math.prepared),
        "list_fewshot_samples": Piece(samples=True),
        "process_results": Piece(results=Results(minerva_math.FIGURES, minerva_math.solution)),
    },
    "humaneval": {
        "build_predictions": Piece(step="code_behind_prompt"),
        "build_predictions_instruct": Piece(step="code_behind_prompt_to_fence"),
        "pass_at_k": Piece(metric="pass_at_k", reference=humaneval.program),
    },
    "mbpp": {
        "list_fewshot_samples": Piece(samples=True),
        "build_predictions": Piece(step="code_block"),
        "pass_at_1": Piece(metric="pass_at_1", reference=mbpp.program),
    },
    "bbh": {
        "MapRegexFilter": Piece(step="map_regex"),
        "MultiChoiceRegexFilter": Piece(step="options_in_text"),
        "NumberParseRegexFilter": Piece(step="number_or_words"),
        "WordSortFilter": Piece(step="sorted_words"),
    },
}


def _single(name: str) -> Maker:
    return lambda _, __, own: _SINGLE[name][own]


PIECES: Mapping[str, Maker] = {
    "rows_where": lambda _, arguments, own: Piece(prepare=native.rows_where(arguments["column"], own)),
    "rows_where_cut": lambda _, arguments, own: Piece(prepare=native.rows_where_cut(arguments["column"], own)),
    "filled": lambda _, __, own: Piece(prepare=native.rows_filled(own)),
    "labels": lambda _, __, own: Piece(column=native.labelled(own)),
    "literal": lambda _, __, own: Piece(column=native.literal(own)),
    "format": lambda reference, _, own: Piece(column=native.gaps(reference, own)),
    "mmlusr": lambda _, __, ___: Piece(prepare=native.four_choices),
    "mmlu_prox": lambda reference, arguments, own: Piece(
        column=native.in_language(reference, arguments["words"], solved=own == "fewshot_to_text")
    ),
    "gpqa": lambda _, __, own: Piece(prepare=native_rows.gpqa(**own)),
    "lettered_columns": lambda _, __, own: Piece(prepare=native_rows.lettered_columns(*own)),
    "answered_rows": lambda _, __, ___: Piece(prepare=native_rows.answered_rows),
    "translated_arc": lambda _, __, ___: Piece(prepare=native_rows.translated_arc),
    "hellaswag": lambda _, __, ___: Piece(prepare=hellaswag.prepared),
    "mc2": lambda _, __, ___: Piece(results=Results({"acc": "mc2"}, right=truthfulqa.right_places)),
    "weighted_f1": lambda _, __, ___: Piece(aggregation="weighted_f1"),
    "three_label_f1": lambda _, __, ___: Piece(aggregation="three_label_f1"),
    "micro_f1": lambda _, __, ___: Piece(aggregation="acc"),  # of labels of which each question has one
    **{name: _single(name) for name in _SINGLE},
}


def piece_of(reference: Reference) -> Piece | None:
    """The piece that stands for a function; None where there is none. Raises `BadExam` where it can't be had."""
    entry = _table().get((reference.sha256, reference.name))
    return entry and PIECES[entry[0]](reference, entry[1], entry[2])


@cache
def _table() -> Mapping[tuple[str, str], tuple[str, Any, Any]]:
    """For each function its piece's name, the file's arguments and its own."""
    lines = map(json.loads, TABLE.read_text("utf-8").splitlines())
    return {
        (line["sha256"], name): (line["piece"], line["arguments"], own)
        for line in lines
        for name, own in line["functions"].items()
    }
