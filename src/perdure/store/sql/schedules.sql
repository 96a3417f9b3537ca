-- name: create_schedule
-- A new schedule of a project.
INSERT INTO schedules (project_id, id, name, status, definition_source, source_trigger_id, spec, max_runs, next_fire_at,
                       created_by, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11);

-- name: get_schedule
-- One schedule of a project.
SELECT * FROM schedules WHERE project_id = $1 AND id = $2;

-- name: list_schedules
-- The schedules of a project, oldest first, of a status or source where one is said.
SELECT * FROM schedules
WHERE project_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR source_trigger_id = $3)
ORDER BY created_at, id;

-- name: change_schedule
-- Change a schedule of a project_id that nobody changed since it was read.
UPDATE schedules
SET name = $4, status = $5, spec = $6, max_runs = $7, next_fire_at = $8, updated_at = $9, revision = revision + 1
WHERE project_id = $1 AND id = $2 AND revision = $3
RETURNING *;

-- name: delete_schedule
-- Delete a schedule of a project; its runs stay.
DELETE FROM schedules WHERE project_id = $1 AND id = $2 RETURNING id;

-- name: due_schedules
-- System: the schedules of all projects that are to fire, and those whose fire was taken by a server and not finished.
(SELECT * FROM schedules WHERE firing_at IS NOT NULL ORDER BY claimed_at LIMIT $2)
UNION ALL
(SELECT * FROM schedules WHERE firing_at IS NULL AND next_fire_at <= $1 ORDER BY next_fire_at LIMIT $2);

-- name: claim_fire
-- System: take a fire of a schedule; whoever comes second changes nothing.
UPDATE schedules
SET firing_at = $4, next_fire_at = $5, claimed_at = $6, revision = revision + 1
WHERE project_id = $1 AND id = $2 AND next_fire_at = $3 AND revision = $7 AND firing_at IS NULL
RETURNING *;

-- name: finish_fire
-- System: a fire's run exists ($4), or the fire was skipped or failed; a schedule that has had its runs pauses.
UPDATE schedules
SET firing_at = NULL, claimed_at = NULL, revision = revision + 1, updated_at = $6,
    last_fire_at = $3, last_run_id = coalesce($4, last_run_id), last_error = $5,
    run_count = run_count + CASE WHEN $4::text IS NULL THEN 0 ELSE 1 END,
    status = CASE WHEN $4 IS NOT NULL AND run_count + 1 >= max_runs THEN 'paused' ELSE status END,
    next_fire_at = CASE WHEN $4 IS NOT NULL AND run_count + 1 >= max_runs THEN NULL ELSE next_fire_at END
WHERE project_id = $1 AND id = $2 AND firing_at = $3
RETURNING id;

-- name: note_run
-- Note a run of a schedule of a project, and forget those that have ended.
WITH ended AS (
    DELETE FROM schedule_runs s
    USING run_head h
    WHERE s.project_id = $1 AND s.schedule_id = $2 AND h.project_id = s.project_id AND h.run_id = s.run_id
      AND h.status IN ('completed', 'failed', 'cancelled') AND s.run_id <> $3
)
INSERT INTO schedule_runs (project_id, schedule_id, run_id, fired_at)
SELECT project_id, id, $3, $4 FROM schedules WHERE project_id = $1 AND id = $2
FOR KEY SHARE
ON CONFLICT DO NOTHING;

-- name: live_runs_before
-- The runs of a project's schedule that go on and were there when a fire was taken; the fire's own is none of them.
SELECT s.run_id
FROM schedule_runs s
JOIN run_head h ON h.project_id = s.project_id AND h.run_id = s.run_id
WHERE s.project_id = $1 AND s.schedule_id = $2 AND s.fired_at < $3 AND s.fired_at <> $4
  AND h.status IN ('pending', 'running', 'waiting');
