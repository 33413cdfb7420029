"""Prompts, compared with samples that lm-evaluation-harness 0.4.13 wrote; see tests/data/README.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from proctor.errors import BadExam, BadInput, QuestionTooLong
from proctor.exams.benchmarks.base import check_shots
from proctor.exams.benchmarks.mmlu_prompts import fit, messages, options, render
from proctor.exams.benchmarks.registry import load_benchmark
from proctor.exams.chat_prompts import Message
from proctor.exams.marking.choice import judge
from proctor.exams.reading.identity import prompt_hash
from proctor.nouns.exams import Conditions, Exam, Question, Scoring
from tests.support import ROOT, shared_data

DATA = ROOT / "tests" / "data"
DEMO = load_benchmark("demo")
WIDE = 10**6


def chatml(chat: Sequence[Message]) -> str:
    """The chat template of the model that wrote the samples."""
    turns = "".join(f"<|im_start|>{message.role}\n{message.content}<|im_end|>\n" for message in chat)
    return f"{turns}<|im_start|>assistant\n"


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def question(text: str = "Which?", choices: Sequence[str] = ("w", "x", "y", "z"), answer: int = 1) -> Question:
    return Question("0" * 16, 0, text, tuple(choices), answer)


def exam(dev: int = 3) -> Exam:
    shots = tuple(question(f"Shot {number}?") for number in range(dev))
    return Exam("toy", "odd_things", shots, (question(),), "0" * 64)


@pytest.mark.parametrize(
    "sample", lines("lm_eval_demo.jsonl"), ids=lambda s: f"{s['subject']}-{s['index']}-{s['shots']}"
)
def test_a_prompt_is_to_the_byte_that_of_lm_evaluation_harness(sample: dict[str, object]) -> None:
    own = DEMO.exams[str(sample["subject"])]
    asked = next(item for item in own.questions if item.index == sample["index"])
    chat = bool(sample["chat"])
    conditions = Conditions(shots=int(str(sample["shots"])), chat_template=chat)

    prompt = fit(own, asked, conditions, len, WIDE, chatml if chat else None)

    assert prompt.text == sample["prompt"]
    assert prompt.hash == sample["prompt_hash"]
    assert list(prompt.options) == sample["options"]


@pytest.mark.parametrize("path", sorted(DATA.glob("lm_eval_smollm2/*.jsonl")), ids=lambda path: path.name[13:-34])
def test_prompts_by_letters_and_by_text_are_those_of_lm_evaluation_harness(path: Path) -> None:
    scoring = Scoring.TEXT if "_continuation_" in path.name else Scoring.LETTERS
    samples = lines(f"lm_eval_smollm2/{path.name}")
    assert len(samples) == 20
    for place, sample in enumerate(samples):
        doc, arguments = sample["doc"], sample["arguments"]
        assert isinstance(doc, dict)
        assert isinstance(arguments, dict)
        own = DEMO.exams[doc["subject"]]
        asked = next(item for item in own.questions if item.index == sample["doc_id"])
        prompt = fit(own, asked, Conditions(shots=5, scoring=scoring), len, WIDE)
        assert prompt.hash == sample["prompt_hash"]
        assert list(prompt.options) == [one["arg_1"] for one in arguments.values()]
        if place < 2:
            assert prompt.text == arguments["gen_args_0"]["arg_0"]


def test_an_answer_by_text_has_the_marks_that_lm_evaluation_harness_gave() -> None:
    """`acc`, and `acc_norm` by characters."""
    for path in DATA.glob("lm_eval_smollm2/*_continuation_*.jsonl"):
        for sample in lines(f"lm_eval_smollm2/{path.name}"):
            doc, scores = sample["doc"], sample["filtered_resps"]
            assert isinstance(doc, dict)
            assert isinstance(scores, list)
            own = DEMO.exams[doc["subject"]]
            asked = next(item for item in own.questions if item.index == sample["doc_id"])
            prompt = fit(own, asked, Conditions(shots=5, scoring=Scoring.TEXT), len, WIDE)
            answer = judge(prompt, [float(score) for score, _ in scores])
            assert (answer.correct, answer.correct_norm) == (sample["acc"] == 1.0, sample["acc_norm"] == 1.0)


def test_a_window_must_hold_the_longest_text() -> None:
    length = 40
    asked = question(choices=("w", "x" * length, "y", "z"))
    shown = Conditions(shots=1, scoring=Scoring.TEXT)
    whole = render(exam(), asked, 1, scoring=Scoring.TEXT)
    assert fit(exam(), asked, shown, len, len(whole) + length).shots == 1
    assert fit(exam(), asked, shown, len, len(whole) + length - 1).shots == 0


def test_a_chat_names_the_text_without_a_space() -> None:
    chat = messages(exam(), question(), shots=1, scoring=Scoring.TEXT)
    assert [message.content for message in chat[1:]] == [
        "Question: Shot 0?\nAnswer:",
        "x",
        "Question: Which?\nAnswer:",
    ]
    assert options(question(), Scoring.TEXT, chat=True) == ("w", "x", "y", "z")


def test_every_prompt_of_41_real_subjects_is_that_of_lm_evaluation_harness() -> None:
    """Among them 120 questions with white space around them and 11 with choices that have some, which must stay."""
    mmlu = load_benchmark(str(shared_data("mmlu")))
    for line in lines("lm_eval_mmlu.jsonl"):
        own, shots = mmlu.exams[str(line["subject"])], int(str(line["shots"]))
        hashes = "".join(prompt_hash(render(own, item, shots)) for item in own.questions)
        assert hashlib.sha256(hashes.encode()).hexdigest() == line["digest"], f"{own.subject} at {shots} shots"


def test_only_the_question_is_stripped() -> None:
    text = render(exam(), question("  What\n then? \n", (" w", "x ", "", "z")), shots=0)
    assert text.endswith("about odd things.\n\nWhat\n then?\nA.  w\nB. x \nC. \nD. z\nAnswer:")


def test_more_or_fewer_than_four_choices_are_lettered_on() -> None:
    six = question(choices=("u", "v", "w", "x", "y", "z"))
    assert render(exam(), six, shots=0).endswith("\nE. y\nF. z\nAnswer:")
    assert options(six) == (" A", " B", " C", " D", " E", " F")
    assert options(question(choices=("yes", "no")), chat=True) == ("A", "B")


def test_in_a_chat_the_description_is_the_systems_and_the_shots_are_turns() -> None:
    chat = messages(exam(), question(), shots=1)
    assert [message.role for message in chat] == ["system", "user", "assistant", "user"]
    assert chat[0].content == "The following are multiple choice questions (with answers) about odd things.\n\n"
    assert chat[2].content == "B"
    assert chat[3].content == "Which?\nA. w\nB. x\nC. y\nD. z\nAnswer:"


def test_a_prompt_that_fits_keeps_all_its_shots() -> None:
    prompt = fit(exam(), question(), Conditions(shots=3), len, WIDE)
    assert prompt.shots == 3
    assert prompt.text == render(exam(), question(), 3)
    assert prompt.hash == hashlib.sha256(prompt.text.encode()).hexdigest()


def test_too_long_a_prompt_loses_its_first_shots_and_never_its_question() -> None:
    whole, short = render(exam(), question(), 3), render(exam(), question(), 3, dropped=1)
    option_but_its_last_token = len(" A") - 1

    prompt = fit(exam(), question(), Conditions(shots=3), len, len(whole) + option_but_its_last_token - 1)

    assert prompt.text == short
    assert prompt.shots == 2
    assert "Shot 0?" not in prompt.text
    assert "Shot 1?" in prompt.text
    assert "Shot 2?" in prompt.text


def test_a_prompt_that_fills_the_window_exactly_still_fits() -> None:
    whole = render(exam(), question(), 3)
    assert fit(exam(), question(), Conditions(shots=3), len, len(whole) + 1).shots == 3


def test_a_question_too_long_for_the_window_is_named() -> None:
    with pytest.raises(QuestionTooLong, match="Question 0 of odd_things") as caught:
        fit(exam(), question(), Conditions(shots=3), len, 50)
    assert caught.value.window_tokens == 50
    assert caught.value.tokens == len(render(exam(), question(), 0)) + 1


@pytest.mark.parametrize(("dev", "advice"), [(0, "--shots 0, or add a dev split"), (3, "--shots 3, or less")])
def test_more_shots_than_dev_questions_are_a_fault_with_a_next_step(dev: int, advice: str) -> None:
    with pytest.raises(BadExam, match="5 examples") as caught:
        check_shots(exam(dev), 5)
    assert advice in caught.value.next_step
    with pytest.raises(BadExam, match="never shown"):
        fit(exam(dev), question(), Conditions(shots=5), len, WIDE)


def test_a_chat_without_a_template_is_refused() -> None:
    with pytest.raises(BadInput, match="no chat template"):
        fit(exam(), question(), Conditions(shots=1, chat_template=True), len, WIDE)


def test_a_prompt_version_of_another_release_is_refused() -> None:
    with pytest.raises(BadInput, match=r"'mmlu-2\.0'"):
        fit(exam(), question(), Conditions(shots=1, prompt_version="mmlu-2.0"), len, WIDE)
