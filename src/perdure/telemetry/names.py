"""The contract with operators: every log line, metric and span that Perdure emits, each with its meaning.

Dashboards and alerts hang on these names: they are added to, and not changed without an entry in CHANGELOG.md.
`docs/operations.md` lists them; a test compares. Nothing else in the package spells such a name.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Self


class LogLine(StrEnum):
    """The `event` of a log line, and the fields that it brings besides the bound ones."""

    meaning: str
    fields: str

    def __new__(cls, value: str, meaning: str, fields: str = "") -> Self:
        line = str.__new__(cls, value)
        line._value_ = value
        line.meaning = meaning
        line.fields = fields
        return line

    EMBEDDED_CREATED = "embedded.created", "A new embedded PostgreSQL cluster was made.", "folder, user"
    EMBEDDED_STARTED = "embedded.started", "The embedded PostgreSQL accepts connections.", "folder, pid, joined"
    EMBEDDED_STOPPED = "embedded.stopped", "The last owner stopped the embedded PostgreSQL.", "folder"
    EMBEDDED_USER = "embedded.user", "A way to make the system user for PostgreSQL did not work here.", "command, error"
    EMBEDDED_PASSAGE = "embedded.passage", "As root: a folder above the data became passable.", "folder, user"

    DATABASE_AWAY = "database.away", "PostgreSQL does not answer; it is tried again.", "error"
    DATABASE_BACK = "database.back", "PostgreSQL answers again.", "seconds"
    DATABASE_MIGRATED = "database.migrated", "The schema was brought to the newest revision.", "revision"
    LISTENER_LOST = "listener.lost", "The LISTEN connection broke; followers read the store until it is back.", "error"
    NOTIFY_FAILED = "notify.failed", "A hint to other processes was not sent; they find out by themselves.", "error"

    SERVER_STARTING = "server.starting", "A process starts.", "version, role, engine"
    SERVER_READY = "server.ready", "Runs are accepted and executed from here on.", "url"
    SERVER_STOPPING = "server.stopping", "The process was told to stop, and drains.", ""
    SERVER_STOPPED = "server.stopped", "Everything was closed.", ""
    LOOP_LAGS = "loop.lags", "The event loop did not get to run in time; `/readyz` says so.", "seconds"
    KEY_BOOTSTRAPPED = "key.bootstrapped", "The bootstrap API key is an administrator of the default project.", "prefix"

    REQUEST_SERVED = (
        "request.served",
        "An HTTP request was answered (debug).",
        "method, route, status, seconds",
    )
    REQUEST_FAILED = (
        "request.failed",
        "An HTTP request met an error of ours and was answered 500.",
        "method, route, error",
    )
    STREAM_ENDED = "stream.ended", "An event stream to a client ended (debug).", "reason, seconds"

    RUN_CREATED = "run.created", "A run was recorded (debug).", "kind, target"
    RUN_CLAIMED = "run.claimed", "A worker took a run; its attempt begins (debug).", "kind, target, fence"
    RUN_WAITING = "run.waiting", "A run waits, and holds no worker.", "waiting_for"
    RUN_ENDED = "run.ended", "A run reached a terminal status.", "status, code, seconds"
    RUN_FAILED = "run.failed", "An agent or function raised; its run fails.", ""
    RUN_RETRIED = "run.retried", "An attempt ended without a result, and another follows.", "reason"
    RUN_HANDED_BACK = "run.handed_back", "A draining worker gave its run back to the queue.", "reason"
    RUN_PAST_DEADLINE = "run.past_deadline", "A run had not ended at its deadline; it failed.", "run_id"
    RUN_TIMED_OUT = "run.timed_out", "A run took longer than its timeout_seconds; it failed.", "run_id"
    RUN_CANCELLING = "run.cancelling", "A run's worker, if it has one, was told to cancel it.", "run_id"
    STEP_REPLAYED = "step.replayed", "A recorded step was taken from the log (debug).", "step"

    SCHEDULE_FIRED = "schedule.fired", "A schedule's fire started a run.", "schedule_id, fire_at, run_id"
    SCHEDULE_SKIPPED = (
        "schedule.skipped",
        "A schedule's fire started nothing: its concurrency is Forbid, and an earlier run goes on.",
        "schedule_id, fire_at",
    )
    SCHEDULE_FAILED = "schedule.failed", "A schedule's fire could not start its run.", "schedule_id, fire_at, error"
    WEBHOOK_DELIVERED = "webhook.delivered", "A delivery to a webhook has a run.", "webhook_id, run_id, duplicate"
    WEBHOOK_FAILED = "webhook.failed", "A delivery to a webhook could not start its run.", "webhook_id, error"

    WORKER_STARTED = "worker.started", "A worker begins to claim.", "worker_id, concurrency, targets"
    WORKER_DRAINING = "worker.draining", "A worker claims nothing more and finishes what it has.", "worker_id, runs"
    WORKER_STOPPED = "worker.stopped", "A worker ended.", "worker_id"
    ATTEMPT_BROKEN = (
        "attempt.broken",
        "An attempt met an error of ours; its run goes back to the queue.",
        "run_id, attempt",
    )
    CLAIM_FAILED = "claim.failed", "Claiming met an error; the worker tries again.", "error"
    HEARTBEAT_FAILED = "heartbeat.failed", "Leases were not renewed; it is tried again until they expire.", "error"
    ENGINE_AWAY = "engine.away", "Temporal does not answer; it is tried again.", "address, error"
    ENGINE_BACK = "engine.back", "Temporal answers again.", "seconds"
    ENGINE_FAILED = "engine.failed", "Telling Temporal of runs, or taking them, met an error; it is tried again."
    ENGINE_UNSEARCHABLE = (
        "engine.unsearchable",
        "Temporal does not let us add search attributes; workflows are found by their ids only.",
        "error",
    )
    RUNS_RECOVERED = (
        "runs.recovered",
        "Runs of lost workers went back to the queue, or cancels that no worker answered were carried out.",
        "expired_leases, overdue_cancels",
    )
    PROJECTING_FAILED = "projecting.failed", "Keeping search and analytics current met an error; it is tried again."
    PROJECTIONS_REBUILT = "projections.rebuilt", "All projections were made anew from the logs.", "runs"
    MAINTENANCE_FAILED = "maintenance.failed", "Looking after the queue met an error; it is tried again."
    FILES_AWAY = "files.away", "The store of files, or the database, does not answer; it is tried again.", "error"
    FILE_MAINTENANCE_FAILED = "files.maintenance_failed", "Removing old files met an error; it is tried again."
    LEASE_LOST = "lease.lost", "A worker found that its lease is gone, and dropped its attempt.", "fence"
    LEASE_EXPIRED = "lease.expired", "A lease expired; the run can be claimed again.", "run_id, fence"
    PUSH_ACCEPTED = "push.accepted", "A push runtime took a run.", "run_id, service"
    PUSH_FAILED = (
        "push.failed",
        "A push runtime did not take a run; it is sent again.",
        "run_id, service, tries, reason",
    )
    PUSH_REFUSED = "push.refused", "A run that no push runtime takes failed.", "run_id, code, reason"
    PUSH_UNTOLD = (
        "push.untold",
        "A push runtime was not told of a cancel or a tool result: it has forgotten the run, or cannot be reached.",
        "run_id, errand, tries, reason",
    )
    PUSH_BROKEN = "push.broken", "Serving push runtimes met an error of ours; it is tried again."
    NOTICE_FAILED = (
        "notice.failed",
        "A URL that wants to hear of a run's end was not told; it is not tried again.",
        "run_id, host, reason",
    )
    WRITE_FENCED = "write.fenced", "A write of an outdated attempt was refused.", "fence"
    APPEND_FAILED = "append.failed", "Appending met an error of ours; the caller was told.", "error"
    FOLLOW_FAILED = "follow.failed", "Reading for followers met an error of ours; it is tried again."
    FOLLOWER_SLOW = (
        "follower.slow",
        "A follower fell behind its buffer and reads the store (debug).",
        "event_id",
    )

    TRACING_ON = "tracing.on", "Spans are exported.", "exporter, endpoint"
    TRACING_PROTOCOL = "tracing.protocol", "The asked protocol is not supported; http/protobuf is used.", "asked"


class Kind(StrEnum):
    """Prometheus's kinds of metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SLOW = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class MetricName(Enum):
    """A metric's name with its kind, meaning, labels and, for a histogram, the upper bounds of its buckets."""

    def __init__(
        self, text: str, kind: Kind, meaning: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = ()
    ) -> None:
        self.text = text
        self.kind = kind
        self.meaning = meaning
        self.labels = labels
        self.buckets = buckets

    QUEUE_DEPTH = "perdure_queue_depth", Kind.GAUGE, "Runs in the queue.", ("state",)
    QUEUE_OLDEST_AGE = (
        "perdure_queue_oldest_age_seconds",
        Kind.GAUGE,
        "How long the oldest run that could be claimed has waited; 0 when there is none.",
    )
    CLAIM_LATENCY = (
        "perdure_claim_latency_seconds",
        Kind.HISTOGRAM,
        "From the moment when a run could be claimed to its claim by this process.",
        (),
        _SLOW,
    )
    WORKER_RUNS = "perdure_worker_runs", Kind.GAUGE, "Attempts that this process is executing."
    ATTEMPTS = "perdure_attempts_total", Kind.COUNTER, "Attempts that ended in this process.", ("kind", "outcome")
    STEPS = "perdure_steps_total", Kind.COUNTER, "Durable steps, executed or replayed from the log.", ("source",)
    LEASE_EXPIRIES = (
        "perdure_lease_expiries_total",
        Kind.COUNTER,
        "Leases that this process found expired and took back.",
    )
    FENCED_WRITES = "perdure_fenced_writes_total", Kind.COUNTER, "Writes of outdated attempts that were refused."

    COMMIT_LATENCY = (
        "perdure_append_latency_seconds",
        Kind.HISTOGRAM,
        "One commit of appends, from sending it to its durable answer.",
        (),
        _FAST,
    )
    COMMIT_APPENDS = (
        "perdure_append_commit_appends",
        Kind.HISTOGRAM,
        "Appends that one commit carried.",
        (),
        _SIZES,
    )
    COMMIT_EVENTS = (
        "perdure_append_commit_events",
        Kind.HISTOGRAM,
        "Events that one commit carried.",
        (),
        _SIZES,
    )
    APPENDS_REFUSED = "perdure_appends_refused_total", Kind.COUNTER, "Appends that were refused.", ("code",)

    FOLLOWERS = "perdure_followers", Kind.GAUGE, "Open followers of runs in this process."
    FOLLOWER_LAG = (
        "perdure_follower_lag_seconds",
        Kind.HISTOGRAM,
        "From an event's time to its delivery to a live follower.",
        (),
        _FAST,
    )
    FOLLOWER_CATCH_UPS = (
        "perdure_follower_catch_up_seconds",
        Kind.HISTOGRAM,
        "How long a follower that was behind read the store until it was live (one for each time that it fell behind).",
        (),
        _FAST,
    )

    SCHEDULE_FIRES = "perdure_schedule_fires_total", Kind.COUNTER, "Fires of schedules.", ("outcome",)
    WEBHOOK_DELIVERIES = "perdure_webhook_deliveries_total", Kind.COUNTER, "Deliveries to webhooks.", ("outcome",)

    RUNS_PROJECTED = (
        "perdure_runs_projected_total",
        Kind.COUNTER,
        "Times that this process brought what a run is found and measured by to the end of its log.",
    )
    PROJECTION_LAG = (
        "perdure_projection_lag_seconds",
        Kind.GAUGE,
        "Age of the last event of the live run that search and analytics are furthest behind with, else 0.",
    )
    RUNS = "perdure_runs", Kind.GAUGE, "Runs in the database by status.", ("status",)
    HTTP_REQUESTS = "perdure_http_requests_total", Kind.COUNTER, "Answered requests.", ("method", "route", "status")
    HTTP_LATENCY = (
        "perdure_http_request_seconds",
        Kind.HISTOGRAM,
        "From a request to the start of its answer; of a stream, to its first byte.",
        ("method", "route"),
        _FAST,
    )
    LOOP_LAG = "perdure_event_loop_lag_seconds", Kind.GAUGE, "How late the event loop last came to run a timer."


