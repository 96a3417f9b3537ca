-- name: create_key
-- A new key of a project; an administrator's bootstrap key that exists already is brought up to date.
INSERT INTO api_keys (id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (prefix) DO UPDATE
SET secret_hash = excluded.secret_hash, scopes = excluded.scopes, revoked_at = NULL
WHERE api_keys.project_id = excluded.project_id AND $9
RETURNING id;

-- name: find_key
-- System: the key that a caller presents, by its public prefix (the secret is compared by the service).
SELECT id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at
FROM api_keys WHERE prefix = $1;

-- name: list_keys
-- The keys of a project.
SELECT id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at
FROM api_keys WHERE project_id = $1 ORDER BY created_at, id;

-- name: revoke_key
-- End a key of a project, by id or prefix.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3)
WHERE project_id = $1 AND (id::text = $2 OR prefix = $2)
RETURNING id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at;
