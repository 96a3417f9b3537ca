-- What AG-UI clients call a run that goes on with one of ours which waited: their id, our run, and the event it follows.
CREATE TABLE ag_ui_turns (
    project_id      uuid NOT NULL,
    turn_id         text NOT NULL,
    run_id          text NOT NULL,
    after_event_id  bigint NOT NULL,
    PRIMARY KEY (project_id, turn_id),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE
);
CREATE INDEX ag_ui_turns_of_run ON ag_ui_turns (project_id, run_id, after_event_id);

-- Agents that are reached by a URL and served by any worker. The headers are readable: they are sent with each call.
CREATE TABLE remote_agents (
    project_id   uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    name         text NOT NULL,
    url          text NOT NULL,
    headers      json NOT NULL,
    description  text,
    created_by   text,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (project_id, name)
);
