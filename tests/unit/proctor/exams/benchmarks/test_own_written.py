"""Files of one's own whose answers are written: how they are put, how a reply is judged, what is refused."""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Mapping
from pathlib import Path

import pytest

from proctor.errors import BadExam, BadInput, SeveralFaults
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.benchmarks.own_written import DEMO_WORDS
from proctor.exams.benchmarks.registry import load_benchmark, of_version
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.definition import Settings
from proctor.nouns.exams import Conditions, Exam, Exchange, Mark, Scoring, Write, Written

ANYONE = Examinee(len, 1 << 20)
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv}


def load(path: Path, judge: str, shots: int | None = None) -> Exam:
    (exam,) = load_benchmark(str(path), (), Settings(shots=shots, judge=judge)).exams.values()
    return exam


def written(folder: Path, *rows: Mapping[str, object], name: str = "mine.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


def asked(exam: Exam, place: int = 0) -> Write:
    conditions = Conditions(shots=0, prompt_version=FORM_VERSION, scoring=Scoring.WRITTEN)
    ask = of_version(FORM_VERSION).ask(exam, exam.questions[place], conditions, ANYONE, ())
    assert isinstance(ask, Write)
    return ask


def marked(exam: Exam, reply: str, place: int = 0) -> Mark:
    return of_version(FORM_VERSION).mark(exam, exam.questions[place], [Exchange(asked(exam, place), Written(reply))])


@pytest.mark.parametrize(
    ("judge", "answer", "reply", "points"),
    [
        ("exact", "Paris", " paris.\nIt lies on the Seine.", 1),
        ("exact", "Paris", " It is Paris", 0),
        ("exact", "Paris", "\n\nParis", 0),  # a stop string came first: the reply is empty
        ("number", "1200", " There are 3 of 400, so 1,200.", 1),
        ("number", 7, " 3 + 4 = 7", 1),
        ("number", "7", " 7, and not 8", 0),
        ("number", "7", " seven", 0),
        ("contains", "Seine", "on the SEINE, in France", 1),
        ("contains", "Seine", "on the Rhine", 0),
        ("choice", "B", " (B) the second", 1),
        ("choice", "B", " A", 0),
        (r"regex:answer is (\w+)", "blue", "The answer is red. No, the answer is Blue.", 1),
        (r"regex:answer is (\w+)", "blue", "blue", 0),
        ("exact", ["Paris", "Lutetia"], " Lutetia", 1),
    ],
)
def test_a_reply_is_judged_in_the_way_that_was_said(
    tmp_path: Path, judge: str, answer: object, reply: str, points: float
) -> None:
    exam = load(written(tmp_path, {"question": "What?", "answer": answer}), judge)
    assert marked(exam, reply).points == points


def test_nothing_to_read_out_is_no_answer_and_a_wrong_one_is(tmp_path: Path) -> None:
    exam = load(written(tmp_path, {"question": "How many?", "answer": 7}), "number")
    assert (marked(exam, " many").answered, marked(exam, " 8").answered) == (False, True)
    assert marked(exam, " 8").extracted == "8"


def test_questions_are_put_as_questions_and_prompts_as_they_stand(tmp_path: Path) -> None:
    question = load(written(tmp_path, {"question": " Why? ", "answer": "so"}), "exact")
    assert asked(question).text == "Question: Why?\nAnswer:"
    prompt = load(written(tmp_path, {"prompt": "Translate: chien =", "target": "dog", "note": 1}), "exact")
    assert asked(prompt).text == "Translate: chien ="
    assert asked(prompt).sampling.stop == ("\n\n", "\nQuestion:")


def test_examples_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    written(folder, {"question": "1 + 1?", "answer": "2"}, name="test.jsonl")
    written(folder, {"question": "2 + 2?", "answer": "4"}, name="dev.jsonl")
    assert asked(load(folder, "number", shots=1)).text == "Question: 2 + 2?\nAnswer: 4\n\nQuestion: 1 + 1?\nAnswer:"


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"question": "What?", "key": "7"}, "columns are question, key"),
        ({"question": " ", "answer": "7"}, "Row 1 has no question: ' '"),
        ({"question": "What?", "answer": ""}, "Row 1 has no answer: ''"),
        ({"question": "What?", "answer": {"a": 1}}, "Row 1 has no answer"),
        ({"question": "What?", "answer": []}, "Row 1 has no answer"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(tmp_path: Path, row: dict[str, object], cause: str) -> None:
    with pytest.raises((BadExam, SeveralFaults), match=cause):
        load(written(tmp_path, row), "exact")


@pytest.mark.parametrize(("judge", "cause"), [("best", "'best' is no way"), ("regex:(", "no regular expression")])
def test_a_way_that_there_is_not_is_refused(tmp_path: Path, judge: str, cause: str) -> None:
    with pytest.raises(BadInput, match=cause):
        load(written(tmp_path, {"question": "What?", "answer": "7"}), judge)


def test_one_file_has_no_examples_to_show(tmp_path: Path) -> None:
    with pytest.raises((BadExam, SeveralFaults), match=r"no examples to show.*--shots 0"):
        load(written(tmp_path, {"question": "What?", "answer": "7"}), "number", shots=2)


def test_the_keys_of_the_demo_s_sums_are_what_the_sums_come_to() -> None:
    assert DEMO_WORDS.at is not None
    for split, count in (("test", 40), ("dev", 5)):
        rows = [json.loads(line) for line in (DEMO_WORDS.at / f"{split}.jsonl").read_text().splitlines()]
        assert len({row["question"] for row in rows}) == count
        for row in rows:
            assert row["answer"] == str(value(ast.parse(row["sum"], mode="eval").body)), row
            assert all(word in row["question"] for word in row["sum"].split() if len(word) > 1 and word.isdigit()), row
    exam = load_benchmark("demo_words").exams["demo_words"]
    assert (len(exam.questions), {len(question.shots) for question in exam.questions}) == (40, {5})


def value(node: ast.expr) -> int:
    """What an expression of whole numbers comes to."""
    if isinstance(node, ast.BinOp):
        return int(OPERATORS[type(node.op)](value(node.left), value(node.right)))
    assert isinstance(node, ast.Constant)
    return int(str(node.value))
