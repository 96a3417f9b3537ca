-- name: register_push_service
-- A push service says that it is there: a new one, or the one of its scope and key with what it says now. $3 is its project_id, null for a global one.
INSERT INTO push_services (id, scope_key, project_id, service_key, service_name, agent_id, base_url, invoke_url, version, runtime,
                           region, status, last_heartbeat_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'active', $12, $12, $12)
ON CONFLICT (scope_key, service_key) DO UPDATE
SET service_name = excluded.service_name, agent_id = excluded.agent_id, base_url = excluded.base_url,
    invoke_url = excluded.invoke_url, version = excluded.version, runtime = excluded.runtime, region = excluded.region,
    last_heartbeat_at = excluded.last_heartbeat_at, updated_at = excluded.updated_at
RETURNING *;

-- name: get_push_service
-- System: a push service by its id, of whichever project_id; the service layer compares the project.
SELECT * FROM push_services WHERE id = $1;

-- name: list_push_services
-- The push services of a project_id and the global ones, or with null all, oldest first.
SELECT * FROM push_services WHERE $1::uuid IS NULL OR project_id = $1 OR project_id IS NULL ORDER BY created_at, id;

-- name: push_service_heartbeat
-- System: a push service was heard of: the leases of the runs that were handed to it are extended.
WITH beaten AS (
    UPDATE push_services SET last_heartbeat_at = greatest(last_heartbeat_at, $2) WHERE id = $1 RETURNING *
), renewed AS (
    UPDATE run_queue q SET lease_expires_at = greatest(q.lease_expires_at, $3)
    FROM beaten WHERE q.lease_owner = 'push:' || beaten.id
)
SELECT * FROM beaten;

-- name: set_push_service_status
-- System: an operator disables a push service of whichever project_id, or enables it again.
UPDATE push_services SET status = $2, updated_at = $3 WHERE id = $1 RETURNING *;

-- name: delete_push_service
-- System: forget a push service of whichever project_id.
DELETE FROM push_services WHERE id = $1 RETURNING id;

-- name: live_push_services
-- System: the push services that get work: not disabled, and heard of since then; each row carries its project_id.
SELECT * FROM push_services WHERE status = 'active' AND last_heartbeat_at >= $1;

-- name: serves_agent
-- Whether a push service that is not disabled serves an agent for a project.
SELECT EXISTS (
    SELECT FROM push_services
    WHERE status = 'active' AND (project_id = $1 OR project_id IS NULL)
      AND (agent_id = $2 OR (agent_id IS NULL AND $2 IN (service_name, service_key)))
) AS serves;

-- name: projects_waiting_for_push
-- System: each project_id that has due runs for the routes of a service of all projects, and how many of its runs are in flight.
WITH RECURSIVE half AS MATERIALIZED (
    -- As in claim_runs: the round begins at a project drawn by lot, and is cut after 50.
    SELECT first.id, bound.from_id, bound.to_id
    FROM (SELECT id FROM projects ORDER BY id OFFSET floor(random() * (SELECT count(*) FROM projects)) LIMIT 1) first,
         LATERAL (VALUES (first.id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid),
                         ('00000000-0000-0000-0000-000000000000'::uuid, first.id)) AS bound(from_id, to_id)
), walked AS (
    SELECT s.route, half.to_id, first.project_id, 1 AS nth
    FROM unnest($1::text[]) AS s(route)
    CROSS JOIN half
    CROSS JOIN LATERAL (
        SELECT q.project_id FROM run_queue q
        WHERE q.route = s.route AND q.lease_owner IS NULL AND q.project_id >= half.from_id AND q.project_id < half.to_id
        ORDER BY q.project_id LIMIT 1
    ) first
    UNION ALL
    SELECT w.route, w.to_id, next.project_id, w.nth + 1
    FROM walked w
    CROSS JOIN LATERAL (
        SELECT q.project_id FROM run_queue q
        WHERE q.route = w.route AND q.lease_owner IS NULL AND q.project_id > w.project_id AND q.project_id < w.to_id
        ORDER BY q.project_id LIMIT 1
    ) next
    WHERE w.nth < 50
), waiting AS MATERIALIZED (
    SELECT DISTINCT w.project_id
    FROM walked w
    WHERE EXISTS (SELECT FROM run_queue q
                  WHERE q.route = w.route AND q.project_id = w.project_id AND q.lease_owner IS NULL AND q.available_at <= $2)
)
SELECT w.project_id, count(f.run_id) AS in_flight
FROM waiting w LEFT JOIN runs_in_flight f ON f.project_id = w.project_id
GROUP BY w.project_id;

