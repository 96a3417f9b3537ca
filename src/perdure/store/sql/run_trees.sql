-- name: run_tree
-- A run ($5: the topmost run above it) with what is below it, level by level, at most $3 runs; private runs of others than $4 end their branch.
WITH RECURSIVE above AS (
    SELECT run_id, parent_run_id, 0 AS height, ARRAY[run_id] AS path FROM runs WHERE project_id = $1 AND run_id = $2
    UNION ALL
    -- Callers name parents and choose ids: a run may be its own ancestor.
    SELECT p.run_id, p.parent_run_id, a.height + 1, a.path || p.run_id
    FROM above a
    JOIN runs p ON p.project_id = $1 AND p.run_id = a.parent_run_id
    WHERE $5 AND p.run_id <> ALL (a.path) AND ($4::text IS NULL OR p.visibility = 'project' OR p.created_by = $4)
), below AS (
    SELECT top.run_id, 0 AS depth, ARRAY[top.run_id] AS path
    FROM (SELECT run_id FROM above ORDER BY height DESC LIMIT 1) top
    UNION ALL
    SELECT c.run_id, b.depth + 1, b.path || c.run_id
    FROM below b
    JOIN runs c ON c.project_id = $1 AND c.parent_run_id = b.run_id
    WHERE c.run_id <> ALL (b.path) AND ($4::text IS NULL OR c.visibility = 'project' OR c.created_by = $4)
)
SELECT r.run_id, r.parent_run_id, b.depth, r.kind, r.agent_id, r.target, r.spec ->> 'name' AS name, h.status, h.cancelling,
       h.attempt, h.waiting, r.error_code, r.error_message, r.created_at, r.started_at, r.completed_at
FROM (SELECT run_id, depth FROM below LIMIT $3) b
JOIN runs r ON r.project_id = $1 AND r.run_id = b.run_id
JOIN run_head h ON h.project_id = $1 AND h.run_id = b.run_id
ORDER BY b.depth, r.created_at, r.run_id;

-- name: cancellable_below
-- Runs anywhere below a run, also below those that have ended, that have not ended and were not told to; upper ones first.
WITH RECURSIVE below AS (
    SELECT $2::text AS run_id, 0 AS depth, ARRAY[$2::text] AS path
    UNION ALL
    SELECT c.run_id, b.depth + 1, b.path || c.run_id
    FROM below b
    JOIN runs c ON c.project_id = $1 AND c.parent_run_id = b.run_id
    WHERE c.run_id <> ALL (b.path)
)
SELECT h.run_id
FROM below b
JOIN run_head h ON h.project_id = $1 AND h.run_id = b.run_id
WHERE b.depth > 0 AND h.status IN ('pending', 'running', 'waiting') AND NOT h.cancelling
ORDER BY b.depth, h.run_id
LIMIT $3;
