-- What is made from the logs and can be made from them again at any time (docs/operations.md).

-- How far all of it is, in one row. `ended_to`: every run that ended before was projected. A rebuild begins a new
-- generation; a projection of an older one is made anew from the log's beginning.
CREATE TABLE projection_progress (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    generation  int NOT NULL DEFAULT 1,
    rebuilding  boolean NOT NULL DEFAULT false,
    ended_to    timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO projection_progress DEFAULT VALUES;

-- How far one run is: its log up to `event_id`, its row as of `run_updated_at`, and what the next event needs to be known.
CREATE TABLE run_projections (
    project_id         uuid NOT NULL,
    run_id             text NOT NULL,
    revision           int NOT NULL,
    generation         int NOT NULL,
    event_id           bigint NOT NULL,
    run_updated_at     timestamptz NOT NULL,
    first_response_ts  bigint,
    told_model_calls   boolean NOT NULL DEFAULT false,
    state              text NOT NULL,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE
) WITH (fillfactor = 80);

-- What a run is found by. Words are kept as they are written (configuration `simple`): agents speak every language.
CREATE TABLE run_texts (
    project_id  uuid NOT NULL,
    run_id      text NOT NULL,
    document    tsvector NOT NULL,
    PRIMARY KEY (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES run_projections ON DELETE CASCADE
);
CREATE INDEX run_texts_by_word ON run_texts USING gin (document);

-- Calls of models and tools: from the log, or told by the program that made them (vertesia.md 1.5).
CREATE TABLE run_calls (
    project_id           uuid NOT NULL,
    run_id               text NOT NULL,
    call_key             text NOT NULL,
    source               text NOT NULL CHECK (source IN ('log', 'told')),
    kind                 text NOT NULL CHECK (kind IN ('llm', 'tool', 'run')),
    at                   timestamptz NOT NULL,
    event_id             bigint,
    duration_ms          bigint,
    success              boolean NOT NULL,
    error_type           text,
    error_message        text,
    model                text,
    environment          text,
    tool                 text,
    tool_type            text,
    tool_call_id         text,
    iteration            int,
    call_type            text,
    nested               boolean NOT NULL DEFAULT false,
    attempt              int,
    input_tokens         bigint,
    output_tokens        bigint,
    cached_input_tokens  bigint,
    cache_write_tokens   bigint,
    input_bytes          bigint,
    output_bytes         bigint,
    tool_use_count       int,
    parameters           json,
    PRIMARY KEY (project_id, run_id, call_key),
    FOREIGN KEY (project_id, run_id) REFERENCES run_projections ON DELETE CASCADE
);
CREATE INDEX run_calls_in_time ON run_calls (project_id, at);

-- One entry for each run that has ended: what the projector reads.
CREATE INDEX runs_ended ON runs (updated_at) WHERE status IN ('completed', 'failed', 'cancelled');
