-- name: create_project
-- System: a new project; no row when its id or slug is taken.
INSERT INTO projects (id, slug, name, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING id, slug, name, created_at;

-- name: get_project
-- System: a project by its id or slug (the caller's right to it is checked by the service).
SELECT id, slug, name, created_at FROM projects WHERE id::text = $1 OR slug = $1;

-- name: list_projects
-- System: all projects, for administrators.
SELECT id, slug, name, created_at FROM projects ORDER BY created_at, id;
