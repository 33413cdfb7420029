"""Written answers of an engine that says what it is told to: where a reply ends, and what is remembered of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from proctor.exams.benchmarks import registry
from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.exams.judging.replies import Standing, read
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Conditions, Written
from proctor.nouns.models import ModelRef, ModelSource, Quant
from tests.bigram import END, BigramEngine, BigramGenerator, Bytes, PlainDevice
from tests.made_up import SUMS
from workers.engines.chat_template import ChatTemplate
from workers.engines.generation import GenerationRequest, NextToken
from workers.run.paper import write_paper
from workers.run.writing import Writer, prepare_writing


class Scripted(BigramGenerator):
    """Says the next of its texts to each request, then its end token."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self._texts = deque(texts)
        self._left: dict[str, tuple[deque[int], int]] = {}

    def add(self, request: GenerationRequest) -> int:
        self._left[request.id] = (deque([*self._texts.popleft().encode(), END]), request.limit)
        return 0

    def cancel(self, request_id: str) -> None:
        self._left.pop(request_id, None)

    def step(self) -> list[NextToken]:
        said = []
        for request_id, (tokens, limit) in list(self._left.items()):
            token, left = tokens.popleft(), limit - 1
            finish = Finish.STOP if token == END else Finish.LENGTH if not left else None
            self._left[request_id] = (tokens, left)
            said.append(NextToken(request_id, token, finish=finish))
        return said


class Thinking(Bytes):
    """Bytes of a model whose chat template knows what thoughts stand between."""

    def __init__(self) -> None:
        super().__init__()
        self.template = ChatTemplate(None, "thinking", "<think> … </think>")


@dataclass(frozen=True, eq=False)
class Sayer(BigramEngine):
    says: Sequence[str] = ()
    tokenizer: Bytes = field(default_factory=Bytes)

    def stream(self) -> Scripted:
        return Scripted(self.says)


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*BUILT_IN, SUMS))


def replies(
    *texts: str, tokenizer: Bytes | None = None, told: Callable[[int, int], None] = lambda _made, _all: None
) -> list[Written]:
    """What is recorded of these texts; stop string "\\n", 32 tokens at most."""
    ref = ModelRef("sayer", ModelSource.HUB)
    engine = Sayer(ref, Quant.NONE, tokenizer=tokenizer or Bytes(), says=texts)
    exam = next(iter(SUMS.load().exams.values()))
    paper = write_paper(exam, Conditions(shots=0, limit=len(texts), prompt_version=SUMS.version), engine)
    prepared = prepare_writing(engine, paper, PlainDevice())
    (pack,) = paper.packs(prepared)
    made = Writer(engine, paper, PlainDevice(), told).answer(prepared, pack)
    found = [exchange.reply for row in made.exchanges for exchange in row]
    return [reply for reply in found if isinstance(reply, Written)]


def test_a_reply_ends_behind_its_stop_string_at_its_longest_or_by_itself() -> None:
    stopped, cut, ended = replies("18\nand on", "a" * 40, "18")
    assert (stopped.text, stopped.finish) == ("18\n", Finish.STOP)
    assert (cut.text, cut.finish) == ("a" * 32, Finish.LENGTH)
    assert (ended.text, ended.finish) == ("18", Finish.STOP)
    assert {one.think_end for one in (stopped, cut, ended)} == {""}


@pytest.mark.parametrize(
    ("text", "kept", "answer", "standing"),
    [
        ("<think>a\nb</think>18\nmore", "<think>a\nb</think>18\n", "18", Standing.EXTRACTED),
        ("<think>" + "a\n" * 30, "<think>" + ("a\n" * 30)[:25], "", Standing.THINKING),
        ("<think>a\n", "<think>a\n", "", Standing.THINKING),  # ended by itself within the thought
        ("<think>\n</think>", "<think>\n</think>", "", Standing.EMPTY),
        ("18\n<think>", "18\n", "18", Standing.EXTRACTED),  # thinks too late: that is what it said
        (
            "\n18",
            "\n",
            "",
            Standing.EMPTY,
        ),  # a line's end before the thought decides nothing yet, and stops what has none
    ],
)
def test_stop_strings_end_what_a_model_says_and_not_its_thought(
    text: str, kept: str, answer: str, standing: Standing
) -> None:
    (reply,) = replies(text, tokenizer=Thinking())
    assert reply.text.startswith(kept)
    found = read(reply, ("\n",))
    assert (found.text, found.standing(bool(found.text))) == (answer, standing)
    assert reply.think_end == ("</think>" if "<think>" in kept else "")


def test_a_model_without_marks_may_write_them() -> None:
    (reply,) = replies("<think>a\nb</think>18")
    assert (reply.text, reply.think_end) == ("<think>a\n", "")


def test_how_many_of_a_pack_are_answered_is_told_before_each_step() -> None:
    steps: list[tuple[int, int]] = []
    replies("1", "22", "4444", told=lambda made, all_: steps.append((made, all_)))
    assert steps == sorted(steps)
    assert {all_ for _, all_ in steps} == {3}
    assert {made for made, _ in steps} == {0, 1, 2}
