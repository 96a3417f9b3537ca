-- name: create_message
-- Add a message to a conversation; no row when one with this idempotency key is there.
INSERT INTO messages (project_id, conversation_id, id, parent_id, role, status, parts, metadata, idempotency_key, created_at)
VALUES ($1, $2, $3, $4, $5, 'completed', $6, $7, $8, $9)
ON CONFLICT (project_id, conversation_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
RETURNING project_id, conversation_id, id, position, parent_id, run_id, role, status, parts, metadata, created_at;

-- name: get_message_by_idempotency_key
-- The message that an earlier request with this key added.
SELECT project_id, conversation_id, id, position, parent_id, run_id, role, status, parts, metadata, created_at
FROM messages
WHERE project_id = $1 AND conversation_id = $2 AND idempotency_key = $3;

-- name: list_messages
-- A page of a conversation's messages before a position, newest first, each with where the log of its run ends.
SELECT m.project_id, m.conversation_id, m.id, m.position, m.parent_id, m.run_id, m.role, m.status, m.parts, m.metadata,
       m.created_at, h.status AS run_status, h.latest_event_id
FROM messages m
LEFT JOIN run_head h ON h.project_id = m.project_id AND h.run_id = m.run_id
WHERE m.project_id = $1 AND m.conversation_id = $2 AND ($3::bigint IS NULL OR m.position < $3)
ORDER BY m.position DESC
LIMIT $4;

-- name: store_transcript
-- What the message of a run says, as its log says it.
UPDATE messages SET status = $4, parts = $5, metadata = $6 WHERE project_id = $1 AND id = $2 AND run_id = $3;
