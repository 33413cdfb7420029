"""The main job in this process: a real model, a real database, what goes wrong and where that is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from jinja2 import TemplateError
from safetensors.torch import load_file, save_file
from sqlmodel import col, select, update
from transformers import AutoTokenizer

from proctor.catalog.resolve import resolve
from proctor.errors import DeviceBroken, DoesNotFit, HubUnavailable
from proctor.exams.benchmarks.mmlu_prompts import messages
from proctor.exams.chat_prompts import IN_PARTS, NO_SYSTEM
from proctor.exams.reading.identity import content_hash, prompt_hash
from proctor.nouns.exams import Conditions, Exam
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import Cost, RunSpec, RunStatus, SweepRequest
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.reads.columns import shots_shown
from proctor.store.runs import eligibility, exams, runs, steering, sweeps
from proctor.store.runs.tables import AnswerRow, QuestionRow, RunRow, SweepRow
from scheduler.choose import choose
from tests import templates, tiny
from tests.chaos.scene import (
    CONDITIONS,
    FEW,
    assert_every_answer_once,
    make_exam,
    outcomes,
    recompute,
    recorded_scores,
    runs_of,
    submit_few,
)
from tests.integration.desks import ME, CountedLink, make_desk
from workers.channel import Channel
from workers.context import WorkerContext
from workers.drain import attempt, drain
from workers.engines.base import Engine, LoadRequest
from workers.models.held import Models
from workers.models.loading import engine_loader


def broken(_: LoadRequest) -> Engine:
    """A device on which no model ever loads, for a reason that nobody foresaw."""
    raise RuntimeError("the bus is on fire")


def full(request: LoadRequest) -> Engine:
    """A device that is too small for any model."""
    raise DoesNotFit(request.ref.name, 9_000_000_000, 1_000_000_000, "test CPU")


class DistantModels(Models):
    """A hub that can't be reached twice, and then can."""

    away = 2
    asked: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, cache: Path) -> None:
        super().__init__(tiny.CPU, engine_loader(tiny.CPU, cache))

    def get(self, ref: ModelRef, quant: Quant, dtype: DType, pack_tokens: int = Conditions.pack_tokens) -> Engine:
        self.asked()
        if self.away:
            self.away -= 1
            raise HubUnavailable("The hub can't be reached for org/x.")
        return super().get(ref, quant, dtype, pack_tokens)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    return resolve(str(tiny.make(tmp_path_factory.mktemp("models") / "tiny-llama")))


@pytest.fixture
def desk_with(store: Store, settings: Settings) -> Callable[..., WorkerContext]:
    return partial(make_desk, store, settings)


def test_runs_are_sat_until_none_is_left_and_the_model_is_loaded_once(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=2)
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    assert recorded_scores(store, sweep) == recompute(store, sweep, tiny.CPU)
    first, second = (run.measures for run in runs_of(store, sweep))
    assert first is not None
    assert second is not None
    assert first.load.wall_s > 0
    assert second.load == Cost()
    assert min(first.score.cpu_s, first.prefix.cpu_s, first.tokenize.wall_s, first.write.wall_s) > 0
    assert min(first.peak_rss_bytes, first.tokens_computed) > 0


