"""What an operator sees of the fleet, and what Prometheus is told of it; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from datetime import timedelta

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from proctor.nouns.models import Quant
from proctor.nouns.runs import RunStatus
from proctor.prometheus import CONTENT_TYPE, metrics_text
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads import fleet
from proctor.store.runs import runs, sweeps, workers
from scheduler.exporter import exporting
from scheduler.watch.speed import beside
from tests.integration.store_world import LEASE_S, HandClock, card, claim, record, sit, spec, submit
from tests.support import ROOT

LANES = (spec(), spec(subject="b"), spec(model="org/b", quant=Quant.FOUR_BIT))


def samples(store: Store) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of the exposition by name and label values, the labels in the order of their names."""
    families: Iterable[Metric] = text_string_to_metric_families(metrics_text(store))
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def test_the_backlog_is_told_by_lane(timed: Store, clock: HandClock) -> None:
    submit(timed, *LANES)
    held = claim(timed)
    record(timed, held, 0)

    first, second = fleet.look(timed).lanes

    assert (str(first.lane), first.pending, first.running, first.questions_left) == ("cpu/org/a@rev1/none", 1, 1, 9)
    assert (str(second.lane), second.pending, second.running, second.questions_left) == ("cpu/org/b@rev1/4bit", 1, 0, 6)


def test_speed_is_that_of_the_last_minute_and_shared_out_among_workers(timed: Store, clock: HandClock) -> None:
    submit(timed, *LANES)
    workers.register(timed, card("idle"))
    sit(timed, claim(timed, "early"))  # six answers, then the clock goes on for more than a minute
    clock.go_on(100)
    one, two = claim(timed, "one"), claim(timed, "two")
    clock.go_on(10)
    record(timed, one, 0, 1)
    record(timed, two, 0)

    now = fleet.look(timed)

    assert now.answers_per_s == pytest.approx(9 / 10)
    assert {each.record.card.name: round(each.answers_per_s, 3) for each in now.workers if each.record.alive} == {
        "one": 0.6, "two": 0.3,
    }  # fmt: skip
    assert now.questions_left == 3
    assert now.left_s == pytest.approx(3 / 0.9)


def test_where_nothing_moves_nobody_says_how_long_it_takes(timed: Store) -> None:
    submit(timed, *LANES)
    assert fleet.look(timed).left_s is None


def test_a_silent_worker_is_shown_for_an_hour_and_one_that_left_is_not(timed: Store, clock: HandClock) -> None:
    for name in ("silent", "left", "lively"):
        workers.register(timed, card(name))
    workers.leave(timed, "left")
    clock.go_on(workers.ALIVE_S + 1)
    workers.heartbeat(timed, card("lively"), None)

    assert [(each.record.card.name, each.record.alive) for each in fleet.look(timed).workers] == [
        ("lively", True), ("silent", False),
    ]  # fmt: skip
    clock.go_on(fleet.GONE_S + 1)
    assert fleet.look(timed).workers == ()


def test_a_worker_is_shown_with_what_it_is_at(store: Store) -> None:
    submit(store, spec(subject="tides"))
    claim(store, "one")
    (sight,) = fleet.look(store).workers
    assert (str(sight.lane), sight.subject) == ("cpu/org/a@rev1/none", "tides")


def test_a_load_lasts_since_its_run_was_claimed_whatever_life_it_shows_and_until_the_model_is_held(
    timed: Store, clock: HandClock
) -> None:
    """A download that moves renews the lease with a sign of life; a second attempt begins anew."""
    submit(timed, LANES[0])
    held = claim(timed, "slow")

    def loads() -> list[float]:
        workers.heartbeat(timed, card("slow"), None)
        now = fleet.look(timed)
        assert beside(0.0, now, ()).loading == ()  # of another sweep's Runs
        return [one.for_s for one in beside(0.0, now, {held.run_id}).loading]

    clock.go_on(20)
    assert loads() == [20.0]
    runs.renew(timed, held, moved=True)
    clock.go_on(5)
    assert loads() == [25.0]
    runs.release(timed, "slow", "it was killed")
    clock.go_on(3)
    held = claim(timed, "slow")
    clock.go_on(2)
    assert loads() == [2.0]
    workers.heartbeat(timed, card("slow"), held.spec.lane)
    assert beside(0.0, fleet.look(timed), {held.run_id}).loading == ()


