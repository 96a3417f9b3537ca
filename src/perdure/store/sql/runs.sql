-- name: create_run
-- Create a run with its head, its place in the queue and, if asked, its conversation and message; nothing at all when the run exists.
WITH spawner AS (
    -- A conversation may say which run it was made for (veryfront.md 3.5); that run is the parent of those that name none.
    SELECT p.run_id, p.root_run_id
    FROM conversations c
    JOIN runs p ON p.project_id = c.project_id AND p.run_id = c.metadata #>> '{projectAgentChildRun,parentRunId}'
               AND p.conversation_id::text = lower(c.metadata #>> '{projectAgentChildRun,parentConversationId}')
    WHERE $8::text IS NULL AND c.project_id = $1 AND c.id = $9 AND p.run_id <> $2
), created AS (
    INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, agent_id, target, parent_run_id, root_run_id,
                      conversation_id, message_id, batch_id, tags, spec, input, status, metadata, created_by,
                      idempotency_key, request_hash, created_at, started_at, updated_at,
                      visibility, name, title, topic, categories, content_type_name, forked_from, profile,
                      priority, run_after, deadline)
    SELECT $1, $2, $3, $4, $5, $6, $7, coalesce($8, (SELECT run_id FROM spawner)),
            coalesce((SELECT p.root_run_id FROM runs p WHERE p.project_id = $1 AND p.run_id = $8), $8,
                     (SELECT root_run_id FROM spawner), $2),
            $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20::timestamptz,
            CASE WHEN $15 = 'running' THEN $20::timestamptz END, $20::timestamptz,
            $25, $26, $27, $28, $29, $30, $31, $32, $24, $33, $34
    -- Under a policy a run is created by services/conversation_line.py.
    WHERE NOT ($35 AND EXISTS (SELECT FROM conversations c
                               WHERE c.project_id = $1 AND c.id = $9 AND c.run_policy <> 'allow'))
    ON CONFLICT DO NOTHING
    RETURNING project_id, run_id, parent_run_id, root_run_id, conversation_id, message_id, status, created_at, priority, run_after
), conversation AS (
    INSERT INTO conversations (project_id, id, created_at, updated_at)
    SELECT project_id, conversation_id, created_at, created_at FROM created WHERE $21
    ON CONFLICT DO NOTHING
), message AS (
    INSERT INTO messages (project_id, conversation_id, id, run_id, role, status, parts, created_at)
    SELECT project_id, conversation_id, message_id, run_id, 'assistant', 'streaming', '[]', created_at
    FROM created WHERE conversation_id IS NOT NULL AND message_id IS NOT NULL
    ON CONFLICT DO NOTHING
), head AS (
    INSERT INTO run_head (project_id, run_id, status, executor, attempt)
    SELECT project_id, run_id, status, $22, CASE WHEN status = 'running' THEN 1 ELSE 0 END FROM created
), queued AS (
    INSERT INTO run_queue (project_id, run_id, route, priority, available_at)
    SELECT project_id, run_id, $23, priority, greatest(created_at, run_after) FROM created WHERE $23::text IS NOT NULL
)
SELECT parent_run_id, root_run_id FROM created;

-- name: get_run
-- One run, whole.
SELECT * FROM runs_whole WHERE project_id = $1 AND run_id = $2;

-- name: get_run_owner
-- Whether a run is private, and who started it.
SELECT visibility, created_by FROM runs WHERE project_id = $1 AND run_id = $2;

-- name: get_run_by_idempotency_key
-- The run that an earlier request with this Idempotency-Key made.
SELECT * FROM runs_whole WHERE project_id = $1 AND idempotency_key = $2;

-- name: get_runs
-- Many runs, whole. System-wide set: each row carries its project_id.
SELECT w.*
FROM unnest($1::uuid[], $2::text[]) AS k(project_id, run_id)
JOIN runs_whole w ON w.project_id = k.project_id AND w.run_id = k.run_id;

