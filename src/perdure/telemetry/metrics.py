"""Metrics for Prometheus. Call sites say what happened; the names and labels stand in `perdure.telemetry.names`."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from perdure.telemetry.names import MetricName


class Metrics:
    """Everything that one process measures, in a registry of its own. Thread-safe, and cheap enough for each append."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._queue_depth = self._gauge(MetricName.QUEUE_DEPTH)
        self._queue_oldest_age = self._gauge(MetricName.QUEUE_OLDEST_AGE)
        self._claim_latency = self._histogram(MetricName.CLAIM_LATENCY)
        self._worker_runs = self._gauge(MetricName.WORKER_RUNS)
        self._attempts = self._counter(MetricName.ATTEMPTS)
        self._steps = self._counter(MetricName.STEPS)
        self._lease_expiries = self._counter(MetricName.LEASE_EXPIRIES)
        self._fenced_writes = self._counter(MetricName.FENCED_WRITES)
        self._commit_latency = self._histogram(MetricName.COMMIT_LATENCY)
        self._commit_appends = self._histogram(MetricName.COMMIT_APPENDS)
        self._commit_events = self._histogram(MetricName.COMMIT_EVENTS)
        self._appends_refused = self._counter(MetricName.APPENDS_REFUSED)
        self._followers = self._gauge(MetricName.FOLLOWERS)
        self._follower_lag = self._histogram(MetricName.FOLLOWER_LAG)
        self._follower_catch_ups = self._histogram(MetricName.FOLLOWER_CATCH_UPS)
        self._schedule_fires = self._counter(MetricName.SCHEDULE_FIRES)
        self._webhook_deliveries = self._counter(MetricName.WEBHOOK_DELIVERIES)
        self._runs_projected = self._counter(MetricName.RUNS_PROJECTED)
        self._projection_lag = self._gauge(MetricName.PROJECTION_LAG)
        self._runs = self._gauge(MetricName.RUNS)
        self._http_requests = self._counter(MetricName.HTTP_REQUESTS)
        self._http_latency = self._histogram(MetricName.HTTP_LATENCY)
        self._loop_lag = self._gauge(MetricName.LOOP_LAG)

    def render(self) -> bytes:
        """The text that Prometheus scrapes, of media type `content_type`."""
        return generate_latest(self._registry)

    # ── queue and workers ──

    def queue(self, *, pending: int, leased: int, oldest_age_seconds: float) -> None:
        """The queue as the database shows it just now."""
        self._queue_depth.labels("pending").set(pending)
        self._queue_depth.labels("leased").set(leased)
        self._queue_oldest_age.set(oldest_age_seconds)

    def claimed(self, waited_seconds: float) -> None:
        """This process claimed a run that could have been claimed `waited_seconds` ago."""
        self._claim_latency.observe(waited_seconds)

    def attempt_began(self) -> None:
        """An attempt begins to execute here."""
        self._worker_runs.inc()

    def attempt_ended(self, *, kind: str, outcome: str) -> None:
        """It ended. `outcome`: completed, failed, cancelled, waiting, retried, handed_back or lost."""
        self._worker_runs.dec()
        self._attempts.labels(kind, outcome).inc()

    def step(self, *, replayed: bool) -> None:
        """A durable step's result came from executing it, or from the log."""
        self._steps.labels("log" if replayed else "execution").inc()

    def leases_expired(self, count: int = 1) -> None:
        """Expired leases were taken back."""
        self._lease_expiries.inc(count)

    def write_fenced(self) -> None:
        """A write with an outdated fence was refused."""
        self._fenced_writes.inc()

    # ── the log ──

    def append_committed(self, *, appends: int, events: int, seconds: float) -> None:
        """One commit stored `events` events of `appends` appends."""
        self._commit_latency.observe(seconds)
        self._commit_appends.observe(appends)
        self._commit_events.observe(events)

    def append_refused(self, code: str) -> None:
        """An append was refused with this error code."""
        self._appends_refused.labels(code).inc()

    def follower_joined(self) -> None:
        """A follower of a run was opened."""
        self._followers.inc()

    def follower_left(self) -> None:
        """A follower was closed."""
        self._followers.dec()

    def follower_delivered(self, lag_seconds: float) -> None:
        """A live follower got events whose newest happened `lag_seconds` ago."""
        self._follower_lag.observe(max(0.0, lag_seconds))

    def follower_caught_up(self, seconds: float) -> None:
        """A follower that was behind is live again after `seconds`."""
        self._follower_catch_ups.observe(seconds)

    # ── what starts runs by itself ──

    def schedule_fired(self, outcome: str) -> None:
        """This process finished a fire. `outcome`: started, skipped or failed."""
        self._schedule_fires.labels(outcome).inc()

    def webhook_delivered(self, outcome: str) -> None:
        """A delivery came. `outcome`: started, duplicate, filtered, paused, failed or refused."""
        self._webhook_deliveries.labels(outcome).inc()

    # ── projections ──

    def runs_projected(self, count: int) -> None:
        """This process brought the projections of so many runs to the end of their logs."""
        self._runs_projected.inc(count)

    def projection_lag(self, seconds: float) -> None:
        """The last event of the live run that is furthest behind is this old."""
        self._projection_lag.set(seconds)

    # ── the whole ──

    def runs(self, by_status: Mapping[str, int]) -> None:
        """Runs in the database by status; a status that is not named has none."""
        self._runs.clear()
        for status, count in by_status.items():
            self._runs.labels(status).set(count)

    def http_request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the template (`/runs/{run_id}`), never the path: paths are unbounded."""
        self._http_requests.labels(method, route, str(status)).inc()
        self._http_latency.labels(method, route).observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """A timer on the event loop came this late."""
        self._loop_lag.set(seconds)

    def _counter(self, name: MetricName) -> Counter:
        return Counter(name.text, name.meaning, name.labels, registry=self._registry)

    def _gauge(self, name: MetricName) -> Gauge:
        return Gauge(name.text, name.meaning, name.labels, registry=self._registry)

    def _histogram(self, name: MetricName) -> Histogram:
        return Histogram(name.text, name.meaning, name.labels, registry=self._registry, buckets=name.buckets)
