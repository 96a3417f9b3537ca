-- name: run_policy
-- What a conversation says about new runs.
SELECT run_policy FROM conversations WHERE project_id = $1 AND id = $2;

-- name: make_conversation
-- Make a conversation that is to come with a run, if it is not there.
INSERT INTO conversations (project_id, id, created_at, updated_at) VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING;

-- name: lock_line
-- Let nobody else decide about this conversation's line until the transaction ends.
SELECT id FROM conversations WHERE project_id = $1 AND id = $2 FOR NO KEY UPDATE;

-- name: live_others
-- The live runs of a conversation that belong to other trees than a run ($3), those in line last; none while its own tree has the turn.
WITH live AS (
    SELECT r.run_id, r.root_run_id, r.created_at, l.position, h.status = 'pending' AND l.run_id IS NOT NULL AS held
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
    LEFT JOIN conversation_line l ON l.project_id = r.project_id AND l.run_id = r.run_id
    WHERE r.project_id = $1 AND r.conversation_id = $2 AND r.run_id <> $3
      AND (h.status IN ('running', 'waiting') OR (h.status = 'pending' AND h.executor <> 'caller'))
), own AS (
    SELECT root_run_id FROM runs WHERE project_id = $1 AND run_id = $3
)
SELECT live.run_id, live.held
FROM live, own
WHERE live.root_run_id <> own.root_run_id
  AND NOT EXISTS (SELECT FROM live mine WHERE mine.root_run_id = own.root_run_id AND NOT mine.held)
ORDER BY live.held, live.position, live.created_at, live.run_id;

-- name: keep_from_ending
-- Let none of these runs end until the transaction does; answers those that have not ended.
SELECT run_id
FROM run_head
WHERE project_id = $1 AND run_id = ANY ($2::text[]) AND status IN ('pending', 'running', 'waiting')
ORDER BY run_id
FOR SHARE;

-- name: hold
-- Put a queued run at the end of its conversation's line; it interrupts the runs $4.
WITH held AS (
    UPDATE run_queue q
    SET available_at = 'infinity', place_again_at = 'infinity'
    FROM run_queue was
    WHERE q.project_id = $1 AND q.run_id = $2 AND was.project_id = q.project_id AND was.run_id = q.run_id
    RETURNING q.project_id, q.run_id, was.available_at AS due_at
)
INSERT INTO conversation_line (project_id, conversation_id, run_id, due_at, cancels)
SELECT project_id, $3, run_id, due_at, $4::text[] FROM held;

-- name: take_back_messages
-- Take what runs ($3) said out of a conversation, and what users said for them: the message that a run names, or else those right before its own.
DELETE FROM messages m
WHERE m.project_id = $1 AND m.conversation_id = $2
  AND (m.run_id = ANY ($3::text[])
       OR (m.role = 'user' AND m.run_id IS NULL AND EXISTS (
               SELECT FROM runs r
               WHERE r.project_id = $1 AND r.run_id = ANY ($3::text[])
                 AND CASE WHEN r.spec #>> '{origin,message_id}' IS NULL
                          THEN r.run_id = (SELECT n.run_id FROM messages n
                                           WHERE n.project_id = $1 AND n.conversation_id = $2
                                             AND n.position > m.position AND n.run_id IS NOT NULL
                                           ORDER BY n.position LIMIT 1)
                          ELSE lower(r.spec #>> '{origin,message_id}') = m.id::text
                     END)
           AND m.id::text IS DISTINCT FROM (SELECT lower(r.spec #>> '{origin,message_id}') FROM runs r
                                            WHERE r.project_id = $1 AND r.run_id = $4)));

-- name: held_by
-- The run that a run in line waits for: the one before it in line, or else the newest live one of its conversation.
SELECT coalesce(
    (SELECT o.run_id FROM conversation_line o
     WHERE o.project_id = l.project_id AND o.conversation_id = l.conversation_id AND o.position < l.position
     ORDER BY o.position DESC LIMIT 1),
    (SELECT r.run_id FROM runs r
     JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
     JOIN runs own ON own.project_id = l.project_id AND own.run_id = l.run_id
     WHERE r.project_id = l.project_id AND r.conversation_id = l.conversation_id AND r.root_run_id <> own.root_run_id
       AND h.status IN ('pending', 'running', 'waiting')
       AND NOT EXISTS (SELECT FROM conversation_line o WHERE o.project_id = r.project_id AND o.run_id = r.run_id)
     ORDER BY r.created_at DESC, r.run_id DESC LIMIT 1)) AS run_id
FROM conversation_line l
WHERE l.project_id = $1 AND l.run_id = $2;

-- name: to_interrupt
-- System: runs that others in line interrupt, and that were not told to end yet.
SELECT DISTINCT h.project_id, h.run_id
FROM conversation_line l, unnest(l.cancels) AS c(run_id), run_head h
WHERE h.project_id = l.project_id AND h.run_id = c.run_id
  AND h.status IN ('pending', 'running', 'waiting') AND NOT h.cancelling
LIMIT $1;
