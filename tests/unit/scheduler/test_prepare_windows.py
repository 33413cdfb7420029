"""What doesn't fit a model's window is found at submission: examples go first, then the question is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proctor.errors import SeveralFaults
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import SweepRequest
from proctor.settings import Settings
from proctor.store.database.open import open_store
from scheduler.prepare import Prepared, prepare
from tests import templates, tiny

SHOT = "In this example it is quite bright by day. " * 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads 512 tokens."""
    return tiny.make(tmp_path_factory.mktemp("models") / "m")


def planned(
    folder: Path, model: Path, lengths: list[int], *, shots: int = 3, chat: bool = False, device: str = "cpu"
) -> Prepared:
    """The plan for an exam whose questions have so many words, with three examples."""
    exam = folder / "own"
    exam.mkdir(exist_ok=True)
    for name, texts in (
        ("test", [f"{n}: " + "moon " * words for n, words in enumerate(lengths)]),
        ("dev", [f"{n}: {SHOT}" for n in range(3)]),
    ):
        rows = [{"question": text, "choices": ["a", "b"], "answer": 0, "subject": "law"} for text in texts]
        (exam / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    conditions = Conditions(shots, scoring=Scoring.LETTERS, chat_template=chat)
    request = SweepRequest((str(model),), (Quant.NONE,), str(exam), ("all",), device, DType.AUTO, conditions)
    settings = Settings(folder, folder, f"sqlite:///{folder / 'proctor.db'}")
    with open_store(settings) as store:
        return prepare(request, settings, store)


def test_what_fits_is_not_spoken_of(tmp_path: Path, model: Path) -> None:
    assert planned(tmp_path, model, [10, 20]).told == ()


def test_fewer_examples_are_said_beforehand_and_at_each_submission(tmp_path: Path, model: Path) -> None:
    prepared = planned(tmp_path, model, [10, 250])
    (said,) = prepared.told
    assert said.startswith(
        "m: its window of 512 tokens holds fewer examples than asked for before the longest questions"
    )
    assert said in prepared.notes
    shown = int(said.rpartition("law ")[2].split()[0])
    assert said.endswith(f"law {shown} of 3.")
    assert 0 <= shown < 3


def test_a_question_that_does_not_fit_is_refused_by_name_with_what_it_needs(tmp_path: Path, model: Path) -> None:
    with pytest.raises(SeveralFaults) as caught:
        planned(tmp_path, model, [10, 2000, 20, 3000])
    said = str(caught.value)
    assert "m: question 1 of law (own) needs " in said
    assert "and the model's window has 512; 1 more don't fit either (3). A question is never cut." in said
    assert "Take a model with a longer window" in said


def test_a_chat_is_counted_as_its_template_writes_it(tmp_path: Path, model: Path) -> None:
    (model / "chat_template.jinja").write_text("You are kind. " * 100 + templates.CHATML)
    assert planned(tmp_path, model, [10], shots=0).told == ()
    with pytest.raises(SeveralFaults, match="question 0 of law"):
        planned(tmp_path, model, [10], shots=0, chat=True)


def test_without_a_tokenizer_at_hand_the_worker_is_left_to_find_out(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    tiny.make_gguf(model)
    assert planned(tmp_path, model, [10], shots=0).told == ()
    (said,) = planned(tmp_path, model, [2000], shots=0).told
    assert "its tokenizer isn't at hand, so the worker finds out whether each question fits its window of 512" in said
