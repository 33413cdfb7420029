"""lm-evaluation-harness 0.4.13's own judgements, task by task: what each filter extracts, and what it is worth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proctor.exams.judging.marking import results
from proctor.exams.tasks.form import Chain, Form
from proctor.nouns.exams import GREEDY, Exchange, Question, Write, Written
from tests.support import shared_data
from tests.unit.proctor.exams.judging.forms_of_tasks import GOLDEN, Golden

Row = dict[str, Any]


def rows_of(golden: Golden) -> list[Row]:
    if golden.rows == "astronomy":
        rows = read(shared_data("mmlu/test/astronomy.jsonl"))
    else:
        rows = read(shared_data(f"benchmarks/{golden.rows}/test.jsonl"))
    if golden.target.startswith("category "):
        rows = [row for row in rows if row["category"] == golden.target.removeprefix("category ")]
    return rows


def read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def letter(row: Row) -> str:
    key = str(row["answerKey"])
    return "ABCD"[int(key) - 1] if key in "1234" else key


RULES: Mapping[str, Callable[[Row], str]] = {
    "letter": letter,
    "yes": lambda row: [" no", " yes"][row["label"]],
    "number": lambda row: str(row["answer"]).rpartition("####")[2].strip(),
    "letter of four": lambda row: "ABCD"[row["answer"]],
    "(letter) of four": lambda row: f"({'ABCD'[row['answer']]})",
    "both lists": lambda row: json.dumps({name: row[name] for name in ("correct_answers", "incorrect_answers")}),
    "list": lambda row: json.dumps(row["answer"]),
    "category law": lambda row: str(row["answer"]),
    "category math": lambda row: str(row["answer"]),
}


def reference(row: Row, rule: str) -> str:
    return RULES[rule](row) if rule in RULES else str(row[rule])


def question(place: int, row: Row, rule: str) -> Question:
    text = f"Q: {row['input']}\nA:" if "input" in row else str(row.get("question", ""))
    choices = tuple(row["choices"]) if rule.endswith("of four") else ()
    return Question(
        id=f"{place:016x}",
        index=place,
        text=text,
        choices=choices,
        answer=row["answer"] if choices else None,
        reference=reference(row, rule),
    )


def judged(form: Form, asked: Question, reply: str) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Of each chain its name, what it extracted, and what each metric says."""
    found = results(form, asked, [Exchange(Write("", GREEDY), Written(reply))])
    for chain in form.chains:
        of_chain = [one for one in found if one.chain == chain.name]
        assert of_chain[0].outcome is not None
        yield chain.name, of_chain[0].outcome.text, {one.metric.name: float(one.worth.item) for one in of_chain}  # type: ignore[arg-type]  # a figure here


@pytest.mark.parametrize("task", sorted(GOLDEN))
def test_every_judgement_is_the_release_s_own(task: str) -> None:
    golden = GOLDEN[task]
    path = shared_data(f"benchmarks/golden_judge/{task}.jsonl")
    rows = rows_of(golden)
    differ = []
    wanted = read(path)
    for row in wanted:
        form = only(golden.form, row["filter"])
        asked = question(row["doc_id"], rows[row["doc_id"]], golden.target)
        ((_, text, figures),) = judged(form, asked, row["reply"])
        if text != row["filtered"] or figures != pytest.approx({name: row[name] for name in figures}, abs=1e-9):
            differ.append((row, text, figures))
    assert not differ, f"{len(differ)} of {len(wanted)} differ, the first: {differ[:3]}"
    assert {row["filter"] for row in wanted} == {chain.name for chain in golden.form.chains}


def only(form: Form, chain: str) -> Form:
    """The form with one of its chains alone."""
    kept: tuple[Chain, ...] = tuple(one for one in form.chains if one.name == chain)
    return replace(form, chains=kept, headline=replace(form.headline, chain=chain))
