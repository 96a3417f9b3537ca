-- name: create_input_request
-- A new, open input request.
INSERT INTO input_requests (project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title,
                            description, fields, metadata, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $12);

-- name: get_input_request
-- One input request of a conversation.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests WHERE project_id = $1 AND conversation_id = $2 AND id = $3;

-- name: list_input_requests
-- A page of a conversation's input requests, of one status unless null, newest first, after a keyset cursor.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests
WHERE project_id = $1 AND conversation_id = $2 AND ($3::text IS NULL OR status = $3)
  AND ($4::timestamptz IS NULL OR (created_at, id) < ($4, $5::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $6;

-- name: input_requests_of_run
-- All input requests of a run, oldest first.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests WHERE project_id = $1 AND run_id = $2
ORDER BY created_at, id;

-- name: settle_input_request
-- Submit or cancel an input request that is open and has not expired; no row otherwise, so that the first one wins.
UPDATE input_requests
SET status = $4, settled_at = $5, response_id = $6, response_actor_id = $7, response_values = $8
WHERE project_id = $1 AND conversation_id = $2 AND id = $3 AND status = 'open'
  AND (expires_at IS NULL OR expires_at > $5)
RETURNING project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
          created_at, expires_at, settled_at, response_id, response_actor_id, response_values;

-- name: expire_input_requests
-- The open input requests of a conversation that are due expire.
UPDATE input_requests
SET status = 'expired', settled_at = expires_at
WHERE project_id = $1 AND conversation_id = $2 AND status = 'open' AND expires_at <= $3
RETURNING project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
          created_at, expires_at, settled_at, response_id, response_actor_id, response_values;

-- name: expire_due_input_requests
-- System: the open input requests that are due expire, in every project; those that somebody settles just now are left.
WITH due AS MATERIALIZED (
    SELECT project_id, conversation_id, id
    FROM input_requests
    WHERE status = 'open' AND expires_at <= $1
    ORDER BY expires_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE input_requests r
SET status = 'expired', settled_at = r.expires_at
FROM due
WHERE r.project_id = due.project_id AND r.conversation_id = due.conversation_id AND r.id = due.id
RETURNING r.project_id, r.conversation_id, r.id, r.run_id, r.tool_call_id, r.status, r.requested_responder_type, r.title,
          r.description, r.fields, r.metadata, r.created_at, r.expires_at, r.settled_at, r.response_id, r.response_actor_id,
          r.response_values;
