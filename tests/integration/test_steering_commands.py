"""`pause`, `resume`, `priority`, `cancel`, `retry` and `attempts` as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from proctor.cli import COMMANDS, command, proctor
from proctor.cli import run as run_command
from proctor.errors import BadInput, ProctorError, UnknownName
from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from proctor.store.runs import runs, sweeps, workers
from scheduler.submit import ALL_DONE, CANCELLED, Way, conclude
from tests.integration.store_world import card, claim, record, request, spec, submit


@pytest.fixture
def lone_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The database of the commands that are typed here, on SQLite."""
    for name, value in Settings.read({"PROCTOR_HOME": str(tmp_path)}).environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    with open_store(Settings.read({"PROCTOR_HOME": str(tmp_path)})) as store:
        submit(store, spec(subject="a"), spec(subject="b"), name="nightly")
        yield store


def typed(name: str, *words: str) -> str:
    result = CliRunner().invoke(command(COMMANDS[name]), list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_pause_and_resume_say_what_waits_and_what_is_at_work(lone_store: Store) -> None:
    claim(lone_store)
    said = typed("pause", "nightly")
    assert "Paused sweep 1 (nightly): 1 Run waiting. 1 at work stop" in said
    assert "proctor resume 1" in said
    assert json.loads(typed("pause", "1", "--json")) == {"sweep": 1, "paused": True, "waiting": 1, "running": 1}
    assert "(nightly) goes on: 1 Run waiting, 1 at work" in typed("resume", "nightly")
    assert "was not paused" in typed("resume", "nightly")
    assert json.loads(typed("resume", "1", "--json"))["paused"] is False


def test_priority_may_be_negative_and_says_what_it_was(lone_store: Store) -> None:
    assert "has priority -3, before 0" in typed("priority", "nightly", "-3")
    assert json.loads(typed("priority", "1", "4", "--json")) == {"sweep": 1, "priority": 4, "before": -3}
    assert records.progress(lone_store, 1).priority == 4
    result = CliRunner().invoke(command(COMMANDS["priority"]), ["1", "11"])
    assert result.exit_code == 2


@pytest.mark.parametrize("name", ["pause", "resume", "cancel", "retry"])
def test_a_sweep_that_is_not_there_is_named_with_the_nearest(lone_store: Store, name: str) -> None:
    with pytest.raises(UnknownName, match=r"'nightli'.*nightly"):
        typed(name, "nightli")


def test_a_cancelled_sweep_is_not_paused(lone_store: Store) -> None:
    assert json.loads(typed("cancel", "nightly", "--json")) == {"sweep": 1, "cancelled_runs": 2}
    with pytest.raises(BadInput, match=r"is cancelled.*proctor retry 1"):
        typed("pause", "nightly")
    assert json.loads(typed("retry", "nightly", "--json")) == {"sweep": 1, "waiting_again": 2}
    assert sweeps.find(lone_store, "1").cancelled_at is None


def test_a_run_that_fails_three_times_shows_three_reasons_and_three_tracebacks(lone_store: Store) -> None:
    sweeps.cancel(lone_store, 1)
    submit(lone_store, spec("org/b"), name="poison")
    for trial in ("first", "second", "third"):
        held = claim(lone_store, f"worker {trial}")
        if trial == "second":
            record(lone_store, held, 0)
        runs.fail(lone_store, held, f"the {trial} time", f"Traceback of the {trial}\n  \x1b[31mboom")
    told = typed("attempts", str(held.run_id))
    assert "failed, 3 of 6 answered, 3 failures" in told
    for trial in ("first", "second", "third"):
        assert f"worker {trial}: failed after" in told
        assert f"the {trial} time" in told
        assert f"     Traceback of the {trial}" in told
    assert "\x1b" not in told
    shown = json.loads(typed("attempts", str(held.run_id), "--json"))
    assert [one["traceback"].splitlines()[0] for one in shown["attempts"]] == [
        "Traceback of the first",
        "Traceback of the second",
        "Traceback of the third",
    ]
    assert shown["status"] == "failed"


def test_a_run_that_nobody_tried_and_one_that_is_not_there(lone_store: Store) -> None:
    assert "No worker has tried it yet." in typed("attempts", "1")
    with pytest.raises(ProctorError, match="Unknown Run '99'"):
        typed("attempts", "99")


def test_status_shows_what_is_paused_and_what_has_another_priority(lone_store: Store) -> None:
    typed("pause", "nightly")
    typed("priority", "nightly", "3")
    assert "nightly (paused) (priority 3)" in typed("status")
    (listed,) = json.loads(typed("status", "--json"))["sweeps"]
    assert (listed["paused"], listed["priority"]) == (True, 3)
    assert "paused: proctor resume 1" in typed("status", "1")
    assert json.loads(typed("status", "1", "--json"))["paused"] is True


def test_status_says_what_nobody_alive_can_serve_and_what_it_would_need(lone_store: Store) -> None:
    one = spec("org/large", "a")
    sweeps.submit(lone_store, request("large"), [one], {one.lane: 40_000_000_000})
    workers.heartbeat(lone_store, card("cpu@host:1"), None, "The hub can't be reached for org/a.")
    said = typed("status", "large")
    assert "Nobody can serve cpu large: 1 Run waiting, each of about 40.0 GB" in said
    assert "cpu@host:1 has 8.0 GB (two cores)" in said
    assert "waits: The hub" in said
    told = json.loads(typed("status", "large", "--json"))
    assert told["unservable"] == [
        {
            "lane": str(one.lane),
            "runs": 1,
            "needs_bytes": 40_000_000_000,
            "reasons": ["cpu@host:1 has 8.0 GB (two cores)"],
        }
    ]
    assert told["workers"][0]["waits_for"] == "The hub can't be reached for org/a."


def test_a_cancelled_sweep_ends_with_a_code_of_its_own(lone_store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(lone_store, 1, Way()) == ALL_DONE
    typed("cancel", "nightly")
    capsys.readouterr()
    assert conclude(lone_store, 1, Way()) == CANCELLED == 3
    assert "Cancelled: 2 Runs of 2 did not end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("reprot", " Did you mean report"),
        ("stauts", " Did you mean status?"),
        ("compar", " Did you mean compare?"),
        ("sho", " Did you mean show?"),
        ("quantize", " Did you mean quant?"),
        ("nope", ""),
        ("sweep", ""),
        ("xyzzy", ""),
    ],
)
def test_an_unknown_command_is_offered_the_nearest(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(proctor, "proctor", [word]) == 2
    said = capsys.readouterr().err
    assert f"No such command '{word}'.{hint}" in said
    assert ("Did you mean" in said) == bool(hint)
