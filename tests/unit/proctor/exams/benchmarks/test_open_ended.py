"""Exams that judges alone tell apart: MT-Bench from files, and files of one's own; conversations of several turns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from proctor.errors import BadExam, QuestionTooLong
from proctor.exams.benchmarks.base import Examinee
from proctor.exams.benchmarks.mt_bench import TEMPERATURES
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.chat_prompts import Message
from proctor.exams.judges.cases import references_of
from proctor.exams.reading import hub
from proctor.exams.tasks.asking import FORM_VERSION, ask
from proctor.exams.tasks.definition import Settings
from proctor.exams.tasks.form import read_form
from proctor.nouns.exams import Ask, Conditions, Exam, Exchange, Scoring, Write, Written
from scheduler.plan import conditions_of
from tests.support import shared_data

PLAIN = Conditions(0, prompt_version=FORM_VERSION)
CHAT = Conditions(0, chat_template=True, prompt_version=FORM_VERSION)


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def row(category: str, number: int = 1, **more: object) -> dict[str, object]:
    return {"question_id": number, "category": category, "turns": [f"Say {category}.", "Again."], **more}


def template(messages: Sequence[Message]) -> str:
    return "".join(f"<{message.role}>{message.content}" for message in messages) + "<assistant>"


def talked(exam: Exam, conditions: Conditions, replies: Sequence[str], window: int = 10_000) -> list[Ask]:
    """What the first question asks, if it is replied to in this way."""
    examinee = Examinee(len, window, template)
    exchanges: list[Exchange] = []
    while (one := ask(exam, exam.questions[0], conditions, examinee, tuple(exchanges))) is not None:
        exchanges.append(Exchange(one, Written(replies[len(exchanges)])))
    return [exchange.ask for exchange in exchanges]


def test_mt_bench_is_read_by_category_each_at_its_temperature(tmp_path: Path) -> None:
    write(tmp_path / "question.jsonl", [row(one, number) for number, one in enumerate(TEMPERATURES)])
    gold = [{"question_id": 3, "choices": [{"turns": ["4", "16"]}]}]
    write(tmp_path / "reference_answers.jsonl", gold)
    found = load_benchmark("mt_bench", (), Settings(folder=tmp_path))
    assert [name.removeprefix("mt_bench_") for name in found.exams] == list(TEMPERATURES)
    for name, exam in found.exams.items():
        form = read_form(exam.form)
        (question,) = exam.questions
        assert form.temperature == TEMPERATURES[name.removeprefix("mt_bench_")]
        assert (form.chat, form.max_tokens, question.turns) == (True, 1024, ("Again.",))
        assert references_of(question) == (("4", "16") if name == "mt_bench_math" else ("", ""))
        asked = conditions_of(Conditions(), exam)
        assert (asked.scoring, asked.chat_template, asked.shots) == (Scoring.OPEN, True, 0)
    write(tmp_path / "reference_answers.jsonl", [{"question_id": 3}])
    with pytest.raises(BadExam, match="no choices"):
        load_benchmark("mt_bench", (), Settings(folder=tmp_path))


def test_mt_bench_in_the_columns_of_the_hub(tmp_path: Path) -> None:
    made = [{"prompt": ["Hm?", "And?"], "category": "math", "reference": ["1", ""]}]
    write(tmp_path / "train.jsonl", made)
    exam = load_benchmark("mt_bench", ["mt_bench_math"], Settings(folder=tmp_path)).exams["mt_bench_math"]
    assert references_of(exam.questions[0]) == ("1", "")
    write(tmp_path / "train.jsonl", [{"category": "math"}])
    with pytest.raises(BadExam, match="no turns"):
        load_benchmark("mt_bench", ["mt_bench_math"], Settings(folder=tmp_path))


def test_mt_bench_itself() -> None:
    found = load_benchmark("mt_bench", (), Settings(folder=shared_data("mt_bench")))
    assert [len(exam.questions) for exam in found.exams.values()] == [10] * 8
    with_references = sum(any(references_of(one)) for exam in found.exams.values() for one in exam.questions)
    assert with_references >= 30
    assert all(len(one.turns) == 1 for exam in found.exams.values() for one in exam.questions)


def test_the_second_turn_stands_behind_the_reply_to_the_first(tmp_path: Path) -> None:
    write(tmp_path / "chat.jsonl", [{"turns": ["One?", "Two?", "Three?"]}])
    exam = load_benchmark(str(tmp_path / "chat.jsonl"), (), Settings(judge="model")).exams["chat"]
    first, second, third = talked(exam, CHAT, [" 1. ", "2.", "3."])
    assert first.text == "<user>One?<assistant>"
    assert second.text == "<user>One?<assistant>1.<user>Two?<assistant>"
    assert third.text == "<user>One?<assistant>1.<user>Two?<assistant>2.<user>Three?<assistant>"
    assert [one.text for one in talked(exam, PLAIN, ["1.", "2.", "3."])][1] == "One?\n\n1.\n\nTwo?"
    assert isinstance(second, Write)
    assert second.sampling.max_tokens == 1024


def test_a_conversation_that_does_not_fit_whole_is_refused_before_it_begins(tmp_path: Path) -> None:
    write(tmp_path / "chat.jsonl", [{"turns": ["One?", "Two?"]}])
    exam = load_benchmark(str(tmp_path / "chat.jsonl"), (), Settings(judge="model")).exams["chat"]
    assert len(talked(exam, PLAIN, ["1", "2"], window=2 * 1024 + 8)) == 2
    with pytest.raises(QuestionTooLong):
        talked(exam, PLAIN, ["1", "2"], window=2 * 1024 + 7)


@pytest.mark.parametrize(
    ("made", "references"),
    [
        ({"question": "Why?"}, ("",)),
        ({"prompt": "Why?", "target": "Because."}, ("Because.",)),
        ({"question": "Why?", "answer": 7}, ("7",)),
        ({"turns": ["Why?", "So?"], "reference": [None, "So."]}, ("", "So.")),
        ({"turns": None, "question": "Why?", "reference": None, "answer": "So."}, ("So.",)),
    ],
)
def test_a_file_of_ones_own_needs_a_question_alone(
    tmp_path: Path, made: dict[str, object], references: tuple[str, ...]
) -> None:
    write(tmp_path / "mine.jsonl", [made])
    (question,) = load_benchmark(str(tmp_path / "mine.jsonl"), (), Settings(judge="model")).exams["mine"].questions
    assert (question.text, references_of(question)) == ("Why?", references)


@pytest.mark.parametrize("made", [{"questions": "Why?"}, {"question": ""}, {"turns": []}, {"turns": ["Why?", 7]}])
def test_a_row_without_a_message_is_named(tmp_path: Path, made: dict[str, object]) -> None:
    write(tmp_path / "mine.jsonl", [made])
    with pytest.raises(BadExam, match=r"(Row 1 has no|The columns are)"):
        load_benchmark(str(tmp_path / "mine.jsonl"), (), Settings(judge="model"))


def test_what_a_data_set_lacks_is_asked_for_and_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def away(repo: str, *_: object, **__: object) -> list[dict[str, object]]:
        asked.append(repo)
        raise BadExam(f"{repo} can't be had.", "Give a folder.")

    monkeypatch.setattr(hub, "table", away)
    with pytest.raises(BadExam, match="can't be had") as told:
        load_benchmark("mt_bench")
    assert asked == ["HuggingFaceH4/mt_bench_prompts"]
    assert str(told.value).count("can't be had") == 1
