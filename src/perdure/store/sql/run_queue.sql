-- name: claim_runs
-- System: take up to N due runs of the routes a worker serves, fairly between projects; where limits apply, only under claims_alone ($7).
WITH RECURSIVE serving AS MATERIALIZED (
    SELECT s.route, c.concurrency
    FROM unnest($1::text[]) AS s(route)
    LEFT JOIN catalog c ON c.concurrency IS NOT NULL AND c.kind = split_part(s.route, ':', 1)
                       AND c.name = substr(s.route, strpos(s.route, ':') + 1)
), limits AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM projects WHERE max_running IS NOT NULL)
           OR EXISTS (SELECT FROM serving WHERE concurrency IS NOT NULL) AS apply
), half AS MATERIALIZED (
    -- The round begins at a project drawn by lot: where it is cut short, nobody is passed over for ever.
    SELECT first.id, bound.from_id, bound.to_id
    FROM (SELECT id FROM projects ORDER BY id OFFSET floor(random() * (SELECT count(*) FROM projects)) LIMIT 1) first,
         LATERAL (VALUES (first.id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid),
                         ('00000000-0000-0000-0000-000000000000'::uuid, first.id)) AS bound(from_id, to_id)
), walked AS (
    -- Which projects have runs queued for a route, and of which priorities: one probe for each, none of the runs behind it.
    SELECT s.route, half.to_id, first.project_id, first.level, 1 AS nth
    FROM serving s
    CROSS JOIN half
    CROSS JOIN LATERAL (
        SELECT q.project_id, -q.priority AS level
        FROM run_queue q
        WHERE q.route = s.route AND q.lease_owner IS NULL
          AND (q.project_id, -q.priority) > (half.from_id, -200) AND (q.project_id, -q.priority) < (half.to_id, -200)
        ORDER BY q.project_id, -q.priority
        LIMIT 1
    ) first
    WHERE $7 OR NOT (SELECT apply FROM limits)
    UNION ALL
    SELECT w.route, w.to_id, next.project_id, next.level, w.nth + 1
    FROM walked w
    CROSS JOIN LATERAL (
        SELECT q.project_id, -q.priority AS level
        FROM run_queue q
        WHERE q.route = w.route AND q.lease_owner IS NULL
          AND (q.project_id, -q.priority) > (w.project_id, w.level) AND (q.project_id, -q.priority) < (w.to_id, -200)
        ORDER BY q.project_id, -q.priority
        LIMIT 1
    ) next
    WHERE w.nth < 50
), level AS MATERIALIZED (
    SELECT route, project_id, level FROM walked
), flight AS MATERIALIZED (
    SELECT f.project_id, f.route, count(*) AS runs
    FROM runs_in_flight f
    WHERE (SELECT apply FROM limits) OR (SELECT count(DISTINCT project_id) > 1 FROM level)
    GROUP BY f.project_id, f.route
), room AS MATERIALIZED (
    -- What is in flight, and how many runs more the limits let in (null: any number).
    SELECT l.route, l.project_id, l.level, busy.project AS in_flight,
           p.max_running - busy.project AS of_project, s.concurrency - busy.route AS of_route
    FROM level l
    JOIN serving s ON s.route = l.route
    LEFT JOIN projects p ON p.id = l.project_id AND p.max_running IS NOT NULL
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(runs) FILTER (WHERE f.project_id = l.project_id), 0) AS project,
               coalesce(sum(runs) FILTER (WHERE f.route = l.route), 0) AS route
        FROM flight f
    ) busy
), candidate AS (
    SELECT m.*, c.available_at,
           row_number() OVER (PARTITION BY m.project_id ORDER BY m.level, c.available_at) AS nth_of_project
    FROM room m
    CROSS JOIN LATERAL (
        SELECT q.available_at
        FROM run_queue q
        JOIN run_head h ON h.project_id = q.project_id AND h.run_id = q.run_id
        WHERE q.route = m.route AND q.project_id = m.project_id AND -q.priority = m.level
          AND q.lease_owner IS NULL AND q.available_at <= $2 AND h.status = 'pending'
          -- One that a version of the code began is left to workers of that version, while one is alive.
          AND (h.version IS NULL OR h.version = (SELECT version FROM workers WHERE id = $4)
               OR NOT EXISTS (SELECT FROM workers w
                              WHERE w.version = h.version AND q.route = ANY (w.routes)
                                AND w.heartbeat_at > $2::timestamptz - ($5::timestamptz - $2::timestamptz)))
        ORDER BY q.available_at
        LIMIT $3
    ) c
    WHERE coalesce(m.of_project, 1) > 0 AND coalesce(m.of_route, 1) > 0
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY route ORDER BY in_flight + nth_of_project, level, available_at) AS nth_of_route
    FROM candidate
    WHERE nth_of_project <= coalesce(of_project, nth_of_project)
), share AS (
    -- Each run makes its project wait longer for the next: the projects with the fewest in flight come first.
    SELECT route, project_id, level, count(*) AS runs
    FROM (SELECT * FROM placed
          WHERE nth_of_route <= coalesce(of_route, nth_of_route)
          ORDER BY in_flight + nth_of_project, level, available_at
          LIMIT $3) best
    GROUP BY route, project_id, level
), due AS (
    SELECT taken.project_id, taken.run_id, taken.priority, taken.available_at
    FROM share
    CROSS JOIN LATERAL (
        SELECT q.project_id, q.run_id, q.priority, q.available_at
        FROM run_queue q
        JOIN run_head h ON h.project_id = q.project_id AND h.run_id = q.run_id
        WHERE q.route = share.route AND q.project_id = share.project_id AND -q.priority = share.level
          AND q.lease_owner IS NULL AND q.available_at <= $2 AND h.status = 'pending'
          AND (h.version IS NULL OR h.version = (SELECT version FROM workers WHERE id = $4)
               OR NOT EXISTS (SELECT FROM workers w
                              WHERE w.version = h.version AND q.route = ANY (w.routes)
                                AND w.heartbeat_at > $2::timestamptz - ($5::timestamptz - $2::timestamptz)))
        ORDER BY q.available_at
        LIMIT share.runs
        -- Locked here, so that workers at once take different runs. The head too: who moves a run locks its head
        -- before its place in the queue, and a claim that waited for the head would deadlock with it.
        FOR UPDATE OF q, h SKIP LOCKED
    ) taken
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
-- One row without a run where there was none.
SELECT limits.apply AS limited, head.project_id, head.run_id, head.revision, head.attempt, head.fence, head.latest_event_id,
       head.available_at
FROM limits LEFT JOIN head ON true
ORDER BY head.priority DESC, head.available_at;

-- name: claim_share
-- System: what a claim may take where there is nothing to be fair about: all routes together have runs of one project and priority, and no limit applies. `claim_runs` goes on from here.
WITH serving AS MATERIALIZED (
    SELECT s.route, c.concurrency
    FROM unnest($1::text[]) AS s(route)
    LEFT JOIN catalog c ON c.concurrency IS NOT NULL AND c.kind = split_part(s.route, ':', 1)
                       AND c.name = substr(s.route, strpos(s.route, ':') + 1)
), level AS MATERIALIZED (
    -- The first and the last of each route: one row where they are of the same project and priority.
    SELECT s.route, ends.project_id, ends.level
    FROM serving s
    CROSS JOIN LATERAL (
        (SELECT q.project_id, -q.priority AS level FROM run_queue q
         WHERE q.route = s.route AND q.lease_owner IS NULL
         ORDER BY q.project_id, -q.priority LIMIT 1)
        UNION
        (SELECT q.project_id, -q.priority FROM run_queue q
         WHERE q.route = s.route AND q.lease_owner IS NULL
         ORDER BY q.project_id DESC, -q.priority DESC LIMIT 1)
    ) ends
), limits AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM projects WHERE max_running IS NOT NULL)
           OR EXISTS (SELECT FROM serving WHERE concurrency IS NOT NULL)
           OR (SELECT count(*) > 1 FROM level) AS apply
), share AS (
    SELECT route, project_id, level, $2::bigint AS runs FROM level WHERE NOT (SELECT apply FROM limits)
)
SELECT limits.apply, share.* FROM limits LEFT JOIN share ON true;

