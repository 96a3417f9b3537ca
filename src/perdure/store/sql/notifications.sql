-- name: notify
-- System: send hints to every process that listens.
SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS hint(channel, payload);
