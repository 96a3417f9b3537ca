-- Signed deliveries from elsewhere that start runs. The secret is readable: an HMAC cannot be checked with a hash of it.
CREATE TABLE webhooks (
    project_id   uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    id           uuid NOT NULL,
    name         text NOT NULL,
    status       text NOT NULL CHECK (status IN ('active', 'paused')),
    scheme       text NOT NULL CHECK (scheme IN ('standard', 'github')),
    secret       text NOT NULL,
    spec         json NOT NULL,
    last_error   text,
    created_by   text,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    revision     int NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, id)
);
-- A delivery names no project.
CREATE UNIQUE INDEX webhooks_by_id ON webhooks (id);
CREATE INDEX webhooks_in_order ON webhooks (project_id, created_at, id);

-- The deliveries that started a run. A run that is gone takes its delivery along.
CREATE TABLE webhook_deliveries (
    project_id   uuid NOT NULL,
    webhook_id   uuid NOT NULL,
    event_id     text NOT NULL,
    run_id       text NOT NULL,
    received_at  timestamptz NOT NULL,
    repeated     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (project_id, webhook_id, event_id),
    FOREIGN KEY (project_id, webhook_id) REFERENCES webhooks ON DELETE CASCADE,
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (project_id, webhook_id, received_at DESC, event_id DESC);
CREATE INDEX webhook_deliveries_of_run ON webhook_deliveries (project_id, run_id);

-- When the time of a run that has begun is over, in seconds since 1970: `overdue_runs` says the same expression. Only
-- runs that go on and have a timeout are in it.
CREATE INDEX runs_deadline ON runs (
    (extract(epoch FROM started_at - timestamptz '1970-01-01 00:00:00+00') + (spec ->> 'timeout_seconds')::bigint)
) WHERE status IN ('pending', 'running', 'waiting') AND started_at IS NOT NULL AND spec ->> 'timeout_seconds' IS NOT NULL;
