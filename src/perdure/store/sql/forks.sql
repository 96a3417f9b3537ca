-- name: fork_run
-- A new run that starts with the log which another one has now, and the event that says so; the other is left as it is.
WITH source AS (
    SELECT r.*, h.executor, h.latest_event_id, h.latest_external_sequence, h.last_ts
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
    WHERE r.project_id = $1 AND r.run_id = $2
), conversation AS (
    INSERT INTO conversations (project_id, id, created_at, updated_at)
    SELECT project_id, $4::uuid, $6::timestamptz, $6::timestamptz FROM source WHERE $4::uuid IS NOT NULL
), created AS (
    INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, agent_id, target, root_run_id, conversation_id,
                      message_id, tags, spec, input, status, created_by, request_hash, created_at, updated_at,
                      visibility, name, title, topic, categories, content_type_name, forked_from, profile,
                      priority)
    SELECT project_id, $3, kind, 'project', project_id, agent_id, target, $3, $4::uuid,
           $5::uuid, tags, spec, input, 'pending', $7, request_hash, $6::timestamptz, $6::timestamptz,
           visibility, name, title, topic, categories, content_type_name, run_id, $11::json, priority
    FROM source
    RETURNING project_id, run_id, priority
), message AS (
    INSERT INTO messages (project_id, conversation_id, id, run_id, role, status, parts, created_at)
    SELECT project_id, $4::uuid, $5::uuid, $3, 'assistant', 'streaming', '[]', $6::timestamptz
    FROM source WHERE $4::uuid IS NOT NULL
), head AS (
    INSERT INTO run_head (project_id, run_id, status, executor, latest_event_id, latest_external_sequence, last_ts)
    SELECT project_id, $3, 'pending', executor, latest_event_id + 1, latest_external_sequence,
           greatest(last_ts + 1, $8::bigint)
    FROM source
    RETURNING project_id, run_id, latest_event_id, last_ts
), copied AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, first_external_sequence,
                            public, types, events)
    SELECT e.project_id, $3, e.first_event_id, e.last_event_id, e.first_ts, e.first_external_sequence,
           e.public, e.types, e.events
    FROM source s
    JOIN run_events e ON e.project_id = s.project_id AND e.run_id = s.run_id AND e.last_event_id <= s.latest_event_id
    UNION ALL
    SELECT project_id, run_id, latest_event_id, latest_event_id, last_ts, NULL, true, ARRAY['CUSTOM'], $9
    FROM head
), queued AS (
    INSERT INTO run_queue (project_id, run_id, route, priority, available_at)
    SELECT project_id, run_id, $10, priority, $6::timestamptz FROM created WHERE $10::text IS NOT NULL
)
SELECT project_id FROM created;