-- name: get_conversation_run
-- One run, whole, if it belongs to the conversation.
SELECT * FROM runs_whole WHERE project_id = $1 AND run_id = $2 AND conversation_id = $3;

-- name: list_runs
-- A page of runs, newest first, after a keyset cursor; each filter applies unless it is null. One status ($2) is found in order, several ($13) are not.
SELECT *
FROM runs_whole
WHERE project_id = $1
  AND ($2::text IS NULL OR listed_status = $2)
  AND ($13::text[] IS NULL OR listed_status = ANY ($13))
  AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR agent_id = $4)
  AND ($5::text IS NULL OR target = $5)
  AND ($6::text IS NULL OR tags @> ARRAY[$6])
  AND ($7::text IS NULL OR parent_run_id = $7)
  AND ($14::text IS NULL OR visibility = 'project' OR created_by = $14)
  AND ($15::text[] IS NULL OR waiting ->> 'reason' = ANY ($15))
  AND ($8::timestamptz IS NULL OR created_at > $8)
  AND ($9::timestamptz IS NULL OR created_at <= $9)
  AND ($10::timestamptz IS NULL OR (created_at, run_id) < ($10, $11))
ORDER BY created_at DESC, run_id DESC
LIMIT $12;

-- name: list_children_of_conversation
-- A page of the runs in conversations that the runs of a conversation started, newest first, after a keyset cursor.
SELECT w.*
FROM runs p
JOIN runs_whole w ON w.project_id = p.project_id AND w.parent_run_id = p.run_id
WHERE p.project_id = $1 AND p.conversation_id = $2 AND w.conversation_id IS NOT NULL
  AND ($3::timestamptz IS NULL OR (w.created_at, w.run_id) < ($3, $4))
ORDER BY w.created_at DESC, w.run_id DESC
LIMIT $5;

-- name: count_live_runs
-- System: live runs by status.
SELECT status, count(*) AS runs FROM runs WHERE status IN ('pending', 'running', 'waiting') GROUP BY status;

