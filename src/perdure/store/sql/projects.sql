-- name: create_project
-- System: a new project; no row when its id or slug is taken.
INSERT INTO projects (id, slug, name, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING id, slug, name, created_at, max_running;

-- name: set_max_running
-- System: how many runs of a project may be executed at once (the caller's right to it is checked by the service).
UPDATE projects SET max_running = $2 WHERE id = $1 RETURNING id, slug, name, created_at, max_running;

-- name: get_project
-- System: a project by its id (the caller's right to it is checked by the service).
SELECT id, slug, name, created_at, max_running FROM projects WHERE id = $1;

-- name: get_project_by_slug
-- System: a project by its slug (the caller's right to it is checked by the service).
SELECT id, slug, name, created_at, max_running FROM projects WHERE slug = $1;

-- name: list_projects
-- System: all projects, for administrators.
SELECT id, slug, name, created_at, max_running FROM projects ORDER BY created_at, id;

-- name: locate_run
-- System: the project that has a run, for administrators; the given project first. One index probe for each project.
SELECT coalesce(
    (SELECT h.project_id FROM run_head h WHERE h.project_id = $1 AND h.run_id = $2),
    (SELECT p.id FROM projects p
     WHERE EXISTS (SELECT FROM run_head h WHERE h.project_id = p.id AND h.run_id = $2 OFFSET 0)
     ORDER BY p.created_at, p.id
     LIMIT 1)
) AS project_id;

-- name: locate_conversation
-- System: the project that has a conversation, for administrators; the given project first. One index probe for each project.
SELECT coalesce(
    (SELECT c.project_id FROM conversations c WHERE c.project_id = $1 AND c.id = $2),
    (SELECT p.id FROM projects p
     WHERE EXISTS (SELECT FROM conversations c WHERE c.project_id = p.id AND c.id = $2 OFFSET 0)
     ORDER BY p.created_at, p.id
     LIMIT 1)
) AS project_id;

-- name: locate_batch
-- System: the project that has a batch, for administrators; the given project first. Two index probes for each project.
SELECT coalesce(
    (SELECT b.project_id FROM batches b WHERE b.project_id = $1 AND b.id = $2),
    (SELECT p.id FROM projects p
     WHERE EXISTS (SELECT FROM batches b WHERE b.project_id = p.id AND b.id = $2 OFFSET 0)
        OR EXISTS (SELECT FROM runs r WHERE r.project_id = p.id AND r.batch_id = $2 OFFSET 0)
     ORDER BY p.id <> $1, p.created_at, p.id
     LIMIT 1)
) AS project_id;
