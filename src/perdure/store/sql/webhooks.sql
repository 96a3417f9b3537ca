-- name: create_webhook
-- A new webhook of a project.
INSERT INTO webhooks (project_id, id, name, status, scheme, secret, spec, created_by, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9);

-- name: get_webhook
-- One webhook of a project.
SELECT * FROM webhooks WHERE project_id = $1 AND id = $2;

-- name: find_webhook
-- System: the webhook that a delivery is for; its signature says whether the sender may know of it.
SELECT * FROM webhooks WHERE id = $1;

-- name: list_webhooks
-- The webhooks of a project, oldest first.
SELECT * FROM webhooks WHERE project_id = $1 ORDER BY created_at, id;

-- name: change_webhook
-- Change a webhook of a project_id that nobody changed since it was read.
UPDATE webhooks
SET name = $4, status = $5, secret = $6, spec = $7, updated_at = $8, revision = revision + 1
WHERE project_id = $1 AND id = $2 AND revision = $3
RETURNING *;

-- name: delete_webhook
-- Delete a webhook of a project; its runs stay.
DELETE FROM webhooks WHERE project_id = $1 AND id = $2 RETURNING id;

-- name: note_delivery
-- Note the run of a delivery to a project's webhook, or that the delivery came again.
WITH fine AS (
    UPDATE webhooks SET last_error = NULL WHERE project_id = $1 AND id = $2 AND last_error IS NOT NULL
)
INSERT INTO webhook_deliveries (project_id, webhook_id, event_id, run_id, received_at, repeated)
SELECT w.project_id, w.id, $3, r.run_id, $5, $6
FROM webhooks w
JOIN runs r ON r.project_id = w.project_id AND r.run_id = $4
WHERE w.project_id = $1 AND w.id = $2
FOR KEY SHARE
ON CONFLICT (project_id, webhook_id, event_id) DO UPDATE SET repeated = true;

-- name: note_failed_delivery
-- Note why a delivery to a project's webhook started no run.
UPDATE webhooks SET last_error = $3 WHERE project_id = $1 AND id = $2;

-- name: list_deliveries
-- The newest deliveries to a project's webhook that started a run, with how that stands.
SELECT d.event_id, d.run_id, d.repeated, h.latest_event_id, h.status
FROM webhook_deliveries d
JOIN run_head h ON h.project_id = d.project_id AND h.run_id = d.run_id
WHERE d.project_id = $1 AND d.webhook_id = $2
ORDER BY d.received_at DESC, d.event_id DESC
LIMIT $3;
