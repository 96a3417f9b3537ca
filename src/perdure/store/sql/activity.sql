-- name: count_runs_over_time
-- How many runs were made in each interval of a stretch of time, by the status that they have now; each filter applies unless it is null.
SELECT date_bin($4::interval, r.created_at, $2) AS since, r.status, count(*) AS runs
FROM runs r
WHERE r.project_id = $1 AND r.created_at >= $2 AND r.created_at < $3
  AND ($5::text IS NULL OR r.visibility = 'project' OR r.created_by = $5)
  AND ($6::text[] IS NULL OR r.status = ANY ($6))
  AND ($7::text IS NULL OR r.kind = $7)
  AND ($8::text IS NULL OR r.agent_id = $8)
  AND ($9::text IS NULL OR r.target = $9)
  AND ($10::text IS NULL OR r.tags @> ARRAY[$10])
  AND ($11::text IS NULL OR r.parent_run_id = $11)
  AND ($12::text[] IS NULL OR EXISTS (
      SELECT FROM run_head h
      WHERE h.project_id = r.project_id AND h.run_id = r.run_id AND h.waiting ->> 'reason' = ANY ($12)))
  AND ($13::text IS NULL OR EXISTS (
      SELECT FROM run_texts t
      WHERE t.project_id = r.project_id AND t.run_id = r.run_id AND t.document @@ $13::text::tsquery))
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: usage_of_runs
-- The tokens of some runs that somebody may see (null: all), and whether that is all that they will have used.
SELECT r.run_id, c.input_tokens, c.output_tokens,
       coalesce(r.status IN ('completed', 'failed', 'cancelled') AND h.latest_event_id <= p.event_id, false) AS settled
FROM unnest($2::text[]) AS k(run_id)
JOIN runs r ON r.project_id = $1 AND r.run_id = k.run_id
JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
LEFT JOIN LATERAL (
    SELECT sum(one.input_tokens)::bigint AS input_tokens, sum(one.output_tokens)::bigint AS output_tokens
    FROM run_calls one
    WHERE one.project_id = r.project_id AND one.run_id = r.run_id AND one.kind = 'llm'
      AND (one.call_type IS DISTINCT FROM 'aggregate' OR NOT p.told_model_calls)
) c ON true
WHERE $3::text IS NULL OR r.visibility = 'project' OR r.created_by = $3;
