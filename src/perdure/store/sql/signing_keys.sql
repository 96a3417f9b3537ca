-- name: add_signing_key
-- System: the server's signing key, unless there is one.
INSERT INTO signing_keys (private_key, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: get_signing_key
-- System: the server's signing key.
SELECT private_key FROM signing_keys;
