-- name: create_key
-- A new key of a project; no row when its prefix is taken.
INSERT INTO api_keys (id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at;

-- name: put_bootstrap_key
-- The bootstrap key of a project: there is one row for it, so that a new key ends the former.
INSERT INTO api_keys (id, project_id, prefix, secret_hash, name, scopes, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE
SET project_id = excluded.project_id, prefix = excluded.prefix, secret_hash = excluded.secret_hash, name = excluded.name,
    scopes = excluded.scopes, expires_at = NULL, revoked_at = NULL,
    created_at = CASE WHEN api_keys.secret_hash = excluded.secret_hash THEN api_keys.created_at ELSE excluded.created_at END
RETURNING id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at;

-- name: find_keys
-- System: the keys that a caller's may be, by public prefix (the hash is compared by the service).
SELECT id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at
FROM api_keys WHERE prefix = ANY ($1::text[]);

-- name: list_keys
-- The keys of a project.
SELECT id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at
FROM api_keys WHERE project_id = $1 ORDER BY created_at, id;

-- name: revoke_key
-- End a key of a project, by id or prefix.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, $3)
WHERE project_id = $1 AND (id::text = $2 OR prefix = $2)
RETURNING id, project_id, prefix, secret_hash, name, scopes, created_at, expires_at, revoked_at;