-- name: transition_run
-- Move a run whose revision is still the expected one: its state, its events, its wide row and its queue row, in one statement.
WITH moved AS (
    UPDATE run_head h
    SET status = $4, executor = $5, attempt = $6, fence = $7, cancelling = $8, waiting = $9,
        revision = h.revision + 1,
        version = CASE WHEN $4 IN ('completed', 'failed', 'cancelled') THEN NULL ELSE h.version END,
        latest_event_id = h.latest_event_id + $11,
        latest_external_sequence = h.latest_external_sequence + $12,
        latest_signal_id = CASE WHEN $30 THEN h.latest_event_id + $11 ELSE h.latest_signal_id END,
        last_ts = greatest(h.last_ts, $10::bigint - 1) + $11 + $31
    WHERE h.project_id = $1 AND h.run_id = $2 AND h.revision = $3
      AND ($13::bigint IS NULL OR h.latest_event_id = $13)
    RETURNING h.project_id, h.run_id, h.status, h.revision, h.fence, h.latest_event_id, h.latest_external_sequence, h.last_ts,
              h.latest_event_id - $11 AS previous_event_id,
              h.latest_external_sequence - $12 AS previous_external_sequence,
              h.last_ts - $11 - $31 AS previous_ts
), stored AS (
    INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, first_external_sequence,
                            public, types, events)
    SELECT m.project_id, m.run_id,
           m.previous_event_id + 1 + s.skipped,
           m.previous_event_id + s.skipped + s.size,
           m.previous_ts + 1 + s.skipped,
           CASE WHEN s.external_skipped IS NULL THEN NULL ELSE m.previous_external_sequence + 1 + s.external_skipped END,
           s.public,
           string_to_array(s.types, E'\n'),
           s.events
    FROM moved m,
         unnest($14::int[], $15::int[], $16::int[], $17::boolean[], $18::text[], $19::text[])
         AS s(skipped, external_skipped, size, public, types, events)
), wide AS (
    UPDATE runs r
    SET status = m.status,
        started_at = CASE WHEN $20 THEN coalesce(r.started_at, $21::timestamptz)
                          WHEN r.completed_at IS NULL THEN r.started_at END, -- a run that had ended begins anew
        completed_at = CASE WHEN m.status IN ('completed', 'failed', 'cancelled') THEN $21::timestamptz END,
        error_code = CASE WHEN m.status IN ('failed', 'cancelled') THEN $22::text END,
        error_message = CASE WHEN m.status IN ('failed', 'cancelled') THEN $23::text END,
        output = CASE WHEN m.status IN ('completed', 'failed', 'cancelled') THEN $24::json END,
        metadata = coalesce($25::json, r.metadata),
        input = coalesce($29::json, r.input),
        priority = coalesce($32::smallint, r.priority),
        run_after = coalesce($33::timestamptz, r.run_after),
        deadline = coalesce($34::timestamptz, r.deadline),
        updated_at = $21::timestamptz
    FROM moved m
    WHERE r.project_id = m.project_id AND r.run_id = m.run_id
    RETURNING r.project_id, r.run_id, r.status, r.parent_run_id, r.priority, r.run_after
), unanswered AS (
    UPDATE input_requests i
    SET status = CASE WHEN i.expires_at <= $21::timestamptz THEN 'expired' ELSE 'cancelled' END,
        settled_at = least(i.expires_at, $21::timestamptz)
    FROM moved m
    WHERE m.status IN ('completed', 'failed', 'cancelled')
      AND i.project_id = m.project_id AND i.run_id = m.run_id AND i.status = 'open'
), removed AS (
    DELETE FROM run_queue q USING moved m
    WHERE $26 IN ('remove', 'sleep') AND q.project_id = m.project_id AND q.run_id = m.run_id
), sleeping AS (
    -- A child may have ended since the attempt looked: its earlier time holds.
    INSERT INTO run_timers AS t (project_id, run_id, wake_at)
    SELECT m.project_id, m.run_id, $28::timestamptz FROM moved m WHERE $26 = 'sleep'
    ON CONFLICT (project_id, run_id) DO UPDATE SET wake_at = least(t.wake_at, excluded.wake_at)
), parent AS (
    -- A workflow may wait for the child that ends here, or be about to: it looks again.
    INSERT INTO run_timers (project_id, run_id, wake_at)
    SELECT p.project_id, p.run_id, $21::timestamptz
    FROM wide w
    JOIN runs p ON p.project_id = w.project_id AND p.run_id = w.parent_run_id AND p.run_id <> w.run_id
               AND p.kind = 'workflow' AND p.status IN ('pending', 'running', 'waiting')
    WHERE w.status IN ('completed', 'failed', 'cancelled')
    ON CONFLICT (project_id, run_id) DO UPDATE SET wake_at = excluded.wake_at
), cancelled AS (
    UPDATE run_queue q SET cancel_at = $21::timestamptz FROM moved m
    WHERE $26 = 'cancel' AND q.project_id = m.project_id AND q.run_id = m.run_id
), queued AS (
    INSERT INTO run_queue (project_id, run_id, route, priority, available_at)
    SELECT project_id, run_id, $27::text, priority, greatest($28::timestamptz, run_after) FROM wide WHERE $26 = 'enqueue'
    ON CONFLICT (project_id, run_id) DO UPDATE
    SET lease_owner = NULL, lease_expires_at = NULL, fence = NULL, cancel_at = NULL, available_at = excluded.available_at,
        place_again_at = NULL
)
SELECT revision, latest_event_id, latest_external_sequence,
       -- Whether one that does not run any more may have made room for another.
       status <> 'running' AND (
           EXISTS (SELECT FROM projects WHERE id = $1 AND max_running IS NOT NULL)
           OR EXISTS (SELECT FROM catalog WHERE concurrency IS NOT NULL AND kind = split_part($27, ':', 1)
                                            AND name = substr($27, strpos($27, ':') + 1))) AS limited
FROM moved;