-- name: claim_push_runs
-- Take due agent runs of a project_id ($3) for a push service: like claim_external_run, for its agent ($4) or any. A run that another living service ($7) may hold is left to that one. Where limits apply, only under claims_alone ($10).
WITH limits AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM projects WHERE max_running IS NOT NULL)
           OR EXISTS (SELECT FROM catalog WHERE concurrency IS NOT NULL AND kind || ':' || name = ANY ($2)) AS apply
), full_route AS MATERIALIZED (
    SELECT kind || ':' || name AS route
    FROM catalog
    WHERE $10 AND concurrency IS NOT NULL AND kind || ':' || name = ANY ($2)
      AND concurrency <= (SELECT count(*) FROM runs_in_flight f WHERE f.route = kind || ':' || name)
), full_project AS MATERIALIZED (
    SELECT id
    FROM projects
    WHERE $10 AND max_running IS NOT NULL
      AND max_running <= (SELECT count(*) FROM runs_in_flight f WHERE f.project_id = id)
), due AS (
    SELECT taken.project_id, taken.run_id, taken.priority, taken.available_at
    FROM unnest($2::text[]) AS served(route),
         LATERAL (
             SELECT q.project_id, q.run_id, q.priority, q.available_at
             FROM run_queue q
             JOIN run_head h ON h.project_id = q.project_id AND h.run_id = q.run_id
             WHERE q.route = served.route AND q.project_id = $3 AND q.lease_owner IS NULL AND q.available_at <= $5
               AND h.status = 'pending'
               AND ($10 OR NOT (SELECT apply FROM limits))
               AND NOT EXISTS (SELECT FROM full_route WHERE route = q.route)
               AND NOT EXISTS (SELECT FROM full_project WHERE id = q.project_id)
               -- As a value, not as a filter: then a run is looked up by its key, never among all of its agent.
               AND (SELECT r.kind = 'agent' AND ($4::text IS NULL OR r.agent_id = $4)
                    FROM runs r WHERE r.project_id = q.project_id AND r.run_id = q.run_id)
               AND NOT EXISTS (SELECT FROM push_runs p JOIN push_services o ON o.id = p.service_id
                               WHERE p.project_id = q.project_id AND p.run_id = q.run_id AND o.id <> $1
                                 AND o.status = 'active' AND o.last_heartbeat_at >= $7)
             ORDER BY -q.priority, q.available_at
             LIMIT $6
             -- For the reasons of claim_runs.
             FOR UPDATE OF q, h SKIP LOCKED
         ) taken
    ORDER BY taken.priority DESC, taken.available_at
    LIMIT $6
), head AS (
    UPDATE run_head h
    SET status = 'running', executor = 'external', revision = h.revision + 1, attempt = h.attempt + 1, fence = h.fence + 1,
        latest_event_id = h.latest_event_id + 1, last_ts = greatest(h.last_ts, $9::bigint - 1) + 1
    FROM due
    WHERE h.project_id = due.project_id AND h.run_id = due.run_id
    RETURNING h.project_id, h.run_id, h.revision, h.attempt, h.fence, h.latest_event_id, h.last_ts, due.available_at
), leased AS (
    UPDATE run_queue q
    SET lease_owner = 'dispatch:' || $1, lease_expires_at = $8, fence = head.fence
    FROM head
    WHERE q.project_id = head.project_id AND q.run_id = head.run_id
), wide AS (
    UPDATE runs r
    SET status = 'running', started_at = coalesce(r.started_at, $5), updated_at = $5
    FROM head
    WHERE r.project_id = head.project_id AND r.run_id = head.run_id
), stored AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)
    SELECT project_id, run_id, latest_event_id, latest_event_id, last_ts, true, ARRAY['CUSTOM'],
           '[{"type":"CUSTOM","name":"perdure.run.attempt","value":{"attempt":' || attempt || '}}]'
    FROM head
), held AS (
    INSERT INTO push_runs AS p (project_id, run_id, service_id, tries)
    SELECT project_id, run_id, $1, 1 FROM head
    ON CONFLICT (project_id, run_id) DO UPDATE
    SET service_id = excluded.service_id, tries = p.tries + 1, told_event_id = NULL,
        errand = NULL, errand_at = NULL, errand_tries = 0
    RETURNING p.project_id, p.run_id, p.tries
)
SELECT limits.apply AS limited, head.project_id, head.run_id, head.revision, head.attempt, head.fence,
       head.latest_event_id, head.available_at, held.tries
