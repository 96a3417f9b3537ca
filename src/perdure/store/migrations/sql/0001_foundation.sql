-- Every table but `catalog` and `workers` carries project_id: a row belongs to one project.

CREATE TABLE projects (
    id          uuid PRIMARY KEY,
    slug        text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9](-?[a-z0-9])*$' AND length(slug) <= 63),
    name        text NOT NULL,
    created_at  timestamptz NOT NULL
);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    project_id   uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    prefix       text NOT NULL UNIQUE,
    secret_hash  bytea NOT NULL,
    name         text NOT NULL,
    scopes       text[] NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_by_project ON api_keys (project_id, created_at);

CREATE TABLE conversations (
    project_id  uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    id          uuid NOT NULL,
    type        text NOT NULL DEFAULT 'chat',
    title       text,
    metadata    json,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX conversations_newest ON conversations (project_id, created_at DESC, id DESC);

CREATE TABLE messages (
    project_id       uuid NOT NULL,
    conversation_id  uuid NOT NULL,
    id               uuid NOT NULL,
    position         bigint GENERATED ALWAYS AS IDENTITY,
    parent_id        uuid,
    run_id           text,
    role             text NOT NULL,
    status           text NOT NULL CHECK (status IN
                       ('pending', 'streaming', 'completed', 'error', 'failed', 'cancelled', 'stopped')),
    parts            json NOT NULL,
    metadata         json,
    idempotency_key  text,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (project_id, id),
    FOREIGN KEY (project_id, conversation_id) REFERENCES conversations ON DELETE CASCADE
);
CREATE INDEX messages_in_order ON messages (project_id, conversation_id, position);
CREATE UNIQUE INDEX messages_once ON messages (project_id, conversation_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- What a run is: wide, written when it is created and when its status moves.
CREATE TABLE runs (
    project_id       uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    run_id           text NOT NULL CHECK (length(run_id) BETWEEN 1 AND 128),
    kind             text NOT NULL CHECK (kind IN ('agent', 'workflow', 'task', 'eval')),
    owner_kind       text NOT NULL CHECK (owner_kind IN ('conversation', 'project')),
    owner_id         uuid NOT NULL,
    agent_id         text,
    target           text,
    parent_run_id    text,
    root_run_id      text NOT NULL,
    conversation_id  uuid,
    message_id       uuid,
    batch_id         uuid,
    tags             text[] NOT NULL DEFAULT '{}',
    spec             json NOT NULL,
    input            json,
    status           text NOT NULL CHECK (status IN
                       ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
    output           json,
    error_code       text,
    error_message    text,
    metadata         json,
    created_by       text,
    idempotency_key  text,
    request_hash     bytea NOT NULL,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    completed_at     timestamptz,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, conversation_id) REFERENCES conversations ON DELETE CASCADE,
    CONSTRAINT runs_completed_iff_terminal
        CHECK ((completed_at IS NOT NULL) = (status IN ('completed', 'failed', 'cancelled'))),
    CONSTRAINT runs_error_only_if_ended_badly
        CHECK (status IN ('failed', 'cancelled') OR (error_message IS NULL AND error_code IS NULL))
);
CREATE INDEX runs_newest ON runs (project_id, created_at DESC, run_id DESC);
CREATE INDEX runs_by_status ON runs (project_id, status, created_at DESC, run_id DESC);
CREATE INDEX runs_by_agent ON runs (project_id, agent_id, created_at DESC, run_id DESC);
CREATE INDEX runs_by_target ON runs (project_id, target, created_at DESC, run_id DESC);
CREATE INDEX runs_by_parent ON runs (project_id, parent_run_id, created_at DESC, run_id DESC)
    WHERE parent_run_id IS NOT NULL;
CREATE INDEX runs_by_conversation ON runs (project_id, conversation_id, created_at DESC, run_id DESC)
    WHERE conversation_id IS NOT NULL;
CREATE INDEX runs_by_tag ON runs USING gin (tags);
CREATE INDEX runs_live ON runs (status) WHERE status IN ('pending', 'running', 'waiting');
CREATE UNIQUE INDEX runs_once ON runs (project_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What moves with the log: narrow, updated in place by each append (no index but the key, so the update stays in its page).
CREATE TABLE run_head (
    project_id                uuid NOT NULL,
    run_id                    text NOT NULL,
    status                    text NOT NULL CHECK (status IN
                                ('pending', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
    executor                  text NOT NULL CHECK (executor IN ('engine', 'caller', 'external')),
    revision                  int NOT NULL DEFAULT 0,
    attempt                   int NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    fence                     int NOT NULL DEFAULT 0 CHECK (fence >= 0),
    cancelling                boolean NOT NULL DEFAULT false,
    latest_event_id           bigint NOT NULL DEFAULT 0,
    latest_external_sequence  bigint NOT NULL DEFAULT 0,
    last_ts                   bigint NOT NULL DEFAULT 0,
    waiting                   json,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE,
    CONSTRAINT run_head_waiting_iff_waiting CHECK ((waiting IS NOT NULL) = (status = 'waiting')),
    CONSTRAINT run_head_counters CHECK (latest_external_sequence BETWEEN 0 AND latest_event_id),
    CONSTRAINT run_head_cancelling_while_running CHECK (NOT cancelling OR status = 'running'),
    CONSTRAINT run_head_running_has_attempt CHECK (status NOT IN ('running', 'waiting') OR attempt > 0)
) WITH (fillfactor = 60);

-- The log: one row for each append (and visibility), its events a JSON array with one event a line.
CREATE TABLE run_events (
    project_id               uuid NOT NULL,
    run_id                   text NOT NULL,
    first_event_id           bigint NOT NULL CHECK (first_event_id > 0),
    last_event_id            bigint NOT NULL,
    first_ts                 bigint NOT NULL,
    first_external_sequence  bigint,
    public                   boolean NOT NULL,
    types                    text[] NOT NULL,
    events                   text NOT NULL,
    PRIMARY KEY (project_id, run_id, first_event_id),
    -- The head, not the wide row: an append holds the head already, so checking this waits for nobody.
    FOREIGN KEY (project_id, run_id) REFERENCES run_head ON DELETE CASCADE,
    CONSTRAINT run_events_row_is_whole
        CHECK (last_event_id >= first_event_id AND last_event_id - first_event_id + 1 = cardinality(types)),
    CONSTRAINT run_events_only_public_ones_count CHECK (public OR first_external_sequence IS NULL)
);

-- One event a row, for people with psql.
CREATE VIEW run_events_flat AS
    SELECT e.project_id, e.run_id,
           e.first_event_id + item.position - 1 AS event_id,
           to_timestamp((e.first_ts + item.position - 1) / 1000.0) AS at,
           e.first_external_sequence + item.position - 1 AS external_sequence,
           e.public,
           e.types[item.position] AS type,
           item.event
    FROM run_events e,
         json_array_elements(e.events::json) WITH ORDINALITY AS item(event, position);

-- The postgres engine's queue: a row while a run waits for a worker (no lease) or is held by one (lease).
CREATE TABLE run_queue (
    project_id        uuid NOT NULL,
    run_id            text NOT NULL,
    route             text NOT NULL,
    priority          smallint NOT NULL DEFAULT 0,
    available_at      timestamptz NOT NULL,
    lease_owner       text,
    lease_expires_at  timestamptz,
    fence             int,
    cancel_at         timestamptz,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES run_head ON DELETE CASCADE,
    CONSTRAINT run_queue_lease_is_whole
        CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL) AND (lease_owner IS NULL) = (fence IS NULL)),
    CONSTRAINT run_queue_cancel_of_a_held_run CHECK (cancel_at IS NULL OR lease_owner IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX run_queue_due ON run_queue (route, priority DESC, available_at) WHERE lease_owner IS NULL;
CREATE INDEX run_queue_leases ON run_queue (lease_expires_at) WHERE lease_owner IS NOT NULL;
CREATE INDEX run_queue_owners ON run_queue (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX run_queue_cancels ON run_queue (cancel_at) WHERE cancel_at IS NOT NULL;

-- What workers serve, kept while none is alive, so that a run can be accepted and wait for one.
CREATE TABLE catalog (
    kind          text NOT NULL,
    name          text NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE workers (
    id            text PRIMARY KEY,
    routes        text[] NOT NULL,
    concurrency   int NOT NULL,
    started_at    timestamptz NOT NULL,
    heartbeat_at  timestamptz NOT NULL
);

-- A run as readers want it: the wide row with its counters and its cancel flag.
CREATE VIEW runs_whole AS
    SELECT r.project_id, r.run_id, r.kind, r.owner_kind, r.owner_id, r.agent_id, r.target, r.parent_run_id, r.root_run_id,
           r.conversation_id, r.message_id, r.batch_id, r.tags, r.spec, r.input, r.output, r.error_code, r.error_message,
           r.metadata, r.created_by, r.idempotency_key, r.request_hash, r.created_at, r.started_at, r.completed_at,
           r.updated_at, r.status AS listed_status,
           h.status, h.executor, h.revision, h.attempt, h.fence, h.cancelling, h.waiting,
           h.latest_event_id, h.latest_external_sequence, h.last_ts
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id;
