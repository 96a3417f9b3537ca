-- name: create_input_request
-- A new, open input request of a run that has not ended, with the event that tells its log; no row where the run has ended.
WITH moved AS (
    -- The revision grows, so that whoever decided to end the run before this decides again, and sees the request.
    UPDATE run_head
    SET revision = revision + 1, latest_event_id = latest_event_id + 1, last_ts = greatest(last_ts, $13::bigint - 1) + 1
    WHERE project_id = $1 AND run_id = $4 AND status IN ('pending', 'running', 'waiting')
    RETURNING project_id, run_id, latest_event_id, last_ts
), told AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)
    SELECT project_id, run_id, latest_event_id, latest_event_id, last_ts, true, ARRAY['CUSTOM'], $14 FROM moved
)
INSERT INTO input_requests (project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title,
                            description, fields, metadata, created_at, expires_at)
SELECT project_id, $2::uuid, $3::uuid, run_id, $5::text, 'open', $6::text, $7::text, $8::text, $9::json, $10::json,
       $11::timestamptz, $12::timestamptz
FROM moved
RETURNING id;

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

-- name: list_open_input_requests
-- A page of the input requests of a project that are still open at a time, newest first, after a keyset cursor.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests
WHERE project_id = $1 AND status = 'open' AND (expires_at IS NULL OR expires_at > $2)
  AND ($3::timestamptz IS NULL OR (created_at, id) < ($3, $4::uuid))
ORDER BY created_at DESC, id DESC
LIMIT $5;

-- name: input_requests_of_run
-- All input requests of a run, oldest first.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests WHERE project_id = $1 AND run_id = $2
ORDER BY created_at, id;

-- name: settle_input_request
-- Submit, cancel or expire an input request that is open, with the event that tells the run's log unless it has ended; no row where it is settled, or its time is not as $9 says.
WITH head AS MATERIALIZED (
    -- First, as who ends a run does: it locks the head, then what the run has asked.
    SELECT project_id, run_id FROM run_head WHERE project_id = $1 AND run_id = $4 FOR UPDATE
), settled AS (
    UPDATE input_requests r
    SET status = $5, settled_at = $6, response_id = $7, response_actor_id = $8, response_values = $10
    FROM head
    WHERE r.project_id = $1 AND r.conversation_id = $2 AND r.id = $3 AND r.run_id = head.run_id AND r.status = 'open'
      AND (r.expires_at IS NOT NULL AND r.expires_at <= $11::timestamptz) = $9::boolean
    RETURNING r.project_id, r.run_id, r.id
), moved AS (
    UPDATE run_head h
    SET latest_event_id = h.latest_event_id + 1, last_ts = greatest(h.last_ts, $12::bigint - 1) + 1
    FROM settled
    WHERE h.project_id = settled.project_id AND h.run_id = settled.run_id AND h.status IN ('pending', 'running', 'waiting')
    RETURNING h.project_id, h.run_id, h.latest_event_id, h.last_ts
), told AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, public, types, events)
    SELECT project_id, run_id, latest_event_id, latest_event_id, last_ts, true, ARRAY['CUSTOM'], $13 FROM moved
)
SELECT id FROM settled;

-- name: due_input_requests
-- The open input requests of a conversation that are due, at most so many.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests
WHERE project_id = $1 AND conversation_id = $2 AND status = 'open' AND expires_at <= $3
ORDER BY expires_at
LIMIT $4;

-- name: all_due_input_requests
-- System: the open input requests that are due, in every project, at most so many.
SELECT project_id, conversation_id, id, run_id, tool_call_id, status, requested_responder_type, title, description, fields, metadata,
       created_at, expires_at, settled_at, response_id, response_actor_id, response_values
FROM input_requests
WHERE status = 'open' AND expires_at <= $1
ORDER BY expires_at
LIMIT $2;