FROM limits LEFT JOIN (head JOIN held ON held.project_id = head.project_id AND held.run_id = head.run_id) ON true;

-- name: hand_over
-- The service took the run: its heartbeats keep the lease now. No row when the claim of this fence is over, or the run has ended or is to be cancelled.
WITH leased AS (
    UPDATE run_queue q
    SET lease_owner = 'push:' || $4::uuid, lease_expires_at = $5
    WHERE q.project_id = $1 AND q.run_id = $2 AND q.fence = $3
    RETURNING q.cancel_at
), told AS (
    UPDATE push_runs p
    SET tries = 0, told_event_id = $6
    WHERE p.project_id = $1 AND p.run_id = $2 AND EXISTS (SELECT FROM leased)
)
SELECT 1 AS held FROM leased WHERE cancel_at IS NULL;

-- name: tell_cancel
-- A service took a run that is to be cancelled, or was: it is told, unless the run goes on elsewhere.
INSERT INTO push_runs AS p (project_id, run_id, service_id, errand, errand_at)
SELECT h.project_id, h.run_id, $3, 'cancel', $4
FROM run_head h WHERE h.project_id = $1 AND h.run_id = $2 AND (h.cancelling OR h.status = 'cancelled')
ON CONFLICT (project_id, run_id) DO UPDATE
SET errand = excluded.errand, errand_at = excluded.errand_at, errand_tries = 0
WHERE p.service_id = excluded.service_id;

-- name: not_taken
-- The service said that it did not take the run: others may have it.
UPDATE push_runs SET service_id = NULL WHERE project_id = $1 AND run_id = $2 AND service_id = $3;

-- name: take_errands
-- System: take what services but those of $4 are to be told now; each row carries its project_id. Who fails tries again after $2.
WITH due AS MATERIALIZED (
    -- Found once: what a join looked up again for each service would be others, as these are taken already.
    SELECT project_id, run_id FROM push_runs
    WHERE errand IS NOT NULL AND errand_at <= $1 AND service_id IS NOT NULL AND service_id <> ALL ($4::uuid[])
    ORDER BY errand_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE push_runs p
SET errand_at = $2, errand_tries = p.errand_tries + 1
FROM due, push_services s
WHERE p.project_id = due.project_id AND p.run_id = due.run_id AND s.id = p.service_id
RETURNING p.project_id, p.run_id, p.errand, p.errand_tries, p.told_event_id, s.id AS service_id, s.invoke_url;

-- name: retry_errand
-- An errand failed and is tried again at that time, if it is still the same.
UPDATE push_runs SET errand_at = $5
WHERE project_id = $1 AND run_id = $2 AND errand = $3 AND errand_tries = $4;

-- name: cancel_told
-- The service knows, or cannot be told, that a run is to end: it does not hold it any more. It is told again if it took the run meanwhile.
DELETE FROM push_runs
WHERE project_id = $1 AND run_id = $2 AND errand = 'cancel' AND service_id = $3 AND errand_tries = $4;

-- name: resume_told
-- The service knows the answers up to an event, or cannot be told; nothing else has come up meanwhile.
UPDATE push_runs SET told_event_id = $4, errand = NULL, errand_at = NULL, errand_tries = 0
WHERE project_id = $1 AND run_id = $2 AND errand = 'resume' AND errand_tries = $3;