class SpanName(StrEnum):
    """A span's name; where it has a `{place}`, the name in the trace holds the value (OpenTelemetry's gen_ai rules)."""

    meaning: str
    attributes: str

    def __new__(cls, value: str, meaning: str, attributes: str) -> Self:
        span = str.__new__(cls, value)
        span._value_ = value
        span.meaning = meaning
        span.attributes = attributes
        return span

    RUN = (
        "run {kind}",
        "A whole run, from creation to its end; sent when it ends. Root of the run's trace.",
        "perdure.run.id, perdure.project.id, perdure.run.kind, perdure.run.target, perdure.run.attempt,"
        " perdure.run.status",
    )
    ATTEMPT = (
        "invoke_agent {target}",
        "One attempt of a run on one worker; a kind other than agent says `attempt {target}`.",
        "perdure.run.id, perdure.project.id, perdure.run.kind, perdure.run.target, perdure.run.attempt,"
        " gen_ai.operation.name, gen_ai.agent.name, gen_ai.conversation.id",
    )
    MODEL_CALL = (
        "chat {model}",
        "One request to a model (a replayed one has no span).",
        "gen_ai.operation.name, gen_ai.provider.name, gen_ai.request.model, gen_ai.response.model, gen_ai.response.id,"
        " gen_ai.response.finish_reasons, gen_ai.usage.input_tokens, gen_ai.usage.output_tokens",
    )
    TOOL_CALL = (
        "execute_tool {tool}",
        "One execution of a tool (a replayed one has no span).",
        "gen_ai.operation.name, gen_ai.tool.name, gen_ai.tool.type, gen_ai.tool.call.id",
    )
