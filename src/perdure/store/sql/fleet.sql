-- name: list_fleet
-- The workers of the engine, and a project's external ones heard of since $3, each with how many runs it holds and those of the project that $2 may see.
WITH everybody AS (
    SELECT 'engine' AS sort, w.id, NULL::text AS name, w.version, w.routes, w.concurrency, w.started_at, w.heartbeat_at
    FROM workers w
    UNION ALL
    SELECT 'external', a.id::text, coalesce(a.display_name, a.worker_key), NULL,
           ARRAY['external:' || a.implementation_kind], NULL, a.created_at, a.last_heartbeat_at
    FROM agent_workers a
    WHERE a.project_id = $1 AND a.last_heartbeat_at > $3
)
SELECT e.*, (SELECT count(*) FROM run_queue q WHERE q.lease_owner = e.id) AS holding, held.run_ids, held.fences, held.expiries
FROM everybody e,
     LATERAL (
         SELECT array_agg(one.run_id) AS run_ids, array_agg(one.fence) AS fences, array_agg(one.lease_expires_at) AS expiries
         FROM (
             SELECT q.run_id, q.fence, q.lease_expires_at
             FROM run_queue q
             JOIN runs r ON r.project_id = q.project_id AND r.run_id = q.run_id
             WHERE q.lease_owner = e.id AND q.project_id = $1
               AND ($2::text IS NULL OR r.visibility = 'project' OR r.created_by = $2)
             ORDER BY r.started_at DESC NULLS LAST
             LIMIT $4
         ) one
     ) held
ORDER BY e.sort, e.started_at, e.id;