-- name: claims_alone
-- System: until the end of the transaction nobody else claims where limits apply, so that what is counted stays so.
SELECT pg_advisory_xact_lock(hashtextextended('perdure.claims', 0));

-- name: claim_external_run
-- Take the first due run of a project's external routes for a worker; like claim_runs, but an external worker writes RUN_STARTED itself.
WITH room AS MATERIALIZED (
    SELECT max_running IS NOT NULL AS limited,
           CASE WHEN max_running IS NULL THEN true
                WHEN $7 THEN max_running > (SELECT count(*) FROM runs_in_flight WHERE project_id = $1)
                ELSE false END AS free
    FROM projects WHERE id = $1
), due AS (
    SELECT taken.project_id, taken.run_id, taken.available_at
    FROM unnest($2::text[]) AS served(route),
         LATERAL (
             SELECT q.project_id, q.run_id, q.priority, q.available_at
             FROM run_queue q
             JOIN run_head h ON h.project_id = q.project_id AND h.run_id = q.run_id
             WHERE q.project_id = $1 AND q.route = served.route AND left(q.route, 9) = 'external:'
               AND q.lease_owner IS NULL AND q.available_at <= $3 AND h.status = 'pending'
               AND (SELECT free FROM room)
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
SELECT room.limited, head.project_id, head.run_id, head.revision, head.attempt, head.fence, head.latest_event_id,
       head.available_at
FROM room LEFT JOIN head ON true;

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
