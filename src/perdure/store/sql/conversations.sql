-- name: get_conversation
-- One conversation of a project.
SELECT project_id, id, type, title, metadata, created_at, updated_at
FROM conversations WHERE project_id = $1 AND id = $2;

-- name: create_conversation
-- A new conversation.
INSERT INTO conversations (project_id, id, type, title, metadata, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)
RETURNING project_id, id, type, title, metadata, created_at, updated_at;
