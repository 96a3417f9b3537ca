-- name: add_signing_key
-- System: the server's signing key, unless there is one.
INSERT INTO signing_keys (private_key, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: get_signing_key
-- System: the server's signing keys, and when the newest was made.
SELECT private_key, created_at FROM signing_keys;

-- name: replace_signing_key
-- System: new signing keys, if those of before are still the same.
UPDATE signing_keys SET private_key = $2, created_at = $3 WHERE private_key = $1 RETURNING true;