def test_troubles_are_what_failed_and_what_is_tried_again_with_the_last_reason(timed: Store, clock: HandClock) -> None:
    made = submit(timed, *LANES)
    runs.fail(timed, claim(timed), "no such model", final=True)
    clock.go_on(1)
    runs.fail(timed, claim(timed), "a bad day")

    shaky, failed = fleet.look(timed, made.sweep_id).troubles

    assert (failed.status, failed.reason, failed.failures) == (RunStatus.FAILED, "no such model", 1)
    assert (shaky.status, shaky.reason, shaky.failures) == (RunStatus.PENDING, "a bad day", 1)
    sweeps.cancel(timed, made.sweep_id)
    assert [each.status for each in fleet.look(timed).troubles] == [RunStatus.FAILED]


def test_one_sweep_is_looked_at_without_the_others(store: Store) -> None:
    mine, theirs = submit(store, spec(), name="mine"), submit(store, spec(subject="b"), name="theirs")
    assert [lane.pending for lane in fleet.look(store).lanes] == [2]
    assert [lane.pending for lane in fleet.look(store, mine.sweep_id).lanes] == [1]
    assert [lane.pending for lane in fleet.look(store, theirs.sweep_id).lanes] == [1]


def test_metrics_count_runs_answers_attempts_and_leases_that_ran_out(timed: Store, clock: HandClock) -> None:
    submit(timed, *LANES)
    sit(timed, claim(timed, "one"))
    claim(timed, "two")
    clock.go_on(LEASE_S + 1)
    runs.fail(timed, claim(timed, "one"), "no such model", final=True)

    told = samples(timed)

    assert told["proctor_runs", ("done",)] == 1
    assert told["proctor_runs", ("failed",)] == 1
    assert told["proctor_runs", ("pending",)] == 1
    assert told["proctor_answers_total", ()] == 6
    assert told["proctor_attempts_total", ("done",)] == 1
    assert told["proctor_attempts_total", ("lost",)] == 1
    assert told["proctor_lease_expiries_total", ()] == 1
    assert sum(value for (name, _), value in told.items() if name == "proctor_backlog_runs") == 1


def test_metrics_say_which_workers_are_up(timed: Store, clock: HandClock) -> None:
    workers.register(timed, card("cpu@host:1"))
    clock.go_on(workers.ALIVE_S + 1)
    workers.register(timed, card("cpu@host:2"))

    told = samples(timed)

    assert told["proctor_worker_up", ("cpu", "host", "cpu@host:1")] == 0
    assert told["proctor_worker_up", ("cpu", "host", "cpu@host:2")] == 1
    seen = told["proctor_worker_last_seen_timestamp_seconds", ("cpu", "host", "cpu@host:1")]
    assert seen == (clock.now - timedelta(seconds=workers.ALIVE_S + 1)).timestamp()


def test_an_empty_database_has_metrics_too(store: Store) -> None:
    told = samples(store)
    assert told["proctor_answers_total", ()] == 0
    assert told["proctor_runs", ("pending",)] == 0
    outcomes = {labels[0]: value for (name, labels), value in told.items() if name == "proctor_attempts_total"}
    assert outcomes == dict.fromkeys(("done", "handed back", "failed", "lost", "cancelled"), 0)


def test_metrics_are_served_over_http(store: Store) -> None:
    with exporting(store, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(f"{address}/metrics", timeout=300) as answer:  # noqa: S310 -- our own address
            assert answer.headers["Content-Type"] == CONTENT_TYPE
            assert list(text_string_to_metric_families(answer.read().decode()))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address, timeout=300)


def test_a_database_that_is_away_is_a_503(settings: Settings) -> None:
    away = Store("postgresql://nobody@127.0.0.1:1/nothing", timeout_s=2.0)
    with exporting(away, "127.0.0.1", 0) as server, pytest.raises(urllib.error.HTTPError, match="503") as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=300)
    assert "127.0.0.1" in refused.value.read().decode()
    refused.value.close()


def test_every_query_of_the_dashboard_names_a_metric_that_is_told(store: Store) -> None:
    submit(store, *LANES)
    sit(store, claim(store))
    told = {name for name, _ in samples(store)}
    board = json.loads((ROOT / "examples" / "grafana-dashboard.json").read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > 10
    asked = {query: set(re.findall(r"proctor_\w+", query)) for query in queries}
    assert all(asked.values())
    assert {query: names - told for query, names in asked.items() if names - told} == {}
