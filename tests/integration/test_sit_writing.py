"""Runs whose answers are written: replies are the model's own, each once, also where a Run was left and resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from proctor.catalog.resolve import resolve
from proctor.exams.benchmarks import registry
from proctor.exams.benchmarks.base import Benchmark
from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.exams.judging.patterns import PatternTooSlow
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Conditions, Mark, Write
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import RunSpec, RunStatus, SweepRequest
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads.export import ExportRow, export_rows
from proctor.store.runs import exams, runs, sweeps
from scheduler.choose import choose
from tests import tiny
from tests.chaos.scene import assert_every_answer_once, outcomes, runs_of
from tests.integration.desks import ME, CountedLink, make_desk
from tests.made_up import LAST_LINE, SUMS, TWICE
from tests.sweeps import in_parts
from workers.context import WorkerContext
from workers.drain import attempt, drain
from workers.engines.base import Engine, LoadRequest, Skill
from workers.engines.hf.engine import HfEngine
from workers.models.held import Models
from workers.models.loading import engine_loader

LONGEST = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*BUILT_IN, SUMS, TWICE))


@pytest.fixture
def desk_with(store: Store, settings: Settings) -> Callable[..., WorkerContext]:
    return partial(make_desk, store, settings)


def submit(
    store: Store, model: ModelRef, benchmark: Benchmark = SUMS, *, check_noise: bool = False, parts: int = 1
) -> int:
    """A sweep of one model on the first subject of a benchmark."""
    exam = next(iter(benchmark.load().exams.values()))
    exams.save_exam(store, exam)
    conditions = Conditions(shots=0, prompt_version=benchmark.version)
    spec = RunSpec(
        model, Quant.NONE, Device.CPU, DType.FLOAT32, benchmark.name, exam.subject, exam.content_hash,
        len(exam.questions), conditions,
    )  # fmt: skip
    request = SweepRequest(
        (model.name,), (Quant.NONE,), benchmark.name, (exam.subject,), "cpu", DType.FLOAT32, conditions,
        check_noise=check_noise,
    )  # fmt: skip
    return sweeps.submit(store, request, [spec], fresh=True, split=in_parts(parts)).sweep_id


def rows_of(store: Store, sweep: int) -> Iterator[ExportRow]:
    return iter(export_rows(store, [sweep]))


def replies(store: Store, sweep: int) -> dict[str, tuple[str, ...]]:
    return {row.question: tuple(one.text for one in row.written) for row in rows_of(store, sweep)}


def greedy(model: ModelRef, prompt: str) -> str:
    """What transformers' own `generate` makes of a prompt, up to and including the first line's end."""
    engine = engine_loader(tiny.CPU, Path("unused"))(LoadRequest(model, Quant.NONE, DType.FLOAT32))
    assert isinstance(engine, HfEngine)
    ids = engine.tokenizer.ids(prompt)
    made = engine.model.model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=LONGEST)  # type: ignore[operator]
    text = engine.detokenizer(behind=ids)
    for token in made[0, len(ids) :].tolist():
        text.push([token])
        if "\n" in text.text:
            break
    text.end()
    return text.text


def test_the_replies_are_those_of_the_model_raw_and_uncut(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit(store, model)
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    found = list(rows_of(store, sweep))
    assert [[one.text for one in row.written] for row in found] == [[greedy(model, row.question)] for row in found]
    assert {one.finish for row in found for one in row.written} <= {Finish.STOP, Finish.LENGTH}
    assert all(len(one.token_ids) <= LONGEST for row in found for one in row.written)
    (run,) = runs_of(store, sweep)
    assert run.measures is not None
    made = sum(len(one.token_ids) for row in found for one in row.written)
    assert run.measures.tokens_computed + run.measures.tokens_saved > made > 0


def test_a_question_that_is_asked_on_has_its_second_turn_behind_the_first(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit(store, model, TWICE)
    drain(desk_with())
    for row in rows_of(store, sweep):
        first, second = (one.text for one in row.written)
        assert first == greedy(model, row.question)
        assert second == greedy(model, f"{row.question}{first}\nTwice that is")


def test_a_run_that_was_left_in_the_middle_of_a_pack_is_resumed_as_if_undisturbed(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proctor.exams.packs.REPLIES_A_PACK", 3)
    undisturbed = submit(store, model)
    drain(desk_with())
    sweep = submit(store, model)
    drain(desk_with(CountedLink(40)))  # a look before each pack, and before each decode step
    (run,) = runs_of(store, sweep)
    assert (run.status, run.failures) == (RunStatus.PENDING, 0)
    assert 0 < run.answered < 8
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    assert replies(store, sweep) == replies(store, undisturbed)
    assert outcomes(store, sweep) == ["handed back", "done"]


def test_two_workers_share_an_exam_and_a_part_that_failed_is_retried_alone(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    undisturbed = submit(store, model)
    drain(desk_with())
    sweep = submit(store, model, parts=3)
    one, two = desk_with(), replace(desk_with(), me=replace(ME, name="cpu@there:1"))
    held = [runs.claim_best(store, desk.me, None, choose, 60.0) for desk in (one, two)]
    assert held[0] is not None
    assert held[1] is not None
    runs.fail(store, held[1], "no such word", final=True)
    attempt(one, held[0])
    drain(two)
    (run,) = runs_of(store, sweep)
    assert (run.status, run.spec.questions, run.answered) == (RunStatus.FAILED, 8, 5)
    assert run.reason == f"part 2 of 3 (Run {held[1].run_id}): no such word"
    assert {each.worker for part in run.parts for each in part.attempts} == {one.me.name, two.me.name}

    assert sweeps.retry(store, sweep) == 1
    drain(two)
    assert_every_answer_once(store, sweep)
    (run,) = runs_of(store, sweep)
    assert (run.status, [part.attempt for part in run.parts]) == (RunStatus.DONE, [1, 2, 1])
    assert replies(store, sweep) == replies(store, undisturbed)


def test_the_noise_of_written_answers_is_how_many_texts_changed(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit(store, model, check_noise=True)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert run.noise is not None
    assert (run.noise.questions, run.noise.flips, run.noise.largest) == (2, 0, 0.0)  # every fourth of 8


def test_an_engine_that_writes_nothing_fails_the_run_with_the_reason(
    store: Store, settings: Settings, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    def mute(request: LoadRequest) -> Engine:
        engine = engine_loader(tiny.CPU, settings.cache)(request)
        assert isinstance(engine, HfEngine)
        return replace(engine, skills=engine.skills - {Skill.STREAM})

    sweep = submit(store, model)
    drain(desk_with(models=Models(tiny.CPU, mute)))
    (run,) = runs_of(store, sweep)
    assert (run.status, run.answered) == (RunStatus.FAILED, 0)
    assert "writes no texts" in run.reason


def test_a_reply_ends_at_its_stop_string_or_at_its_longest(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = submit(store, model)
    drain(desk_with())
    found = {row.question: row.written[0] for row in rows_of(store, sweep)}
    letter = next(reply.text[1] for reply in found.values() if len(reply.text) > 1)

    def ask(*given: object) -> Write | None:
        made = SUMS.ask(*given)  # type: ignore[arg-type]
        assert made is None or isinstance(made, Write)
        return made and replace(made, sampling=replace(LAST_LINE, stop=(letter,), max_tokens=5))

    monkeypatch.setattr(registry, "BUILT_IN", (*BUILT_IN, replace(SUMS, ask=ask)))
    again = submit(store, model)
    drain(desk_with())
    for row in rows_of(store, again):
        (reply,) = row.written
        assert found[row.question].text.startswith(reply.text) or letter in reply.text
        assert reply.text.find(letter) in (-1, *range(len(reply.text) - 8, len(reply.text)))
        assert reply.finish is (Finish.STOP if letter in reply.text else Finish.LENGTH)
        assert len(reply.token_ids) <= 5


def test_replies_on_which_an_expression_takes_too_long_are_stored_and_the_run_says_so(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> Mark:
        raise PatternTooSlow("(a+)+$", "a text of 32 characters", 5.0)

    monkeypatch.setattr(registry, "BUILT_IN", (*BUILT_IN, replace(SUMS, mark=explode)))
    sweep = submit(store, model)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert (run.status, run.answered, run.correct) == (RunStatus.FAILED, 8, 0)
    assert "The regular expression (a+)+$ takes more than 5 s" in run.reason
    assert all(row.written[0].text and row.extracted is None for row in rows_of(store, sweep))
