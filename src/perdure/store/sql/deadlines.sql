-- name: overdue_runs
-- System: runs whose timeout_seconds have passed since they began; the expression is that of the index runs_deadline.
SELECT project_id, run_id
FROM runs
WHERE status IN ('pending', 'running', 'waiting') AND started_at IS NOT NULL AND spec ->> 'timeout_seconds' IS NOT NULL
  AND extract(epoch FROM started_at - timestamptz '1970-01-01 00:00:00+00') + (spec ->> 'timeout_seconds')::bigint
      <= $1::numeric
ORDER BY extract(epoch FROM started_at - timestamptz '1970-01-01 00:00:00+00') + (spec ->> 'timeout_seconds')::bigint
LIMIT $2;
