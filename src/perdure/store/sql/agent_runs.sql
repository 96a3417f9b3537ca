-- name: list_agent_runs
-- A page of agent runs by creation or, if $12, by last change, downwards or, if $13, upwards, after a keyset cursor or an offset; each filter applies unless it is null. Planned anew each time, so the order is one that an index has.
SELECT w.*
FROM runs_whole w, LATERAL (SELECT CASE WHEN $12 THEN w.updated_at ELSE w.created_at END AS at) AS sorted
WHERE w.project_id = $1 AND w.kind = 'agent'
  AND ($2::text IS NULL OR w.run_id = $2)
  AND ($3::text[] IS NULL OR w.listed_status = ANY ($3))
  AND ($4::boolean IS NULL OR w.listed_status <> 'pending' OR $4 = (w.executor = 'caller'))
  AND ($5::text[] IS NULL OR w.agent_id = ANY ($5))
  AND ($6::text[] IS NULL OR w.created_by = ANY ($6))
  AND ($7::timestamptz IS NULL OR w.created_at > $7)
  AND ($8::timestamptz IS NULL OR w.created_at <= $8)
  AND ($9::text IS NULL OR w.spec -> 'origin' ->> 'schedule_id' = $9)
  AND ($10::text[] IS NULL OR coalesce(w.spec -> 'origin' ->> 'trigger_kind', 'api') = ANY ($10))
  AND ($11::text IS NULL OR w.visibility = 'project' OR w.created_by = $11)
  AND ($14::timestamptz IS NULL OR CASE WHEN $13 THEN (sorted.at, w.run_id) > ($14, $15)
                                        ELSE (sorted.at, w.run_id) < ($14, $15) END)
ORDER BY CASE WHEN $13 THEN sorted.at END, CASE WHEN $13 THEN w.run_id END,
         CASE WHEN $13 THEN NULL ELSE sorted.at END DESC, CASE WHEN $13 THEN NULL ELSE w.run_id END DESC
LIMIT $16 OFFSET $17;

-- name: count_agent_runs
-- How many agent runs the filters of list_agent_runs leave.
SELECT count(*)
FROM runs_whole w
WHERE w.project_id = $1 AND w.kind = 'agent'
  AND ($2::text IS NULL OR w.run_id = $2)
  AND ($3::text[] IS NULL OR w.listed_status = ANY ($3))
  AND ($4::boolean IS NULL OR w.listed_status <> 'pending' OR $4 = (w.executor = 'caller'))
  AND ($5::text[] IS NULL OR w.agent_id = ANY ($5))
  AND ($6::text[] IS NULL OR w.created_by = ANY ($6))
  AND ($7::timestamptz IS NULL OR w.created_at > $7)
  AND ($8::timestamptz IS NULL OR w.created_at <= $8)
  AND ($9::text IS NULL OR w.spec -> 'origin' ->> 'schedule_id' = $9)
  AND ($10::text[] IS NULL OR coalesce(w.spec -> 'origin' ->> 'trigger_kind', 'api') = ANY ($10))
  AND ($11::text IS NULL OR w.visibility = 'project' OR w.created_by = $11);

-- name: set_about
-- Change what is said about a run, where its profile is still the known one; null leaves a thing as it is.
UPDATE runs
SET name = coalesce($3, name), title = coalesce($4, title), topic = coalesce($5, topic),
    profile = coalesce($6::json, profile), updated_at = $7
WHERE project_id = $1 AND run_id = $2 AND profile::text IS NOT DISTINCT FROM $8
RETURNING run_id;

-- name: runs_with_notices
-- Those of many runs that name URLs which want to hear of their end. System-wide set: each row carries its project_id.
SELECT r.project_id, r.run_id
FROM unnest($1::uuid[], $2::text[]) AS ended(project_id, run_id)
JOIN runs r ON r.project_id = ended.project_id AND r.run_id = ended.run_id
WHERE json_typeof(r.spec -> 'agent_run' -> 'notify_endpoints') = 'array';
