-- name: append_events
-- Append to many runs in one statement and one commit; a run that is locked, or whose guards fail, is left out of the answer. System-wide set: each row carries its project_id.
WITH wanted AS MATERIALIZED (
    SELECT *
    FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::int[])
         WITH ORDINALITY AS t(project_id, run_id, expected_event_id, expected_external_sequence, fence,
                              event_count, external_count, ord)
), held AS MATERIALIZED (
    SELECT h.project_id, h.run_id, w.ord, w.event_count, w.external_count,
           h.latest_event_id, h.latest_external_sequence, greatest(h.last_ts, $8::bigint - 1) AS last_ts
    FROM wanted w
    JOIN run_head h ON h.project_id = w.project_id AND h.run_id = w.run_id
    WHERE (h.status = 'running' OR (h.status = 'pending' AND (h.executor = 'engine' OR w.external_count = 0)))
      AND (w.expected_event_id IS NULL OR w.expected_event_id = h.latest_event_id)
      AND (w.expected_external_sequence IS NULL OR w.expected_external_sequence = h.latest_external_sequence)
      AND (w.fence IS NULL OR (w.fence = h.fence AND h.status = 'running'))
    FOR UPDATE OF h SKIP LOCKED
), moved AS (
    UPDATE run_head h
    SET latest_event_id = held.latest_event_id + held.event_count,
        latest_external_sequence = held.latest_external_sequence + held.external_count,
        last_ts = held.last_ts + held.event_count
    FROM held
    WHERE h.project_id = held.project_id AND h.run_id = held.run_id
    RETURNING h.project_id, h.run_id, held.ord, h.latest_event_id, h.latest_external_sequence, h.revision,
              held.latest_event_id AS previous_event_id, held.latest_external_sequence AS previous_external_sequence,
              held.last_ts AS previous_ts
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
    FROM moved m
    JOIN unnest($9::int[], $10::int[], $11::int[], $12::int[], $13::boolean[], $14::text[], $15::text[])
         AS s(ord, skipped, external_skipped, size, public, types, events) ON s.ord = m.ord
)
SELECT ord::int, latest_event_id, latest_external_sequence, revision FROM moved;

-- name: read_events
-- The rows of one run after a cursor, in order, public ones only if asked so.
SELECT first_event_id, first_ts, first_external_sequence, public, types, events
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND (public OR NOT $4) AND last_event_id > $3
  AND first_event_id >= coalesce(
      (SELECT max(first_event_id) FROM run_events WHERE project_id = $1 AND run_id = $2 AND first_event_id <= $3 + 1), 0)
ORDER BY first_event_id
LIMIT $5;

-- name: read_events_of_types
-- The public rows of one run that hold an event of one of these types, in order, after a row's last event.
SELECT first_event_id, first_ts, first_external_sequence, public, types, events
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND public AND types && $3::text[] AND first_event_id > $4
ORDER BY first_event_id
LIMIT $5;

-- name: read_whole_log_of_types
-- The rows of one run, private ones included, that hold an event of one of these types, in order, after a row's last event.
SELECT first_event_id, first_ts, first_external_sequence, public, types, events
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND types && $3::text[] AND first_event_id > $4
ORDER BY first_event_id
LIMIT $5;

-- name: newest_event_with
-- The newest public row of one run, before an event, that holds a CUSTOM event and two texts.
SELECT first_event_id, first_ts, first_external_sequence, public, types, events
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND public AND types @> '{CUSTOM}'::text[]
  AND strpos(events, $3) > 0 AND strpos(events, $4) > 0 AND ($5::bigint IS NULL OR first_event_id < $5)
ORDER BY first_event_id DESC
LIMIT 1;

-- name: newest_events_of_name
-- The newest public rows of one run, before an event, that hold a CUSTOM event and a text; newest first.
SELECT first_event_id, first_ts, first_external_sequence, public, types, events
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND public AND types @> '{CUSTOM}'::text[]
  AND strpos(events, $3) > 0 AND ($4::bigint IS NULL OR first_event_id < $4)
ORDER BY first_event_id DESC
LIMIT $5;

-- name: read_tails
-- What many followed runs have new, each after its own cursor, with where each log ends. System-wide set: each row carries its project_id.
SELECT f.ord::int, h.latest_event_id, h.status, e.first_event_id, e.first_ts, e.first_external_sequence, e.public, e.types, e.events
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS f(project_id, run_id, cursor, ord)
JOIN run_head h ON h.project_id = f.project_id AND h.run_id = f.run_id
LEFT JOIN LATERAL (
    SELECT first_event_id, first_ts, first_external_sequence, public, types, events
    FROM run_events
    WHERE project_id = f.project_id AND run_id = f.run_id AND first_event_id > f.cursor
    ORDER BY first_event_id
    LIMIT $4
) e ON true
ORDER BY f.ord, e.first_event_id;

-- name: external_sequence_at
-- The external sequence that held when an event was the log's last; no row when nothing had come from outside yet.
SELECT first_external_sequence + least(last_event_id, $3) - first_event_id
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND first_event_id <= $3 AND first_external_sequence IS NOT NULL
ORDER BY first_event_id DESC
LIMIT 1;

-- name: read_external_tail
-- The rows that outside writers appended after an external cursor (an event's id is never less than its external sequence).
SELECT first_event_id, first_ts, first_external_sequence, public, types, events
FROM run_events
WHERE project_id = $1 AND run_id = $2 AND first_external_sequence + cardinality(types) - 1 > $3
  AND first_event_id >= coalesce(
      (SELECT max(first_event_id) FROM run_events WHERE project_id = $1 AND run_id = $2 AND first_event_id <= $3 + 1), 0)
ORDER BY first_event_id
LIMIT $4;
