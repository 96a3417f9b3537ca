-- name: begin_pass
-- System: become the one process that projects until the transaction ends; no row when another one is.
SELECT generation, rebuilding, ended_to FROM projection_progress WHERE pg_try_advisory_xact_lock(7215849200351);

-- name: due_live
-- System: live runs whose log or row has moved since it was projected.
SELECT r.project_id, r.run_id
FROM runs r
JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
WHERE r.status IN ('pending', 'running', 'waiting')
  AND (p.run_id IS NULL OR h.latest_event_id > p.event_id OR r.updated_at <> p.run_updated_at OR p.generation <> $1)
LIMIT $2;

-- name: due_ended
-- System: ended runs, the ones that changed first before the others, whose log or row has moved since it was projected.
SELECT r.project_id, r.run_id, r.updated_at
FROM runs r
JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
WHERE r.status IN ('completed', 'failed', 'cancelled') AND r.updated_at >= $3
  AND (p.run_id IS NULL OR h.latest_event_id > p.event_id OR r.updated_at <> p.run_updated_at OR p.generation <> $1)
ORDER BY r.updated_at
LIMIT $2;

-- name: due_for_rebuild
-- System: runs in the order of their keys whose projection is of an older generation.
SELECT r.project_id, r.run_id
FROM runs r
LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
WHERE (r.project_id, r.run_id) > ($3, $4) AND (p.run_id IS NULL OR p.generation <> $1)
ORDER BY r.project_id, r.run_id
LIMIT $2;

-- name: projected
-- What is to be projected of some runs, and how far they are. System-wide set: each row carries its project_id.
SELECT r.project_id, r.run_id, r.agent_id, r.target, r.tags, r.input, r.error_message, r.created_at, r.updated_at,
       r.name, r.title, r.topic, r.categories, r.spec, r.profile,
       p.revision, p.generation, p.event_id, p.run_updated_at, p.state
FROM unnest($1::uuid[], $2::text[]) AS k(project_id, run_id)
JOIN runs r ON r.project_id = k.project_id AND r.run_id = k.run_id
LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id;

-- name: put_projections
-- Write how far runs are, where nobody else did since they were read. System-wide set: each row carries its project_id.
WITH present AS MATERIALIZED (
    SELECT w.*
    FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::bigint[], $6::timestamptz[], $7::bigint[], $8::text[])
         AS w(project_id, run_id, revision, generation, event_id, run_updated_at, first_response_ts, state)
    JOIN runs r ON r.project_id = w.project_id AND r.run_id = w.run_id
    ORDER BY w.project_id, w.run_id
    FOR KEY SHARE OF r
)
INSERT INTO run_projections AS p (project_id, run_id, revision, generation, event_id, run_updated_at, first_response_ts, state)
SELECT project_id, run_id, revision + 1, generation, event_id, run_updated_at, first_response_ts, state FROM present
ON CONFLICT (project_id, run_id) DO UPDATE
SET revision = excluded.revision, generation = excluded.generation, event_id = excluded.event_id,
    run_updated_at = excluded.run_updated_at, first_response_ts = excluded.first_response_ts, state = excluded.state
WHERE p.revision = excluded.revision - 1
RETURNING project_id, run_id;

-- name: put_texts
-- Write what runs are found by. System-wide set: each row carries its project_id.
INSERT INTO run_texts (project_id, run_id, document)
SELECT project_id, run_id,
       setweight(to_tsvector('simple', names), 'A') || setweight(to_tsvector('simple', labels), 'B')
       || setweight(to_tsvector('simple', said), 'C') || setweight(to_tsvector('simple', results), 'D')
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
     AS w(project_id, run_id, names, labels, said, results)
ON CONFLICT (project_id, run_id) DO UPDATE SET document = excluded.document;

-- name: reached
-- System: everything that ended before a time is projected; the time never goes back.
UPDATE projection_progress SET ended_to = $1 WHERE ended_to < $1;

-- name: begin_rebuild
-- System: begin a new generation, or go on with the rebuild that is under way.
UPDATE projection_progress
SET generation = generation + CASE WHEN rebuilding THEN 0 ELSE 1 END, rebuilding = true
RETURNING generation;

-- name: end_rebuild
-- System: everything is of this generation now.
UPDATE projection_progress SET rebuilding = false WHERE generation = $1;

-- name: projection_lag
-- System: how far behind the oldest live run is whose log moved since it was projected, as the time of its last event.
SELECT min(h.last_ts)
FROM runs r
JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
WHERE r.status IN ('pending', 'running', 'waiting') AND h.latest_event_id > coalesce(p.event_id, 0);
