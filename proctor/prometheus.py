"""Metrics for Prometheus, read from the store at each scrape: no process has to be asked, none can be missed.

Workers come and go, so a worker that left in order is not exported any more, and one that fell silent is for an hour,
with `proctor_worker_up` 0 (`proctor.store.reads.fleet.GONE_S`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proctor.store.database.session import Store
from proctor.store.reads import fleet
from proctor.store.reads.fleet import Fleet, Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(store: Store) -> str:
    """All metrics in Prometheus' text format, to be sent as `CONTENT_TYPE`.

    Raises
    ------
    StoreUnavailable
        where the database can't be read: answer the scrape with 503, so that Prometheus' own `up` falls to 0.
    """
    return generate_latest(registry_of(store)).decode()


def registry_of(store: Store) -> CollectorRegistry:
    """A registry that reads the store at each scrape; nothing is read before. Raises as `metrics_text`, then."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(store))
    return registry


class StoreCollector(Collector):
    """What prometheus_client asks at each scrape."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead: the names are those of each scrape."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        yield from _of_totals(fleet.totals(self.store))
        now = fleet.look(self.store)
        yield from _of_backlog(now)
        yield from _of_workers(now)


def _of_totals(done: Totals) -> Iterator[Metric]:
    yield _gauge("proctor_runs", "Runs by status.", ("status",), [((s.value,), n) for s, n in done.runs.items()])
    yield _counter("proctor_answers", "Answers recorded.", (), [((), done.answers)])
    yield _counter("proctor_answers_correct", "Answers recorded that are right.", (), [((), done.correct)])
    ended = [((outcome,), count) for outcome, count in done.attempts.items()]
    yield _counter(
        "proctor_attempts",
        "Attempts at Runs, or parts of large ones, that have ended, by outcome.",
        ("outcome",),
        ended,
    )
    help_text = "Leases that ran out because their worker fell silent."
    yield _counter("proctor_lease_expiries", help_text, (), [((), done.leases_expired)])


def _of_backlog(now: Fleet) -> Iterator[Metric]:
    help_text = "Answers a second over the last minute."
    yield _gauge("proctor_answers_per_second", help_text, (), [((), now.answers_per_s)])
    names = ("device", "model", "quant")
    lanes = [((lane.lane.device.value, lane.lane.model, lane.lane.quant.value), lane) for lane in now.lanes]
    pending = [(labels, lane.pending) for labels, lane in lanes]
    yield _gauge("proctor_backlog_runs", "Pending Runs, and parts of large ones, a lane.", names, pending)
    left = [(labels, lane.questions_left) for labels, lane in lanes]
    yield _gauge("proctor_backlog_questions", "Questions of a lane's pending and running Runs.", names, left)
    holding = [(labels, lane.workers) for labels, lane in lanes]
    yield _gauge("proctor_lane_workers", "Living workers that hold a lane's model.", names, holding)


def _of_workers(now: Fleet) -> Iterator[Metric]:
    names = ("worker", "host", "device")
    seen = [((w.record.card.name, w.record.card.host, w.record.card.device.value), w) for w in now.workers]
    up = [(labels, float(w.record.alive)) for labels, w in seen]
    yield _gauge("proctor_worker_up", "Whether a worker was heard of lately.", names, up)
    last = [(labels, w.record.seen_at.timestamp()) for labels, w in seen]
    yield _gauge("proctor_worker_last_seen_timestamp_seconds", "When a worker was last heard of.", names, last)
    busy = [(labels, float(w.record.run_id is not None)) for labels, w in seen]
    yield _gauge("proctor_worker_busy", "Whether a worker is at a Run.", names, busy)
    pace = [(labels, w.answers_per_s) for labels, w in seen]
    yield _gauge("proctor_worker_answers_per_second", "A worker's Answers a second, last minute.", names, pace)


Samples = Sequence[tuple[tuple[str, ...], float]]


def _gauge(name: str, help_text: str, labels: Sequence[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _counter(name: str, help_text: str, labels: Sequence[str], samples: Samples) -> Metric:
    """A counter; the text format shows it as `NAME_total`."""
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
