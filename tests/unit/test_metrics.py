"""What Prometheus scrapes."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from perdure.telemetry import MetricName, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_every_named_metric_is_there() -> None:
    families = {family.name for family in text_string_to_metric_families(Metrics().render().decode())}
    # The text format calls a counter's family by its name without `_total`.
    assert {name.text.removesuffix("_total") for name in MetricName} <= families


def test_each_instance_counts_for_itself() -> None:
    one, other = Metrics(), Metrics()
    one.write_fenced()
    name = ("perdure_fenced_writes_total", ())
    assert (samples(one)[name], samples(other)[name]) == (1, 0)


def test_what_happened_is_counted() -> None:
    metrics = Metrics()
    metrics.queue(pending=3, leased=2, oldest_age_seconds=1.5)
    metrics.claimed(0.02)
    metrics.attempt_began()
    metrics.attempt_began()
    metrics.attempt_ended(kind="agent", outcome="completed")
    metrics.step(replayed=True)
    metrics.leases_expired(2)
    metrics.append_committed(appends=3, events=7, seconds=0.004)
    metrics.append_refused("cursor_mismatch")
    metrics.follower_joined()
    metrics.follower_joined()
    metrics.follower_left()
    metrics.follower_delivered(-0.5)
    metrics.follower_caught_up(0.01)
    metrics.http_request(method="GET", route="/runs/{run_id}", status=200, seconds=0.003)
    metrics.loop_lag(0.001)
    found = samples(metrics)
    assert {
        ("perdure_queue_depth", (("state", "pending"),)): 3,
        ("perdure_queue_depth", (("state", "leased"),)): 2,
        ("perdure_queue_oldest_age_seconds", ()): 1.5,
        ("perdure_claim_latency_seconds_sum", ()): 0.02,
        ("perdure_worker_runs", ()): 1,
        ("perdure_attempts_total", (("kind", "agent"), ("outcome", "completed"))): 1,
        ("perdure_steps_total", (("source", "log"),)): 1,
        ("perdure_lease_expiries_total", ()): 2,
        ("perdure_append_latency_seconds_count", ()): 1,
        ("perdure_append_commit_appends_sum", ()): 3,
        ("perdure_append_commit_events_sum", ()): 7,
        ("perdure_appends_refused_total", (("code", "cursor_mismatch"),)): 1,
        ("perdure_followers", ()): 1,
        ("perdure_follower_lag_seconds_sum", ()): 0,
        ("perdure_follower_catch_up_seconds_count", ()): 1,
        (
            "perdure_http_requests_total",
            (("method", "GET"), ("route", "/runs/{run_id}"), ("status", "200")),
        ): 1,
        ("perdure_event_loop_lag_seconds", ()): 0.001,
    }.items() <= found.items()


def test_a_status_without_runs_disappears() -> None:
    metrics = Metrics()
    metrics.runs({"running": 2, "pending": 1})
    metrics.runs({"running": 1})
    runs = {labels: value for (name, labels), value in samples(metrics).items() if name == "perdure_runs"}
    assert runs == {(("status", "running"),): 1}
