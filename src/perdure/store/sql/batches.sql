-- name: create_batch
-- Create a batch with all of its task runs, their heads and their places in the queue; nothing at all when the batch exists.
WITH batch AS (
    INSERT INTO batches (project_id, id, request_hash, created_by, created_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
    RETURNING project_id, id, created_by, created_at
), created AS (
    INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, target, root_run_id, batch_id, tags, spec, status,
                      created_by, request_hash, created_at, updated_at, priority, run_after, deadline)
    SELECT b.project_id, t.run_id, 'task', 'project', b.project_id, t.target, t.run_id, b.id, '{}', t.spec::json,
           'pending', b.created_by, t.request_hash, b.created_at, b.created_at, $11, $12, $13
    FROM batch b, unnest($6::text[], $7::text[], $8::text[], $9::bytea[]) AS t(run_id, target, spec, request_hash)
    RETURNING project_id, run_id, created_at, priority, run_after
), head AS (
    INSERT INTO run_head (project_id, run_id, status, executor)
    SELECT project_id, run_id, 'pending', 'engine' FROM created
), queued AS (
    INSERT INTO run_queue (project_id, run_id, route, priority, available_at)
    SELECT c.project_id, c.run_id, q.route, c.priority, greatest(c.created_at, c.run_after)
    FROM created c JOIN unnest($6::text[], $10::text[]) AS q(run_id, route) ON q.run_id = c.run_id
)
SELECT count(*) FROM created;

-- name: get_batch
-- A batch that was sent as one or cancelled.
SELECT project_id, id, request_hash, created_at, cancelled_at FROM batches WHERE project_id = $1 AND id = $2;

-- name: count_batch
-- How many runs of a batch have which status, and when the first one was created.
SELECT status, count(*) AS runs, min(created_at) AS created_at
FROM runs WHERE project_id = $1 AND batch_id = $2 GROUP BY status;

-- name: list_batch_runs
-- The runs that were created with a batch, in the order of their requests.
SELECT r.run_id
FROM batches b JOIN runs r ON r.project_id = b.project_id AND r.batch_id = b.id AND r.created_at = b.created_at
WHERE b.project_id = $1 AND b.id = $2
ORDER BY r.run_id;

-- name: mark_batch_cancelled
-- Write down that a batch is to be cancelled; the first wish counts, and runs that have joined since are meant again.
INSERT INTO batches (project_id, id, created_by, created_at, cancelled_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (project_id, id) DO UPDATE
SET cancelled_at = coalesce(batches.cancelled_at, excluded.cancelled_at), settled_at = NULL;

-- name: cancellable_runs
-- Live runs of a batch that were not told to end yet.
SELECT r.run_id
FROM runs r JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
WHERE r.project_id = $1 AND r.batch_id = $2 AND r.status IN ('pending', 'running', 'waiting') AND NOT h.cancelling
LIMIT $3;

-- name: cancel_unbegun_runs
-- Move runs of a batch that nobody has begun, and that no other run waits for: as transition_run does, many in one statement.
WITH chosen AS (
    SELECT h.project_id, h.run_id
    FROM runs r JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
    WHERE r.project_id = $1 AND r.batch_id = $2 AND r.status = 'pending' AND r.parent_run_id IS NULL
      AND h.status = 'pending' AND h.executor = 'engine' AND h.attempt = 0 AND h.latest_event_id = 0
    LIMIT $3
    FOR UPDATE OF h SKIP LOCKED
), head AS (
    UPDATE run_head h
    SET status = 'cancelled', fence = h.fence + 1, revision = h.revision + 1, version = NULL,
        latest_event_id = 1, last_ts = greatest(h.last_ts, $4::bigint - 1) + 1
    FROM chosen
    WHERE h.project_id = chosen.project_id AND h.run_id = chosen.run_id
    RETURNING h.project_id, h.run_id, h.last_ts
), stored AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)
    SELECT project_id, run_id, 1, 1, last_ts, true, ARRAY[$5::text], $6 FROM head
), wide AS (
    UPDATE runs r
    SET status = 'cancelled', completed_at = $7, updated_at = $7, error_code = $8, error_message = $9
    FROM head
    WHERE r.project_id = head.project_id AND r.run_id = head.run_id
), removed AS (
    DELETE FROM run_queue q USING head WHERE q.project_id = head.project_id AND q.run_id = head.run_id
)
SELECT run_id FROM head;

-- name: cancelling_batches
-- System: batches whose cancel is not done yet.
SELECT project_id, id FROM batches WHERE cancelled_at IS NOT NULL AND settled_at IS NULL ORDER BY cancelled_at LIMIT $1;

-- name: settle_batch
-- Write down that all runs of a cancelled batch were told.
UPDATE batches SET settled_at = $3 WHERE project_id = $1 AND id = $2 AND cancelled_at IS NOT NULL;
