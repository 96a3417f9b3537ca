-- External workers, the sessions that they record, and the key that the server signs its tokens with.

-- One row for each registration: two processes with the same worker_key have leases of their own.
CREATE TABLE agent_workers (
    id                           uuid PRIMARY KEY,
    project_id                   uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    implementation_kind          text NOT NULL,
    implementation_display_name  text,
    worker_key                   text NOT NULL,
    display_name                 text,
    metadata                     json,
    token_hash                   bytea NOT NULL,
    created_at                   timestamptz NOT NULL,
    last_heartbeat_at            timestamptz NOT NULL
);
CREATE INDEX agent_workers_by_project ON agent_workers (project_id, last_heartbeat_at);

-- A run's session with a worker: the newest one, which the worker that takes the run over is told.
CREATE TABLE agent_worker_sessions (
    id                   uuid NOT NULL UNIQUE,
    project_id           uuid NOT NULL,
    run_id               text NOT NULL,
    implementation_kind  text NOT NULL,
    worker_id            uuid NOT NULL,
    session_key          text NOT NULL,
    status               text NOT NULL CHECK (status IN ('active', 'completed', 'failed', 'cancelled')),
    metadata             json,
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    ended_at             timestamptz,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE,
    CONSTRAINT agent_worker_sessions_ended_iff_over CHECK ((ended_at IS NOT NULL) = (status <> 'active'))
);

-- One row at most: all servers sign with the same key.
CREATE TABLE signing_keys (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    private_key  text NOT NULL,
    created_at   timestamptz NOT NULL
);

-- External workers take runs of one project; the engine's claim goes by route alone.
CREATE INDEX run_queue_due_external ON run_queue (project_id, route, priority DESC, available_at)
    WHERE lease_owner IS NULL AND left(route, 9) = 'external:';
