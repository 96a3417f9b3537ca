-- Runs that a clock starts.
CREATE TABLE schedules (
    project_id         uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    id                 uuid NOT NULL,
    name               text NOT NULL,
    status             text NOT NULL CHECK (status IN ('active', 'paused', 'deleting')),
    definition_source  text NOT NULL CHECK (definition_source IN ('manual', 'source')),
    source_trigger_id  text,
    spec               json NOT NULL,
    max_runs           int CHECK (max_runs > 0),
    run_count          int NOT NULL DEFAULT 0,
    next_fire_at       timestamptz,
    firing_at          timestamptz,
    claimed_at         timestamptz,
    last_fire_at       timestamptz,
    last_run_id        text,
    last_error         text,
    created_by         text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    revision           int NOT NULL DEFAULT 0,
    PRIMARY KEY (project_id, id),
    CONSTRAINT schedules_active_iff_next CHECK ((next_fire_at IS NOT NULL) = (status = 'active')),
    CONSTRAINT schedules_fire_is_whole CHECK ((firing_at IS NULL) = (claimed_at IS NULL)),
    CONSTRAINT schedules_max_runs_kept CHECK (max_runs IS NULL OR status <> 'active' OR run_count < max_runs)
);
CREATE INDEX schedules_in_order ON schedules (project_id, created_at, id);
CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE next_fire_at IS NOT NULL;
CREATE INDEX schedules_firing ON schedules (claimed_at) WHERE firing_at IS NOT NULL;

-- The newest runs of a schedule: those that may still go on.
CREATE TABLE schedule_runs (
    project_id   uuid NOT NULL,
    run_id       text NOT NULL,
    schedule_id  uuid NOT NULL,
    fired_at     timestamptz NOT NULL,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE,
    FOREIGN KEY (project_id, schedule_id) REFERENCES schedules ON DELETE CASCADE
);
CREATE INDEX schedule_runs_by_schedule ON schedule_runs (project_id, schedule_id);
