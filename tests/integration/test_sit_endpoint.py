"""Runs of a model that a server has: sat by the same code, whatever the server can and whatever it does meanwhile."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.data.results import read_results
from analysis.report.server_costs import server_costs_table
from analysis.report.write import Options, write_report
from proctor.catalog.endpoint import Endpoint, ref_of
from proctor.exams.benchmarks import registry
from proctor.exams.benchmarks.registry import BUILT_IN
from proctor.exams.marking import letters
from proctor.nouns.exams import Conditions, Scoring
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import RunStatus
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads import shown_answers
from proctor.store.reads.export import export_rows
from tests.bigram import score
from tests.chaos.scene import FEW, assert_every_answer_once, outcomes, recorded_scores, runs_of, submit_few
from tests.faulty_endpoint import MODEL, Fault, FaultyEndpoint
from tests.integration.desks import CountedLink, make_desk
from tests.integration.test_sit_writing import replies, submit
from tests.made_up import SUMS
from tests.support import wait_until
from workers.channel import Channel
from workers.context import WorkerContext
from workers.drain import drain
from workers.engines.base import INEXACT
from workers.engines.endpoint.device import EndpointDevice
from workers.engines.endpoint.retries import Patience
from workers.models.held import Models
from workers.models.loading import engine_loader

REF = ref_of(MODEL)
LETTERS = tuple(score(ord(":"), option.encode()) for option in (" A", " B", " C", " D"))
HASTY = Patience(limit_s=300.0, first_wait_s=0.01, longest_wait_s=0.1)
Desk = Callable[..., WorkerContext]


@pytest.fixture
def database_url(sqlite_with_tables: Path, tmp_path: Path) -> str:
    """On one database: which it is, is nothing to an engine."""
    shutil.copy(sqlite_with_tables, tmp_path / "proctor.db")
    return f"sqlite:///{tmp_path / 'proctor.db'}"


@pytest.fixture
def server() -> Iterator[FaultyEndpoint]:
    with FaultyEndpoint() as found:
        yield found


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", (*BUILT_IN, SUMS))


@pytest.fixture
def desk_with(store: Store, settings: Settings, server: FaultyEndpoint, tmp_path: Path) -> Iterator[Desk]:
    """A worker's child that asks the server alone."""
    made: list[Models] = []

    def make(channel: Channel | None = None) -> WorkerContext:
        device = EndpointDevice(Endpoint(server.url, price="2:8"), patience=HASTY)
        made.append(Models(device, engine_loader(device, tmp_path / "unused")))
        return make_desk(store, settings, channel, made[-1])

    yield make
    for models in made:
        models.unload()


def test_options_are_scored_by_the_server_s_numbers_and_its_tokens_are_counted(
    store: Store, server: FaultyEndpoint, desk_with: Desk
) -> None:
    sweep = submit_few(store, REF, subjects=1)
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    for found in recorded_scores(store, sweep).values():
        assert found == pytest.approx(LETTERS)
    (run,) = runs_of(store, sweep)
    assert run.provenance is not None
    assert INEXACT in run.provenance.notes
    assert run.provenance.device_name == f"{server.url} (trial)"
    assert run.provenance.versions["price of a million tokens"] == "2:8"
    assert run.measures is not None
    scored = [body for body in server.requests if body["max_tokens"] == 0 and "remainder" in body["prompt"]]
    assert len(scored) == 4 * FEW
    assert run.measures.tokens_computed == sum(len(body["prompt"]) for body in scored)
    assert (run.measures.tokens_written, run.measures.tokens_saved) == (0, 0)
    table = server_costs_table(read_results(store, [sweep]))
    assert table is not None
    read = run.measures.tokens_computed
    assert table.rows == [(MODEL, read, 0, 0, "2:8", read * 2 / 1e6)]


