-- What a name takes as its input, as the worker that served it last said.
ALTER TABLE catalog ADD COLUMN description text;
ALTER TABLE catalog ADD COLUMN version text;
ALTER TABLE catalog ADD COLUMN input_schema json;

ALTER TABLE workers ADD COLUMN version text;

-- The version of the code that executed a run last, while the run lives.
ALTER TABLE run_head ADD COLUMN version text;

-- When a run that waits goes on by itself. A row may be there in vain: it is looked at when its time has come.
CREATE TABLE run_timers (
    project_id  uuid NOT NULL,
    run_id      text NOT NULL,
    wake_at     timestamptz NOT NULL,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES run_head ON DELETE CASCADE
);
CREATE INDEX run_timers_due ON run_timers (wake_at);
