"""`proctor status` as a person and a script see it: at once, and again and again."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.runs import runs, workers
from scheduler.watch.fleet_tables import Room
from scheduler.watch.status import drawn, glance, grid_height, show
from tests.integration.store_world import HandClock, card, claim, record, sit, spec, submit


@pytest.fixture
def busy(timed: Store, clock: HandClock) -> Store:
    """Two sweeps: a worker in the middle of a Run, one that fell silent, a Run that failed."""
    submit(timed, spec(), spec(subject="tides"), name="night")
    submit(timed, spec(model="org/b"), name="later")
    workers.register(timed, card("cpu@gone:9"))
    runs.fail(timed, claim(timed, "cpu@host:1"), "no \x1b[2Jsuch model", final=True)
    clock.go_on(workers.ALIVE_S + 10)
    held = claim(timed, "cpu@host:1")
    clock.go_on(6)
    record(timed, held, 0)
    workers.heartbeat(timed, card("cpu@host:1"), held.spec.lane)
    clock.go_on(4)
    return timed


def text(store: Store, sweep: int | None, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(drawn(glance(store, sweep), Room(width), 100))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("sweep", [None, 1])
def test_status_fits_the_terminal_and_lets_nothing_control_it(busy: Store, sweep: int | None, width: int) -> None:
    shown = text(busy, sweep, width)
    assert max(len(line) for line in shown.splitlines()) <= width
    assert "\x1b" not in shown


def test_in_a_pipe_a_row_is_a_line_and_nothing_is_cut_or_padded(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = "org/a-model-with-a-very-long-name-and-its-version"
    subjects = [f"a_subject_of_some_length_{n}" for n in range(50)]
    with open_store(settings) as store:
        submit(store, *(spec(model=name, subject=subject) for subject in subjects), name="night")
        workers.register(store, card("cpu@host:1"))
    show(settings, "night", as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:52]] == subjects
    assert lines[1].startswith(name.removeprefix("org/"))
    assert not any(line != line.rstrip() or "…" in line for line in lines)
    show(settings, None, as_json=False)
    assert "two cores" in capsys.readouterr().out


def test_status_shows_sweeps_workers_backlog_and_what_failed(busy: Store) -> None:
    lines = [" ".join(line.split()) for line in text(busy, None, 140).splitlines()]
    assert lines[1].startswith("2 later 2031-05-06")
    assert "host cpu two cores a tides 0.3 4 s ago" in lines
    assert "host cpu two cores fell silent – 0.0 1 min 50 s ago" in lines
    assert "cpu a 0 1 3 1 – –" in lines
    assert "cpu b 1 0 6 0 – –" in lines
    assert "Run 1 failed: a, astronomy" in lines
    assert r"no \x1b[2Jsuch model" in lines
    assert (
        lines[-1] == "9 questions left · 0.3 answers/s · about 30 s to go and 1 load of a model · 1 of 1 workers busy"
    )


def test_status_of_one_sweep_shows_its_grid_and_its_part_of_the_backlog(busy: Store) -> None:
    shown = text(busy, 1, 140)
    assert "night" in shown
    assert "1 failed" in shown
    assert "cpu  b" not in shown


LONG = "a-laboratory/a-model-with-a-name-of-many-letters-and-then-some-more"


@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_is_too_wide_is_stacked_and_no_name_of_it_is_cut(timed: Store, width: int) -> None:
    for each in ("one", "two"):
        submit(
            timed,
            spec(model=f"{LONG}-{each}", subject="high_school_european_history"),
            name=f"a-sweep-named-{each}" * 3,
        )
    held = claim(timed, "cpu@host:1")
    workers.heartbeat(timed, card("cpu@host:1"), held.spec.lane)
    shown = text(timed, None, width)
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
    words = shown.split()
    for name in ("a-sweep-named-one" * 3, "high_school_european_history"):
        assert name in words


@pytest.mark.parametrize("height", [24, 40])
def test_a_screen_that_is_watched_has_every_lane_that_there_is_room_for(timed: Store, height: int) -> None:
    submit(timed, *(spec(model=f"org/m{n}") for n in range(30)), name="night")
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=False)
    seen, room = glance(timed, 1), Room(80, rows=3)
    lines = grid_height(console, seen.fleet, room)
    shown = console.render_lines(drawn(seen, room, lines), pad=False)
    assert height - 6 <= len(shown) <= height
    few = replace(seen.fleet, lanes=seen.fleet.lanes * 30)
    assert grid_height(console, few, Room(80, rows=60)) == 66


def test_while_a_model_loads_status_says_so_and_for_how_long(timed: Store, clock: HandClock) -> None:
    submit(timed, spec(), name="night")
    claim(timed, "cpu@host:1")
    clock.go_on(12)
    workers.heartbeat(timed, card("cpu@host:1"), None)
    assert "Loading a on cpu: 12 s so far" in text(timed, 1, 80)


def test_a_stopped_sweep_is_no_fault_in_status(timed: Store) -> None:
    submit(timed, spec(), name="night")
    shown = " ".join(text(timed, 1, 80).split())
    assert (
        "No worker is up; 1 Run waits and nothing is lost. Where they were submitted, the same `submit-sweep`" in shown
    )
    assert "Nobody can serve" not in shown


def test_without_a_worker_nobody_says_how_long_it_takes(timed: Store, clock: HandClock) -> None:
    submit(timed, spec(), name="night")
    record(timed, claim(timed, "cpu@host:1"), 0)
    clock.go_on(50)
    assert glance(timed, 1).fleet.left_s
    workers.leave(timed, "cpu@host:1")
    seen = glance(timed, 1)
    assert seen.fleet.answers_per_s
    assert seen.fleet.left_s is None
    assert " left" not in text(timed, 1, 80).replace("questions left", "")


def test_what_a_worker_holds_for_another_sweep_is_told_from_what_is_in_the_grid(timed: Store) -> None:
    submit(timed, spec(model="org/a"), name="night")
    submit(timed, spec(model="other/a"), name="later")
    held = claim(timed, "cpu@host:1")
    workers.heartbeat(timed, card("cpu@host:1"), held.spec.lane)
    other = 2 if held.spec.model.name == "org/a" else 1
    lines = [" ".join(line.split()) for line in text(timed, other, 140).splitlines()]
    assert any(line.startswith("other/a · " if other == 2 else "org/a · ") for line in lines)
    assert any(line.startswith(f"host cpu two cores {held.spec.model.name} ") for line in lines)


def test_status_as_json_has_sweeps_workers_lanes_and_troubles(store: Store, settings: Settings) -> None:
    submit(store, spec(), name="night")
    claim(store, "cpu@host:1")
    told = json.loads(said(settings, "--json"))
    assert [sweep["name"] for sweep in told["sweeps"]] == ["night"]
    assert (told["workers"][0]["worker"], told["workers"][0]["lane"]) == ("cpu@host:1", "cpu/org/a@rev1/none")
    assert (told["lanes"][0]["running"], told["questions_left"], told["left_s"]) == (1, 6, None)
    of_one = json.loads(said(settings, "night", "--json"))
    assert (of_one["sweep"], of_one["lanes"]) == (1, told["lanes"])


def test_watching_through_a_pipe_ends_with_the_sweep(store: Store, settings: Settings) -> None:
    submit(store, spec(), name="night")
    with watching(settings, "night", "--json") as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        sit(store, claim(store))
        rest, _ = process.communicate(timeout=300)
    assert first["over"] is False
    assert json.loads(rest.splitlines()[-1])["over"] is True
    assert process.returncode == 0


def test_watching_everything_ends_in_peace_at_an_interrupt(store: Store, settings: Settings) -> None:
    submit(store, spec(), name="night")
    with watching(settings) as process:
        assert process.stdout is not None
        assert "night" in process.stdout.readline() + process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")


def said(settings: Settings, *words: str) -> str:
    return subprocess.run(
        command("status", *words), env=environ(settings), text=True, stdout=subprocess.PIPE, check=True
    ).stdout


@contextmanager
def watching(settings: Settings, *words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command("status", "--watch", "--every", "0.2", *words),
        env=environ(settings),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def command(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("proctor")), *words]


def environ(settings: Settings) -> dict[str, str]:
    return {**os.environ, **settings.environ()}


def test_status_without_a_sweep_says_which_database_it_read_and_finds_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = Settings.read({"PROCTOR_HOME": str(tmp_path / "home")})
    show(empty, None, as_json=False)
    said = capsys.readouterr().out
    assert f"The database that was read: {tmp_path / 'home' / 'proctor.db'}" in said
    assert "demo" not in said
    (tmp_path / "demo-results").mkdir()
    (tmp_path / "demo-results" / "proctor.db").touch()
    show(empty, None, as_json=False)
    assert "PROCTOR_HOME=demo-results proctor status" in capsys.readouterr().out


def test_a_database_is_shown_without_its_password() -> None:
    settings = Settings.read({"PROCTOR_DATABASE_URL": "postgresql://me:secret@host:5432/exams"})
    assert settings.database_shown == "postgresql://me:***@host:5432/exams"
