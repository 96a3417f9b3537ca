-- name: claim_runs
-- System: take up to N due runs of the routes a worker serves; lease, fence, attempt, status and the event that says so move together.
WITH due AS (
    SELECT taken.project_id, taken.run_id, taken.priority, taken.available_at
    FROM unnest($1::text[]) AS served(route),
         LATERAL (
             SELECT q.project_id, q.run_id, q.priority, q.available_at
             FROM run_queue q
             JOIN run_head h ON h.project_id = q.project_id AND h.run_id = q.run_id
             WHERE q.route = served.route AND q.lease_owner IS NULL AND q.available_at <= $2 AND h.status = 'pending'
               -- One that a version of the code began is left to workers of that version, while one is alive.
               AND (h.version IS NULL OR h.version = (SELECT version FROM workers WHERE id = $4)
                    OR NOT EXISTS (SELECT FROM workers w
                                   WHERE w.version = h.version AND q.route = ANY (w.routes)
                                     AND w.heartbeat_at > $2::timestamptz - ($5::timestamptz - $2::timestamptz)))
             ORDER BY q.priority DESC, q.available_at
             LIMIT $3
             -- Locked here, so that workers at once take different runs. The head too: who moves a run locks its head
             -- before its place in the queue, and a claim that waited for the head would deadlock with it.
             FOR UPDATE OF q, h SKIP LOCKED
         ) taken
    ORDER BY taken.priority DESC, taken.available_at
    LIMIT $3
), head AS (
    UPDATE run_head h
    SET status = 'running', revision = h.revision + 1, attempt = h.attempt + 1, fence = h.fence + 1,
        latest_event_id = h.latest_event_id + 1, last_ts = greatest(h.last_ts, $6::bigint - 1) + 1,
        version = (SELECT version FROM workers WHERE id = $4)
    FROM due
    WHERE h.project_id = due.project_id AND h.run_id = due.run_id
    RETURNING h.project_id, h.run_id, h.executor, h.revision, h.attempt, h.fence, h.latest_event_id, h.last_ts,
              due.available_at, due.priority
), leased AS (
    UPDATE run_queue q
    SET lease_owner = $4, lease_expires_at = $5, fence = head.fence
    FROM head
    WHERE q.project_id = head.project_id AND q.run_id = head.run_id
), wide AS (
    UPDATE runs r
    SET status = 'running', started_at = coalesce(r.started_at, $2), updated_at = $2
    FROM head
    WHERE r.project_id = head.project_id AND r.run_id = head.run_id
    RETURNING r.project_id, r.run_id, r.conversation_id
), stored AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)
    SELECT head.project_id, head.run_id, head.latest_event_id, head.latest_event_id, head.last_ts, true,
           CASE WHEN head.attempt = 1 AND head.executor <> 'external' THEN ARRAY['RUN_STARTED'] ELSE ARRAY['CUSTOM'] END,
           CASE WHEN head.attempt = 1 AND head.executor <> 'external'
                THEN '[{"type":"RUN_STARTED","threadId":' || to_json(coalesce(wide.conversation_id::text, head.run_id))::text
                     || ',"runId":' || to_json(head.run_id)::text || '}]'
                ELSE '[{"type":"CUSTOM","name":"perdure.run.attempt","value":{"attempt":' || head.attempt || '}}]'
           END
    FROM head JOIN wide ON wide.project_id = head.project_id AND wide.run_id = head.run_id
)
SELECT project_id, run_id, revision, attempt, fence, latest_event_id, available_at
FROM head
ORDER BY priority DESC, available_at;

-- name: claim_external_run
-- Take the first due run of a project's external routes for a worker; like claim_runs, but an external worker writes RUN_STARTED itself.
WITH due AS (
    SELECT taken.project_id, taken.run_id, taken.available_at
    FROM unnest($2::text[]) AS served(route),
         LATERAL (
             SELECT q.project_id, q.run_id, q.priority, q.available_at
             FROM run_queue q
             JOIN run_head h ON h.project_id = q.project_id AND h.run_id = q.run_id
             WHERE q.project_id = $1 AND q.route = served.route AND left(q.route, 9) = 'external:'
               AND q.lease_owner IS NULL AND q.available_at <= $3 AND h.status = 'pending'
             ORDER BY q.priority DESC, q.available_at
             LIMIT 1
             -- For the reasons of claim_runs. What is locked here and not taken below is free again after the statement.
             FOR UPDATE OF q, h SKIP LOCKED
         ) taken
    ORDER BY taken.priority DESC, taken.available_at
    LIMIT 1
), head AS (
    UPDATE run_head h
    SET status = 'running', revision = h.revision + 1, attempt = h.attempt + 1, fence = h.fence + 1,
        latest_event_id = h.latest_event_id + 1, last_ts = greatest(h.last_ts, $6::bigint - 1) + 1
    FROM due
    WHERE h.project_id = due.project_id AND h.run_id = due.run_id
    RETURNING h.project_id, h.run_id, h.revision, h.attempt, h.fence, h.latest_event_id, h.last_ts, due.available_at
), leased AS (
    UPDATE run_queue q
    SET lease_owner = $4, lease_expires_at = $5, fence = head.fence
    FROM head
    WHERE q.project_id = head.project_id AND q.run_id = head.run_id
), wide AS (
    UPDATE runs r
    SET status = 'running', started_at = coalesce(r.started_at, $3), updated_at = $3
    FROM head
    WHERE r.project_id = head.project_id AND r.run_id = head.run_id
), stored AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)
    SELECT project_id, run_id, latest_event_id, latest_event_id, last_ts, true, ARRAY['CUSTOM'],
           '[{"type":"CUSTOM","name":"perdure.run.attempt","value":{"attempt":' || attempt || '}}]'
    FROM head
)
SELECT project_id, run_id, revision, attempt, fence, latest_event_id, available_at FROM head;

-- name: renew_lease
-- Extend one lease of a worker; no row when it holds the run no more.
UPDATE run_queue
SET lease_expires_at = $4
WHERE project_id = $1 AND run_id = $2 AND lease_owner = $3
RETURNING project_id, run_id, fence, cancel_at IS NOT NULL AS cancelling;

-- name: renew_leases
-- System: extend a worker's leases; the answer names those it still holds and whether a cancel was asked for.
UPDATE run_queue
SET lease_expires_at = $2
WHERE lease_owner = $1
RETURNING project_id, run_id, fence, cancel_at IS NOT NULL AS cancelling;

-- name: expired_leases
-- System: runs whose worker let the lease expire.
SELECT q.project_id, q.run_id, q.lease_owner, q.fence
FROM run_queue q
WHERE q.lease_owner IS NOT NULL AND q.lease_expires_at < $1
ORDER BY q.lease_expires_at
LIMIT $2;

-- name: overdue_cancels
-- System: running runs whose worker did not answer a cancel in time.
SELECT project_id, run_id
FROM run_queue
WHERE cancel_at < $1
ORDER BY cancel_at
LIMIT $2;

-- name: queue_depth
-- System: how many runs wait for a worker and how many are held, and since when the oldest due one waits.
SELECT count(*) FILTER (WHERE lease_owner IS NULL) AS pending,
       count(*) FILTER (WHERE lease_owner IS NOT NULL) AS leased,
       min(available_at) FILTER (WHERE lease_owner IS NULL AND available_at <= $1) AS oldest
FROM run_queue;
