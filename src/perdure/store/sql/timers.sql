-- name: due_timers
-- System: waiting runs whose time has come, the longest overdue first.
SELECT t.project_id, t.run_id, t.wake_at
FROM run_timers t
JOIN run_head h ON h.project_id = t.project_id AND h.run_id = t.run_id
WHERE t.wake_at <= $1 AND h.status = 'waiting'
ORDER BY t.wake_at
LIMIT $2;

-- name: remove_timers
-- System: forget timers that went off; one that was set anew meanwhile stays.
DELETE FROM run_timers t
USING unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS gone(project_id, run_id, wake_at)
WHERE t.project_id = gone.project_id AND t.run_id = gone.run_id AND t.wake_at = gone.wake_at;

-- name: remove_timers_of_ended_runs
-- System: forget the due timers of runs that have ended.
DELETE FROM run_timers t
USING run_head h
WHERE t.wake_at <= $1 AND h.project_id = t.project_id AND h.run_id = t.run_id
  AND h.status IN ('completed', 'failed', 'cancelled');
