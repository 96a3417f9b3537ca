-- Batches that were sent as one (request_hash), and those whose cancel was asked for. The runs say what belongs to a batch.
CREATE TABLE batches (
    project_id    uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
    id            uuid NOT NULL,
    request_hash  bytea,
    created_by    text,
    created_at    timestamptz NOT NULL,
    cancelled_at  timestamptz,
    settled_at    timestamptz,
    PRIMARY KEY (project_id, id),
    CONSTRAINT batches_settled_when_cancelled CHECK (settled_at IS NULL OR cancelled_at IS NOT NULL)
);
CREATE INDEX batches_cancelling ON batches (cancelled_at) WHERE cancelled_at IS NOT NULL AND settled_at IS NULL;
CREATE INDEX runs_by_batch ON runs (project_id, batch_id, status) WHERE batch_id IS NOT NULL;