def test_letters_are_generated_where_the_server_gives_chance_and_the_report_says_so(
    store: Store, server: FaultyEndpoint, desk_with: Desk, tmp_path: Path
) -> None:
    server.chance = True
    sweep = submit_few(store, REF, subjects=2)
    server.says = " B\n\nThe next"
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    answers = shown_answers.answers_after(store, sweep, 0, 10**6).answers
    assert {answer.picked for answer in answers} == {1}
    assert set(recorded_scores(store, sweep).values()) == {()}
    rows = list(export_rows(store, [sweep]))
    assert {row.written[0].text for row in rows} == {" B\n\n"}
    assert {row.written[0].token_ids for row in rows} == {()}
    (run, _) = runs_of(store, sweep)
    assert run.provenance is not None
    assert letters.NOTE in run.provenance.notes
    assert run.measures is not None
    assert run.measures.tokens_written >= 3 * FEW
    write_report(read_results(store, [sweep]), tmp_path / "report", Options(("md",)), datetime.now(UTC))
    (page,) = (tmp_path / "report").glob("*.md")
    assert letters.NOTE in page.read_text("utf-8")


def test_options_texts_cannot_be_generated(store: Store, server: FaultyEndpoint, desk_with: Desk) -> None:
    server.echoes = False
    conditions = Conditions(shots=0, scoring=Scoring.TEXT)
    sweep = submit_few(store, REF, subjects=1, conditions=conditions)
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert run.status == RunStatus.FAILED
    assert "gives no log-probabilities of options" in run.reason


def test_a_written_exam_is_the_same_whatever_the_server_does_meanwhile(
    store: Store, server: FaultyEndpoint, desk_with: Desk
) -> None:
    undisturbed = submit(store, REF, SUMS)
    drain(desk_with())
    disturbed = submit(store, REF, SUMS)
    desk = desk_with()
    desk.models.get(REF, Quant.NONE, DType.FLOAT32)  # the self-test is over
    server.faults.extend([Fault(429, {"Retry-After": "0.05"}), Fault(500), Fault(cut_after=3), Fault(cut_after=9)])
    drain(desk)
    assert not server.faults
    assert_every_answer_once(store, disturbed)
    assert replies(store, disturbed) == replies(store, undisturbed)
    assert outcomes(store, disturbed) == ["done"]


def test_a_server_that_dies_in_the_middle_of_a_written_exam_is_waited_for(
    store: Store, server: FaultyEndpoint, desk_with: Desk
) -> None:
    undisturbed = submit(store, REF, SUMS)
    drain(desk_with())
    disturbed = submit(store, REF, SUMS)
    server.token_s = 0.01

    def streams() -> int:
        return sum("stream" in body for body in list(server.requests))

    before = streams()

    def die_and_come_back() -> None:
        wait_until(lambda: streams() > before + 2, "the exam was under way")
        server.stop()
        server.token_s = 0.0
        server.start()

    killer = threading.Thread(target=die_and_come_back)
    killer.start()
    drain(desk_with())
    killer.join()
    assert_every_answer_once(store, disturbed)
    assert replies(store, disturbed) == replies(store, undisturbed)


def test_a_run_that_was_handed_back_is_gone_on_with_and_nothing_is_asked_twice(
    store: Store, server: FaultyEndpoint, desk_with: Desk
) -> None:
    sweep = submit_few(store, REF, 1, conditions=Conditions(shots=0, pack_tokens=32 * 10), check_noise=True)
    drain(desk_with(CountedLink(5)))
    (halfway,) = runs_of(store, sweep)
    assert 0 < halfway.answered < FEW
    drain(desk_with())
    assert_every_answer_once(store, sweep)
    (run,) = runs_of(store, sweep)
    assert run.noise is not None
    assert (run.noise.flips, run.noise.largest) == (0, 0.0)


def test_another_kind_of_server_does_not_go_on_with_a_run(
    store: Store, server: FaultyEndpoint, desk_with: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = submit_few(store, REF, 1, conditions=Conditions(shots=0, pack_tokens=32 * 10))
    drain(desk_with(CountedLink(5)))
    monkeypatch.setattr("workers.engines.endpoint.self_test._KINDS", {"trial": "another"})
    drain(desk_with())
    (run,) = runs_of(store, sweep)
    assert "matrix products by trial; this worker computes with" in run.attempts[-1].reason
