-- name: announce_blob
-- System: a blob that is about to be written, by this name, for a project.
INSERT INTO blobs (name, project_id, loose_since) VALUES ($1, $2, $3);

-- name: touch_blob
-- System: a blob is still being written.
UPDATE blobs SET loose_since = $2 WHERE name = $1 AND loose_since < $2;

-- name: abandon_blob
-- System: a blob that was announced and will not be pointed at.
UPDATE blobs SET loose_since = '-infinity' WHERE name = $1;

-- name: store_artifact
-- Point a path at a written blob, if its writer still holds the run (or needs not to) and it replaces what it expects to.
WITH head AS MATERIALIZED (
    SELECT project_id, run_id, ($10::int IS NULL OR (fence = $10 AND status = 'running')) AS held
    FROM run_head
    WHERE project_id = $1 AND run_id = $2
    FOR SHARE
), stored AS (
    INSERT INTO artifacts AS a (project_id, run_id, path, blob, size, content_type, disposition, file_name, created_by,
                                created_at, updated_at)
    SELECT project_id, run_id, $3, $4, $5::bigint, $6, $7, $8, $9, $12::timestamptz, $12
    FROM head
    WHERE held AND ($11::bigint IS NULL OR $11 = 0
                    OR EXISTS (SELECT FROM artifacts o WHERE o.project_id = $1 AND o.run_id = $2 AND o.path = $3))
    ON CONFLICT (project_id, run_id, path) DO UPDATE
    SET blob = excluded.blob, size = excluded.size, content_type = excluded.content_type,
        disposition = excluded.disposition, file_name = excluded.file_name,
        generation = nextval('artifact_generations'), created_by = excluded.created_by, updated_at = excluded.updated_at
    WHERE $11::bigint IS NULL OR a.generation = $11
    RETURNING a.generation, a.created_at
), kept AS (
    UPDATE blobs SET loose_since = NULL WHERE name = $4 AND EXISTS (SELECT FROM stored)
)
SELECT head.held, stored.generation, stored.created_at FROM head LEFT JOIN stored ON true;

-- name: get_artifact
-- One artifact of a run.
SELECT project_id, run_id, path, blob, size, content_type, disposition, file_name, generation, created_by, created_at, updated_at
FROM artifacts WHERE project_id = $1 AND run_id = $2 AND path = $3;

-- name: list_artifacts
-- The artifacts of a run whose path begins with a text, by path.
SELECT project_id, run_id, path, blob, size, content_type, disposition, file_name, generation, created_by, created_at, updated_at
FROM artifacts WHERE project_id = $1 AND run_id = $2 AND starts_with(path, $3)
ORDER BY path COLLATE "C";

-- name: delete_artifact
-- Delete an artifact, if who deletes it still holds the run (or needs not to).
WITH head AS MATERIALIZED (
    SELECT ($4::int IS NULL OR (fence = $4 AND status = 'running')) AS held
    FROM run_head
    WHERE project_id = $1 AND run_id = $2
    FOR SHARE
), gone AS (
    DELETE FROM artifacts
    WHERE project_id = $1 AND run_id = $2 AND path = $3 AND EXISTS (SELECT FROM head WHERE held)
    RETURNING path
)
SELECT head.held, gone.path FROM head LEFT JOIN gone ON true;

-- name: copy_artifacts
-- Give a run the artifacts of another one of its project, except those that it has; they share their blobs.
INSERT INTO artifacts (project_id, run_id, path, blob, size, content_type, disposition, file_name, created_by, created_at, updated_at)
SELECT project_id, $3, path, blob, size, content_type, disposition, file_name, created_by, created_at, updated_at
FROM artifacts WHERE project_id = $1 AND run_id = $2
ON CONFLICT (project_id, run_id, path) DO NOTHING;

-- name: bury_loose_blobs
-- System: blobs that are loose since before a time, and that no artifact points at, are dead; the others are not loose.
WITH loose AS MATERIALIZED (
    SELECT name FROM blobs WHERE loose_since < $1 ORDER BY loose_since LIMIT $2 FOR UPDATE SKIP LOCKED
), kept AS (
    UPDATE blobs b SET loose_since = NULL FROM loose
    WHERE b.name = loose.name AND EXISTS (SELECT FROM artifacts a WHERE a.blob = b.name)
), gone AS (
    DELETE FROM blobs b USING loose
    WHERE b.name = loose.name AND NOT EXISTS (SELECT FROM artifacts a WHERE a.blob = b.name)
    RETURNING b.name, b.project_id
)
INSERT INTO dead_blobs (name, project_id) SELECT name, project_id FROM gone ON CONFLICT DO NOTHING;

-- name: dead_blobs
-- System: blobs whose bytes are to be removed from the store.
SELECT name FROM dead_blobs ORDER BY name LIMIT $1;

-- name: forget_blobs
-- System: the bytes of these dead blobs are removed.
DELETE FROM dead_blobs WHERE name = ANY ($1::text[]);

-- name: get_server_secret
-- System: what the servers share under a name.
SELECT value FROM server_secrets WHERE name = $1;

-- name: add_server_secret
-- System: a shared secret, unless there is one of that name.
INSERT INTO server_secrets (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;
