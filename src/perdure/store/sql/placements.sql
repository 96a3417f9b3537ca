-- name: take_unplaced
-- System: pending runs that the engine has not been told of, taken by one process for a while, up to 100; those due first come first.
WITH unplaced AS (
    SELECT q.project_id, q.run_id
    FROM run_queue q
    WHERE q.lease_owner IS NULL AND q.place_again_at IS NULL AND left(q.route, 9) <> 'external:'
    ORDER BY q.available_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE run_queue q SET place_again_at = $1
    FROM unplaced u
    WHERE q.project_id = u.project_id AND q.run_id = u.run_id
    RETURNING q.project_id, q.run_id, q.route, q.priority, q.available_at
)
SELECT t.project_id, t.run_id, t.route, t.priority, t.available_at, h.revision
FROM taken t JOIN run_head h ON h.project_id = t.project_id AND h.run_id = t.run_id
ORDER BY t.available_at;

-- name: set_placed
-- System: say of runs that were taken at one time when the engine is told again (null: at once); what moved since is left alone.
UPDATE run_queue q SET place_again_at = $4
FROM unnest($1::uuid[], $2::text[]) AS placed(project_id, run_id)
WHERE q.project_id = placed.project_id AND q.run_id = placed.run_id
  AND q.lease_owner IS NULL AND q.place_again_at = $3;

-- name: forget_placed
-- System: let pending runs be placed again of which the engine was told long ago, or by a process that died over it.
UPDATE run_queue SET place_again_at = NULL WHERE lease_owner IS NULL AND place_again_at < $1;
