-- name: server_facts
-- System: the server's version as a number, and its clock.
SELECT current_setting('server_version_num')::int AS version, clock_timestamp() AS now;

-- name: count_usable_keys
-- System: how many API keys open something at a time.
SELECT count(*) AS keys FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1);
