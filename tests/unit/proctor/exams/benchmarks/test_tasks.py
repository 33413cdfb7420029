"""Built-in benchmarks of tasks on rows of our own: what each makes of the odd ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from proctor.errors import BadExam, UnknownName
from proctor.exams.benchmarks import arc, hellaswag, ifeval, mgsm, mmlu_pro, truthfulqa, wikitext, winogrande
from proctor.exams.benchmarks.gsm8k import GSM8K, GSM8K_COT
from proctor.exams.benchmarks.registry import BUILT_IN, find
from proctor.exams.benchmarks.task_benchmark import TaskBenchmark
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.borrowed import borrowed, digest_of
from proctor.exams.tasks.definition import Field, Row, Settings, Task
from proctor.exams.tasks.form import read_form
from proctor.exams.tasks.templates import read_template
from proctor.exams.tasks.writing import write_out
from proctor.nouns.exams import Choose, Question, Roll, Write

MADE = [one for one in BUILT_IN if isinstance(one, TaskBenchmark)]


def questions(task: Task, *rows: Row) -> Sequence[Question]:
    return write_out(task, lambda _: rows, "own").exam.questions


def test_hellaswag_makes_the_second_half_small_but_for_its_first_letter() -> None:
    row: dict[str, object] = {
        "activity_label": "Baking",
        "ctx_a": "A cook stirs.",
        "ctx_b": "he Tastes IT",
        "label": "1",
    }
    row |= {"endings": [" and [substeps] sings ", "and  sleeps.", "a   b", "[title] x [title] y"]}
    (made,) = questions(hellaswag.TASK, row)
    assert made.text == "Baking: A cook stirs. He tastes it"
    assert made.choices == ("and sings", "and sleeps.", "a  b", " x. y")
    assert made.answer == 1


def test_arc_finds_the_key_among_labels_of_either_kind() -> None:
    row = {"question": "Q?", "choices": {"text": ["a", "b", "c"], "label": ["1", "2", "3"]}, "answerKey": "3"}
    (made,) = questions(arc.EASY, row)
    assert (made.text, made.answer) == ("Question: Q?\nAnswer:", 2)


def test_winogrande_splits_at_the_gap() -> None:
    row = {"sentence": "Ann beat Eve as _ was  fast. ", "option1": "Ann", "option2": "Eve", "answer": "2"}
    (made,) = questions(winogrande.TASK, row)
    assert made.contexts == made.choices == ("Ann beat Eve as Ann", "Ann beat Eve as Eve")
    assert (made.text, made.answer) == ("was  fast.", 1)
    with pytest.raises(BadExam, match="its sentence has no gap"):
        questions(winogrande.TASK, {**row, "sentence": "Ann."})


def test_truthfulqa_keeps_all_right_choices_of_mc2_wherever_they_stand() -> None:
    row = {"question": "Q?", "mc2_targets": {"choices": ["a", "b", "c"], "labels": [0, 1, 1]}}
    (made,) = questions(replace(truthfulqa.MC2, asking=replace(truthfulqa.MC2.asking, text="{{question}}")), row)
    assert (made.answer, made.further) == (1, (2,))


def test_truthfulqa_makes_sentences_of_answers_and_drops_empty_ones() -> None:
    row = {"question": " Q? ", "correct_answers": ["Yes", " No. ", ""], "incorrect_answers": ["x"]}
    (made,) = questions(replace(truthfulqa.GEN, asking=replace(truthfulqa.GEN.asking, text="{{question}}")), row)
    right = ["Yes.", "No.", "I have no comment."]
    assert json.loads(made.reference) == {"correct_answers": right, "incorrect_answers": ["x."]}


def test_mgsm_puts_the_first_word_before_rows_without_an_answer_alone() -> None:
    task = mgsm.task_of("de", steps=True)
    asked = {"question": "Wie viel?", "answer": None, "answer_number": 3}
    shown = {"question": "Frage: Wie?", "answer": "Schritt-für-Schritt-Antwort: 1 + 1 ist 2.", "answer_number": 2}
    exam = write_out(task, lambda name: [asked] if name == "test" else [shown], "own", 1).exam
    assert exam.questions[0].text == "Frage: Wie viel?\nStep-by-Step Answer:"
    assert exam.questions[0].reference == "3"
    assert exam.dev[0].text == "Frage: Wie?\nStep-by-Step Answer:"
    assert exam.dev[0].reference == "1 + 1 ist 2."


def test_mmlu_pro_shows_worked_questions_of_its_category() -> None:
    law = {"question": "Q?", "options": [" a ", "b"], "answer": "B", "category": "law", "cot_content": "A: Let's think"}
    law["cot_content"] = "A: Let's think step by step. So B."
    rows = [law, {**law, "category": "math"}]
    exam = write_out(mmlu_pro.task_of("law"), lambda _: rows, "own", 1).exam
    assert [one.text for one in exam.questions] == [
        "Question:\nQ?\nOptions:\nA. a\nB. b\nAnswer: Let's think step by step."
    ]
    assert exam.dev[0].reference == "So B."


def test_ifeval_keeps_the_arguments_that_are_given() -> None:
    row = {"prompt": "Write.", "instruction_id_list": ["a:b"], "kwargs": [{"n": 0, "word": None}]}
    (made,) = questions(ifeval.TASK, row)
    assert json.loads(made.reference)["kwargs"] == [{"n": 0}]


def test_wikitext_counts_on_the_raw_page() -> None:
    (made,) = questions(wikitext.TASK, {"page": ' = A = \n He said , " hm " 1 @,@ 000 . '})
    assert made.text == ' = A =\nHe said, "hm" 1,000. '
    assert json.loads(made.reference) == {"words": 15, "bytes": 38}


def test_borrowed_text_is_refused_where_it_is_changed_or_not_at_hand(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: {b: [1, 2]}\n")
    assert borrowed(tmp_path, ["x.yaml"], ["a.b"], digest_of([[[1, 2]]])) == [[[1, 2]]]
    with pytest.raises(BadExam, match=r"isn't the text of lm_eval 0\.4\.13"):
        borrowed(tmp_path, ["x.yaml"], ["a.b"], "0" * 64)
    with pytest.raises(BadExam, match="gsm8k-cot"):
        GSM8K_COT.tasks(Settings(tasks=tmp_path))


def test_exams_are_written_out_from_a_folder_with_the_shots_that_are_asked_for(tmp_path: Path) -> None:
    for name, count in {"test": 3, "train": 6}.items():
        rows = ({"question": f"{name} {n}?", "answer": f"So.\n#### {n}"} for n in range(count))
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = GSM8K.settled(Settings(folder=tmp_path)).load()
    exam = found.exams["gsm8k"]
    assert (found.version, len(exam.questions), len(exam.questions[0].shots)) == (FORM_VERSION, 3, 5)
    assert read_form(exam.form).source.release == "lm_eval 0.4.13"
    two = GSM8K.settled(Settings(shots=2, folder=tmp_path)).load(["gsm8k"]).exams["gsm8k"]
    assert len(two.questions[0].shots) == 2
    with pytest.raises(UnknownName):
        GSM8K.settled(Settings(folder=tmp_path)).load(["gsm9k"])


@pytest.mark.parametrize("benchmark", MADE, ids=[one.name for one in MADE])
def test_every_template_is_allowed_and_every_licence_named(benchmark: TaskBenchmark) -> None:
    try:
        tasks = benchmark.tasks(Settings())
    except BadExam as fault:
        assert "lm_eval" in str(fault)  # noqa: PT017 -- one of two ways
        return
    assert benchmark.asks in (Choose, Write, Roll)
    for task in tasks:
        assert task.rows.licence
        asking = task.asking
        fields: list[Field] = [asking.text, asking.target, asking.choices, asking.opening, asking.description]
        for field in fields:
            if isinstance(field, str):
                read_template(field, task.name)


def test_a_task_file_is_found_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "sums.yaml"
    path.write_text("task: sums\ndataset_path: own/sums\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n")
    (tmp_path / "test.jsonl").write_text('{"q": "1 + 1", "a": "2"}\n')
    found = find(str(path))
    assert isinstance(found, TaskBenchmark)
    assert (found.name, found.asks) == ("sums", Write)
    (exam,) = found.settled(Settings(folder=tmp_path)).load().exams.values()
    assert (exam.questions[0].text, exam.questions[0].reference) == ("1 + 1", "2")


def test_a_name_is_looked_for_in_a_folder_of_task_files(tmp_path: Path) -> None:
    (tmp_path / "sums.yaml").write_text("task: sums\ntag: all\ndataset_path: x\ndoc_to_text: q\ndoc_to_target: a\n")
    found = find("all", tasks=tmp_path)
    assert isinstance(found, TaskBenchmark)
    assert [task.name for task in found.tasks(Settings())] == ["sums"]
    assert find("piqa", tasks=tmp_path).name == "piqa"  # one of ours
    with pytest.raises(UnknownName, match="none"):
        find("none", tasks=tmp_path)
