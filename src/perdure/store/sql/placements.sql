-- name: take_unplaced
-- System: due runs that the engine has not been told of, taken by one process for a while, up to 100: in turn from all projects, in each by priority and age. It has at most twice as many runs of a project and route before it as workers could execute, and of what is limited no more than has room (runs placed up to $3 or from $4 on are on their way).
WITH RECURSIVE limits AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM projects WHERE max_running IS NOT NULL)
           OR EXISTS (SELECT FROM catalog WHERE concurrency IS NOT NULL) AS apply
), slots AS MATERIALIZED (
    SELECT served.route, sum(w.concurrency) AS runs
    FROM workers w CROSS JOIN LATERAL unnest(w.routes) AS served(route)
    GROUP BY served.route
), first AS MATERIALIZED (
    -- The round begins at a target drawn by lot: where it is cut short, nobody is passed over for ever.
    SELECT coalesce((SELECT kind || ':' || name FROM catalog
                     ORDER BY kind, name OFFSET floor(random() * (SELECT count(*) FROM catalog)) LIMIT 1), '') AS route
), walked AS (
    SELECT half.ends, found.route, found.project_id, found.level, 1 AS nth
    FROM first
    CROSS JOIN LATERAL (VALUES (first.route, NULL), ('', first.route)) AS half(begins, ends)
    CROSS JOIN LATERAL (
        SELECT q.route, q.project_id, -q.priority AS level
        FROM run_queue q
        WHERE q.lease_owner IS NULL AND q.place_again_at IS NULL AND left(q.route, 9) <> 'external:'
          AND q.route >= half.begins AND (half.ends IS NULL OR q.route < half.ends)
        ORDER BY q.route, q.project_id, -q.priority
        LIMIT 1
    ) found
    UNION ALL
    SELECT w.ends, next.route, next.project_id, next.level, w.nth + 1
    FROM walked w
    CROSS JOIN LATERAL (
        SELECT q.route, q.project_id, -q.priority AS level
        FROM run_queue q
        WHERE q.lease_owner IS NULL AND q.place_again_at IS NULL AND left(q.route, 9) <> 'external:'
          AND (q.route, q.project_id, -q.priority) > (w.route, w.project_id, w.level)
          AND (w.ends IS NULL OR q.route < w.ends)
        ORDER BY q.route, q.project_id, -q.priority
        LIMIT 1
    ) next
    WHERE w.nth < 200
), flight AS MATERIALIZED (
    SELECT f.project_id, f.route, count(*) AS runs
    FROM (SELECT project_id, route FROM runs_in_flight
          UNION ALL
          SELECT project_id, route FROM run_queue
          WHERE lease_owner IS NULL AND available_at <= $2 AND place_again_at IS NOT NULL
            AND (place_again_at <= $3 OR place_again_at >= $4)) f
    WHERE (SELECT apply FROM limits)
    GROUP BY f.project_id, f.route
), room AS MATERIALIZED (
    SELECT w.route, w.project_id, w.level, p.max_running - busy.project AS of_project, c.concurrency - busy.route AS of_route,
           ahead.most - ahead.runs AS of_engine
    FROM walked w
    CROSS JOIN LATERAL (
        -- The engine keeps its own order: what it has not been told of yet is what can still be fair.
        SELECT s.most, (SELECT count(*) FROM (SELECT FROM run_queue q
                                              WHERE q.lease_owner IS NULL AND q.place_again_at IS NOT NULL
                                                AND left(q.route, 9) <> 'external:'
                                                AND q.route = w.route AND q.project_id = w.project_id
                                                AND q.available_at <= $2
                                              LIMIT s.most) told) AS runs
        FROM (SELECT greatest(2, 2 * coalesce((SELECT runs FROM slots WHERE route = w.route), 0)) AS most) s
    ) ahead
    LEFT JOIN projects p ON p.id = w.project_id AND p.max_running IS NOT NULL
    LEFT JOIN catalog c ON c.concurrency IS NOT NULL AND c.kind = split_part(w.route, ':', 1)
                       AND c.name = substr(w.route, strpos(w.route, ':') + 1)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(runs) FILTER (WHERE f.project_id = w.project_id), 0) AS project,
               coalesce(sum(runs) FILTER (WHERE f.route = w.route), 0) AS route
        FROM flight f
    ) busy
), candidate AS (
    SELECT m.*, c.available_at,
           row_number() OVER (PARTITION BY m.project_id ORDER BY m.level, c.available_at) AS nth_of_project,
           row_number() OVER (PARTITION BY m.project_id, m.route ORDER BY m.level, c.available_at) AS nth_of_both
    FROM room m
    CROSS JOIN LATERAL (
        SELECT q.available_at
        FROM run_queue q
        WHERE q.lease_owner IS NULL AND q.place_again_at IS NULL AND left(q.route, 9) <> 'external:'
          AND q.route = m.route AND q.project_id = m.project_id AND -q.priority = m.level AND q.available_at <= $2
        ORDER BY q.available_at
        LIMIT 100
    ) c
    WHERE coalesce(m.of_project, 1) > 0 AND coalesce(m.of_route, 1) > 0 AND m.of_engine > 0
), placed AS (
    SELECT *, row_number() OVER (PARTITION BY route ORDER BY nth_of_project, level, available_at) AS nth_of_route
    FROM candidate
    WHERE nth_of_project <= coalesce(of_project, nth_of_project) AND nth_of_both <= of_engine
), share AS (
    SELECT route, project_id, level, count(*) AS runs
    FROM (SELECT * FROM placed
          WHERE nth_of_route <= coalesce(of_route, nth_of_route)
          ORDER BY nth_of_project, level, available_at
          LIMIT 100) best
    GROUP BY route, project_id, level
), unplaced AS (
    SELECT chosen.project_id, chosen.run_id
    FROM share
    CROSS JOIN LATERAL (
        SELECT q.project_id, q.run_id
        FROM run_queue q
        WHERE q.lease_owner IS NULL AND q.place_again_at IS NULL AND left(q.route, 9) <> 'external:'
          AND q.route = share.route AND q.project_id = share.project_id AND -q.priority = share.level AND q.available_at <= $2
        ORDER BY q.available_at
        LIMIT share.runs
        FOR UPDATE SKIP LOCKED
    ) chosen
), taken AS (
    UPDATE run_queue q SET place_again_at = $1
    FROM unplaced u
    WHERE q.project_id = u.project_id AND q.run_id = u.run_id
    RETURNING q.project_id, q.run_id, q.route, q.priority, q.available_at
)
SELECT t.project_id, t.run_id, t.route, h.revision
FROM taken t JOIN run_head h ON h.project_id = t.project_id AND h.run_id = t.run_id
ORDER BY row_number() OVER (PARTITION BY t.project_id ORDER BY t.priority DESC, t.available_at), t.available_at;

