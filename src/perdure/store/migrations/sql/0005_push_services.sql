-- Runtimes of other people that runs are handed to over HTTP, and who holds which run.
CREATE TABLE push_services (
    id                 uuid PRIMARY KEY,
    project_id         uuid REFERENCES projects ON DELETE CASCADE,
    scope_key          text NOT NULL,
    service_key        text NOT NULL,
    service_name       text NOT NULL,
    agent_id           text,
    base_url           text NOT NULL,
    invoke_url         text NOT NULL,
    version            text,
    runtime            text,
    region             text,
    status             text NOT NULL CHECK (status IN ('active', 'disabled')),
    last_heartbeat_at  timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    UNIQUE (scope_key, service_key),
    CONSTRAINT push_services_global_iff_no_project CHECK ((project_id IS NULL) = (scope_key = 'global'))
);
CREATE INDEX push_services_by_project ON push_services (project_id);
CREATE INDEX push_services_heard_of ON push_services (last_heartbeat_at) WHERE status = 'active';

-- The service that holds a run, or may hold it; `tries`: dispatches since one was accepted. `told_event_id`: the end of
-- the log when it was last told something. `errand`: what it is still to be told, when, and how often that was tried.
CREATE TABLE push_runs (
    project_id     uuid NOT NULL,
    run_id         text NOT NULL,
    service_id     uuid REFERENCES push_services ON DELETE SET NULL,
    tries          int NOT NULL DEFAULT 0,
    told_event_id  bigint,
    errand         text CHECK (errand IN ('cancel', 'resume')),
    errand_at      timestamptz,
    errand_tries   int NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE,
    CONSTRAINT push_runs_errand_has_time CHECK ((errand IS NULL) = (errand_at IS NULL))
);
CREATE INDEX push_runs_by_service ON push_runs (service_id);
CREATE INDEX push_runs_errands ON push_runs (errand_at) WHERE errand IS NOT NULL;
