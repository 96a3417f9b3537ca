-- name: overdue_runs
-- System: runs whose timeout_seconds have passed since they began (a running task's worker gets $3 seconds to end it); the expression is that of the index runs_deadline.
SELECT r.project_id, r.run_id
FROM runs r
WHERE status IN ('pending', 'running', 'waiting') AND started_at IS NOT NULL AND spec ->> 'timeout_seconds' IS NOT NULL
  AND extract(epoch FROM started_at - timestamptz '1970-01-01 00:00:00+00') + (spec ->> 'timeout_seconds')::bigint
      <= $1::numeric
  AND (kind <> 'task' OR status <> 'running'
       OR EXISTS (SELECT FROM run_head h WHERE h.project_id = r.project_id AND h.run_id = r.run_id AND h.executor <> 'engine')
       OR extract(epoch FROM started_at - timestamptz '1970-01-01 00:00:00+00') + (spec ->> 'timeout_seconds')::bigint
          <= $1::numeric - $3::numeric)
ORDER BY extract(epoch FROM started_at - timestamptz '1970-01-01 00:00:00+00') + (spec ->> 'timeout_seconds')::bigint
LIMIT $2;

-- name: runs_past_deadline
-- System: live runs whose own deadline has passed (a running task's worker gets until $3 to end it).
SELECT r.project_id, r.run_id
FROM runs r
WHERE deadline IS NOT NULL AND status IN ('pending', 'running', 'waiting') AND deadline <= $1
  AND (kind <> 'task' OR status <> 'running' OR deadline <= $3
       OR EXISTS (SELECT FROM run_head h WHERE h.project_id = r.project_id AND h.run_id = r.run_id AND h.executor <> 'engine'))
ORDER BY deadline
LIMIT $2;
