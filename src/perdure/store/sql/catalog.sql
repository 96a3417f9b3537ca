-- name: register_worker
-- System: say that a worker is there and what it serves.
INSERT INTO workers (id, routes, concurrency, started_at, heartbeat_at)
VALUES ($1, $2, $3, $4, $4)
ON CONFLICT (id) DO UPDATE SET routes = excluded.routes, concurrency = excluded.concurrency, heartbeat_at = excluded.heartbeat_at;

-- name: heartbeat_worker
-- System: say that a worker is still there.
UPDATE workers SET heartbeat_at = $2 WHERE id = $1;

-- name: remove_worker
-- System: forget a worker that stopped.
DELETE FROM workers WHERE id = $1;

-- name: remove_silent_workers
-- System: forget workers that have not been heard of since.
DELETE FROM workers WHERE heartbeat_at < $1;

-- name: record_catalog
-- System: remember what a worker serves, so that runs for it are accepted while no worker is alive.
INSERT INTO catalog (kind, name, last_seen_at)
SELECT kind, name, $3 FROM unnest($1::text[], $2::text[]) AS t(kind, name)
ON CONFLICT (kind, name) DO UPDATE SET last_seen_at = excluded.last_seen_at;

-- name: publish_catalog
-- System: remember what the worker says of what it serves.
INSERT INTO catalog (kind, name, description, version, input_schema, last_seen_at, concurrency)
SELECT kind, name, description, version, input_schema::json, $6, concurrency
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $7::int[])
     AS t(kind, name, description, version, input_schema, concurrency)
ON CONFLICT (kind, name) DO UPDATE
SET description = excluded.description, version = excluded.version, input_schema = excluded.input_schema,
    last_seen_at = excluded.last_seen_at, concurrency = excluded.concurrency;

-- name: set_worker_version
-- System: say which version of its code a worker executes.
UPDATE workers SET version = $2 WHERE id = $1;

-- name: get_catalog_entry
-- System: one thing that some worker serves or served.
SELECT kind, name, description, version, input_schema, last_seen_at, concurrency FROM catalog WHERE kind = $1 AND name = $2;

-- name: list_catalog
-- System: everything that some worker serves or served.
SELECT kind, name, description, version, input_schema, last_seen_at, concurrency FROM catalog ORDER BY kind, name;

-- name: list_workers
-- System: the workers that were heard of.
SELECT id, routes, concurrency, started_at, heartbeat_at, version FROM workers ORDER BY id;
