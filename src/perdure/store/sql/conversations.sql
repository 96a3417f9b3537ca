-- name: create_conversation
-- Create a conversation.
INSERT INTO conversations (project_id, id, type, title, metadata, created_at, updated_at, run_policy)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7)
RETURNING project_id, id, type, title, metadata, run_policy, created_at, updated_at;

-- name: get_conversation
-- One conversation.
SELECT project_id, id, type, title, metadata, run_policy, created_at, updated_at FROM conversations WHERE project_id = $1 AND id = $2;

-- name: list_conversations
-- A page of a project's conversations, newest first, after a keyset cursor.
SELECT project_id, id, type, title, metadata, run_policy, created_at, updated_at
FROM conversations
WHERE project_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $4;

-- name: update_conversation
-- Change a conversation: its type and policy unless null, its title if $4, its metadata if $6.
UPDATE conversations
SET type = coalesce($3, type),
    title = CASE WHEN $4 THEN $5 ELSE title END,
    metadata = CASE WHEN $6 THEN $7::json ELSE metadata END,
    run_policy = coalesce($9, run_policy),
    updated_at = $8
WHERE project_id = $1 AND id = $2
RETURNING project_id, id, type, title, metadata, run_policy, created_at, updated_at;

-- name: lock_conversation
-- Hold a conversation, so that no run and no message joins it any more.
SELECT id FROM conversations WHERE project_id = $1 AND id = $2 FOR UPDATE;

-- name: lock_conversation_runs
-- Hold the runs of a conversation, so that nothing is appended and nothing moves any more.
SELECT h.run_id
FROM runs r
JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
WHERE r.project_id = $1 AND r.conversation_id = $2
ORDER BY h.run_id
FOR UPDATE OF h;

-- name: delete_conversation
-- Delete a conversation; its messages, runs and their events go with it.
DELETE FROM conversations WHERE project_id = $1 AND id = $2 RETURNING id;

-- name: live_runs_of_conversation
-- The runs of a conversation that have not ended.
SELECT r.run_id
FROM runs r
JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
WHERE r.project_id = $1 AND r.conversation_id = $2 AND h.status IN ('pending', 'running', 'waiting')
ORDER BY r.created_at, r.run_id;
