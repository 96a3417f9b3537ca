-- What becomes of a new run while another one of its conversation is live (docs/run-lifecycle.md).
ALTER TABLE conversations ADD COLUMN run_policy text NOT NULL DEFAULT 'allow'
    CHECK (run_policy IN ('allow', 'reject', 'enqueue', 'interrupt', 'rollback'));

-- Pending runs that wait for those before them in their conversation. The place in the queue of one that is here is due
-- never, so that no worker claims it and no engine is told of it; `due_at` is when it was due. `cancels`: the runs that it
-- interrupts.
CREATE TABLE conversation_line (
    project_id       uuid NOT NULL,
    conversation_id  uuid NOT NULL,
    position         bigint GENERATED ALWAYS AS IDENTITY,
    run_id           text NOT NULL,
    due_at           timestamptz NOT NULL,
    cancels          text[] NOT NULL,
    PRIMARY KEY (project_id, conversation_id, position),
    UNIQUE (project_id, run_id),
    FOREIGN KEY (project_id, run_id) REFERENCES run_head ON DELETE CASCADE
);