-- name: hold_back
-- The limits of a run that the engine was told of are reached: it is told again when they have room.
UPDATE run_queue SET place_again_at = NULL WHERE project_id = $1 AND run_id = $2 AND lease_owner IS NULL;

-- name: set_placed
-- System: say of runs that were taken at one time when the engine is told again (null: at once); what moved since is left alone.
UPDATE run_queue q SET place_again_at = $4
FROM unnest($1::uuid[], $2::text[]) AS placed(project_id, run_id)
WHERE q.project_id = placed.project_id AND q.run_id = placed.run_id
  AND q.lease_owner IS NULL AND q.place_again_at = $3;

-- name: forget_placed
-- System: let pending runs be placed again of which the engine was told long ago, or by a process that died over it.
UPDATE run_queue SET place_again_at = NULL WHERE lease_owner IS NULL AND place_again_at < $1;

-- name: doubt_placed
-- System: let due runs of these routes be placed again, in each the 100 that wait longest: the engine may have lost some with a worker that stopped.
UPDATE run_queue q SET place_again_at = NULL
FROM unnest($1::text[]) AS lost(route)
CROSS JOIN LATERAL (
    SELECT t.project_id, t.run_id
    FROM run_queue t
    WHERE t.lease_owner IS NULL AND t.place_again_at IS NOT NULL AND left(t.route, 9) <> 'external:'
      AND t.route = lost.route AND t.available_at <= $2
    ORDER BY t.available_at
    LIMIT 100
) told
WHERE q.project_id = told.project_id AND q.run_id = told.run_id AND q.lease_owner IS NULL;