def test_a_run_records_how_many_shots_it_showed_where_the_window_held_no_more(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    made = make_exam("long")
    questions = tuple(replace(each, text=each.text * (1 + each.index % 3)) for each in made.questions[:12])
    dev = made.questions[20:25]
    examined = replace(made, dev=dev, questions=questions, content_hash=content_hash("long", dev, questions))
    exams.save_exam(store, examined)
    asked = Conditions(shots=5)
    spec = RunSpec(
        model, Quant.NONE, Device.CPU, DType.FLOAT32, "made", "long", examined.content_hash, 12, asked
    )  # fmt: skip
    request = SweepRequest((model.name,), (Quant.NONE,), "made", ("long",), "cpu", DType.FLOAT32, asked)
    sweep = sweeps.submit(store, request, [spec], fresh=True).sweep_id
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    shown = run.provenance.shots
    assert shown is not None
    assert shown.fewest < shown.most <= 5
    assert shown.short > 0
    assert shots_shown(store, [run.run_id]) == {run.run_id: shown}
    assert records.progress(store, sweep).runs[0].shots == shown


def test_a_worker_told_to_stop_keeps_its_pack_and_the_next_one_does_only_the_rest(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1)
    channel = CountedLink(6)
    drain(desk_with(channel))
    (left,) = runs_of(store, sweep)
    assert (left.status, left.failures) == (RunStatus.PENDING, 0)
    assert 0 < left.answered < FEW
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    assert recorded_scores(store, sweep) == recompute(store, sweep, tiny.CPU)
    assert outcomes(store, sweep) == ["handed back", "done"]


def test_the_noise_of_a_run_is_measured_once_and_changes_no_answer(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1, check_noise=True)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert run.noise is not None
    assert (run.noise.questions, run.noise.flips, run.noise.pack_tokens) == (20, 0, 150)  # every fourth of 80
    assert run.noise.largest < 1e-4
    assert_every_answer_once(store, sweep)
    assert recorded_scores(store, sweep) == recompute(store, sweep, tiny.CPU)
    assert outcomes(store, sweep) == ["done"]


def test_the_noise_of_a_resumed_run_is_that_of_an_undisturbed_one(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    undisturbed = submit_few(store, model, 1, Quant.EIGHT_BIT, check_noise=True)
    drain(desk_with())
    resumed = submit_few(store, model, 1, Quant.EIGHT_BIT, check_noise=True)
    drain(desk_with(CountedLink(6)))
    drain(desk_with())
    first, second = (runs_of(store, sweep)[0] for sweep in (undisturbed, resumed))
    assert (first.attempt, second.attempt) == (1, 2)
    assert first.noise is not None
    assert second.noise is not None
    assert first.noise.largest > 1e-3  # LLM.int8 finds its outliers over the whole pack
    assert replace(second.noise, wall_s=0) == replace(first.noise, wall_s=0)


def test_a_cancelled_run_is_left_alone_and_the_next_one_is_sat(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    unwanted = submit_few(store, model, subjects=1)
    wanted = submit_few(store, model, subjects=1)
    drain(desk_with(CountedLink(6, lambda: sweeps.cancel(store, unwanted))))
    (cancelled,) = runs_of(store, unwanted)
    assert cancelled.status == RunStatus.CANCELLED
    assert 0 < cancelled.answered < FEW
    assert_every_answer_once(store, wanted)


def test_a_model_whose_files_changed_fails_its_runs_at_once(
    store: Store, tmp_path: Path, desk_with: Callable[..., WorkerContext]
) -> None:
    folder = tiny.make(tmp_path / "model")
    sweep = submit_few(store, resolve(str(folder)), subjects=1)
    tiny.make(folder, seed=1)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert (run.status, run.attempt) == (RunStatus.FAILED, 1)
    assert str(folder) in run.reason


def test_a_model_that_gives_nan_fails_its_run_at_the_first_attempt(
    store: Store, tmp_path: Path, desk_with: Callable[..., WorkerContext]
) -> None:
    folder = tiny.make(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    sweep = submit_few(store, resolve(str(folder)), subjects=1)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert (run.status, run.answered, outcomes(store, sweep)) == (RunStatus.FAILED, 0, ["failed"])
    assert "NaN" in run.reason
    assert run.traceback == ""


def test_a_failure_that_nobody_foresaw_is_tried_three_times_and_keeps_its_traceback(
    store: Store, settings: Settings, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1)
    drain(desk_with(models=Models(tiny.CPU, broken)))
    (run,) = runs_of(store, sweep)
    assert (run.status, outcomes(store, sweep)) == (RunStatus.FAILED, ["failed"] * 3)
    assert run.reason == "RuntimeError: the bus is on fire"
    assert "in get" in run.traceback


def test_on_a_gpu_what_nobody_foresaw_ends_the_process_whose_device_it_may_have_broken(
    store: Store, settings: Settings, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1)
    worker = desk_with(models=Models(tiny.CPU, broken))
    held = runs.claim_best(store, ME, None, choose, lease_s=60.0)
    assert held is not None
    with pytest.raises(DeviceBroken, match="RuntimeError: the bus is on fire"):
        attempt(replace(worker, me=replace(ME, device=Device.GPU)), held)
    (run,) = runs_of(store, sweep)
    assert (run.status, run.reason) == (RunStatus.PENDING, "RuntimeError: the bus is on fire")


def test_a_run_begun_in_another_way_is_never_mixed_and_left_to_those_who_can_go_on(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1)
    channel = CountedLink(6)
    drain(desk_with(channel))
    _pretend_another_attention(store, sweep)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert (run.status, run.failures) == (RunStatus.PENDING, 0)
    assert "begun with float32, attention 'plain'" in run.attempts[-1].reason
    assert runs.waiting(store, ME) == 0
    assert runs.waiting(store, replace(ME, name="another")) == 1


def test_a_pause_keeps_the_pack_at_hand_and_resuming_ends_the_run_as_if_undisturbed(
    store: Store, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=2)
    drain(desk_with(CountedLink(6, then=lambda: steering.pause(store, sweep))))
    first, second = runs_of(store, sweep)
    assert (first.status, first.failures, second.status, second.attempt) == (
        RunStatus.PENDING,
        0,
        RunStatus.PENDING,
        0,
    )
    assert 0 < first.answered < FEW
    assert [one.reason for one in first.attempts] == ["its sweep was paused"]
    steering.resume(store, sweep)
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    assert recorded_scores(store, sweep) == recompute(store, sweep, tiny.CPU)


def test_a_model_that_does_not_fit_is_left_to_larger_workers_and_the_rest_goes_on(
    store: Store, settings: Settings, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=2)
    drain(desk_with(models=Models(tiny.CPU, full)))
    first, second = runs_of(store, sweep)
    assert [(run.status, run.attempt, run.failures) for run in (first, second)] == [
        (RunStatus.PENDING, 1, 0),
        (RunStatus.PENDING, 0, 0),
    ]
    (told,) = eligibility.unservable(store, sweep)
    assert told.runs == 2
    assert "it needs about 9.0 GB and test CPU has 1.0 GB" in told.reasons[0]


def test_a_hub_that_is_away_is_waited_for_and_the_wait_is_shown(
    store: Store, settings: Settings, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1)
    channel, told = Channel(), []
    models = DistantModels(settings.cache)
    models.asked = lambda: told.append(channel.waits_for)
    drain(desk_with(channel, models))
    assert told == ["", "The hub can't be reached for org/x.", "The hub can't be reached for org/x."]
    assert channel.waits_for == ""
    assert_every_answer_once(store, sweep)
    assert outcomes(store, sweep) == ["done"]


def test_a_worker_that_is_to_stop_while_the_hub_is_away_gives_the_run_back_uncounted(
    store: Store, settings: Settings, model: ModelRef, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = submit_few(store, model, subjects=1)
    channel = Channel()
    models = DistantModels(settings.cache)
    models.asked = channel.stop
    drain(desk_with(channel, models))
    (run,) = runs_of(store, sweep)
    assert (run.status, run.failures, outcomes(store, sweep)) == (RunStatus.PENDING, 0, ["handed back"])


def _pretend_another_attention(store: Store, sweep: int) -> None:
    """As a release with another way to compute would have left the Run."""
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    with store.write() as session:
        row = session.get_one(RunRow, run.run_id)
        assert row.provenance is not None
        row.provenance = {**row.provenance, "attention": "plain"}


def chat_model(folder: Path, template: str) -> ModelRef:
    made = tiny.make(folder)
    (made / "chat_template.jinja").write_text(template)
    return resolve(str(made))


def sit_chat(store: Store, model: ModelRef, channel: Channel, desk_with: Callable[..., WorkerContext]) -> int:
    conditions = replace(CONDITIONS, chat_template=True)
    sweep = submit_few(store, model, subjects=1, conditions=conditions)
    drain(desk_with(channel))
    return sweep


def hashes(store: Store, sweep: int) -> dict[str, str]:
    """Of each question's prompt."""
    with store.read() as session:
        rows = session.exec(
            select(QuestionRow.content_id, AnswerRow.prompt_hash)
            .join(QuestionRow, col(QuestionRow.id) == col(AnswerRow.question_id))
            .join(RunRow, col(RunRow.id) == col(AnswerRow.run_id))
            .where(col(RunRow.sweep_id) == sweep)
        )
        return dict(rows.all())


def theirs(model: ModelRef, exam: Exam, day: str = "") -> dict[str, str]:
    """Hashes of the prompts that lm-evaluation-harness writes: without the system's message where that is refused."""
    tokenizer = AutoTokenizer.from_pretrained(model.name)
    found = {}
    for question in exam.questions:
        chat = [{"role": said.role, "content": said.content} for said in messages(exam, question, 0)]
        try:
            text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        except TemplateError:
            text = tokenizer.apply_chat_template(chat[1:], tokenize=False, add_generation_prompt=True)
        assert isinstance(text, str)
        found[question.id] = prompt_hash(re.sub(r"Today Date: .*", f"Today Date: {day}", text))
    return found


@pytest.mark.parametrize("template", [templates.GEMMA, templates.IGNORES_SYSTEM])
def test_a_template_without_a_place_for_the_description_sits_as_in_lm_eval_and_says_so(
    store: Store, tmp_path: Path, template: str, desk_with: Callable[..., WorkerContext]
) -> None:
    model = chat_model(tmp_path / "m", template)
    sweep = sit_chat(store, model, Channel(), desk_with)
    assert_every_answer_once(store, sweep)
    assert hashes(store, sweep) == theirs(model, make_exam("subject_0", FEW))
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    assert NO_SYSTEM in run.provenance.notes


def test_a_template_that_wants_parts_is_asked_each_question(
    store: Store, tmp_path: Path, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = sit_chat(store, chat_model(tmp_path / "m", templates.PARTS_ONLY), Channel(), desk_with)
    assert_every_answer_once(store, sweep)
    assert len(set(hashes(store, sweep).values())) == FEW
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    assert IN_PARTS in run.provenance.notes


def test_a_template_that_swallows_the_question_fails_its_run_at_once(
    store: Store, tmp_path: Path, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = sit_chat(store, chat_model(tmp_path / "m", templates.SWALLOWS), Channel(), desk_with)
    (run,) = runs_of(store, sweep)
    assert (run.status, run.attempt, run.answered) == (RunStatus.FAILED, 1, 0)
    assert "its chat template leaves out what it is given" in run.reason


def test_a_run_that_is_resumed_on_another_day_is_told_the_day_of_its_sweep(
    store: Store, tmp_path: Path, desk_with: Callable[..., WorkerContext]
) -> None:
    model = chat_model(tmp_path / "m", templates.DATED)
    conditions = replace(CONDITIONS, chat_template=True)
    sweep = submit_few(store, model, subjects=1, conditions=conditions)
    with store.write() as session:
        day = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
        session.exec(update(SweepRow).where(col(SweepRow.id) == sweep).values(created_at=day))
    drain(desk_with(CountedLink(6)))
    assert 0 < runs_of(store, sweep)[0].answered < FEW
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    assert hashes(store, sweep) == theirs(model, make_exam("subject_0", FEW), "29 Feb 2024 00:00:00")
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    assert run.provenance.template_date == "2024-02-29"
    assert "its chat template is told the date 2024-02-29" in run.provenance.notes


def test_a_run_that_was_begun_with_other_prompts_is_never_a_mixture(
    store: Store, tmp_path: Path, desk_with: Callable[..., WorkerContext]
) -> None:
    sweep = sit_chat(store, chat_model(tmp_path / "m", templates.DATED), CountedLink(6), desk_with)
    answered = runs_of(store, sweep)[0].answered
    with store.write() as session:  # as if an earlier release had begun it on another day
        session.exec(
            update(SweepRow).where(col(SweepRow.id) == sweep).values(created_at=datetime(2020, 1, 1, tzinfo=UTC))
        )
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert (run.status, run.answered) == (RunStatus.FAILED, answered)
    assert f"begun with other prompts: {answered} of the {answered} questions" in run.reason
    assert "--fresh" in run.reason
