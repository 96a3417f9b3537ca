-- name: put_remote_agent
-- Store an agent that is reached by a URL, in place of the one that had its name.
INSERT INTO remote_agents (project_id, name, url, headers, description, created_by, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
ON CONFLICT (project_id, name) DO UPDATE
SET url = excluded.url, headers = excluded.headers, description = excluded.description, updated_at = excluded.updated_at
RETURNING *;

-- name: get_remote_agent
-- One agent that is reached by a URL.
SELECT * FROM remote_agents WHERE project_id = $1 AND name = $2;

-- name: list_remote_agents
-- The agents of a project that are reached by a URL, by name.
SELECT * FROM remote_agents WHERE project_id = $1 ORDER BY name;

-- name: delete_remote_agent
-- Forget an agent that was reached by a URL.
DELETE FROM remote_agents WHERE project_id = $1 AND name = $2 RETURNING name;
