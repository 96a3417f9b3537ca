-- name: measure_calls
-- Figures of calls that pass each filter that is not null: of all, of each value of a dimension, and of each span of time.
WITH counted AS MATERIALIZED (
    SELECT c.*,
           CASE $16::text WHEN 'model' THEN c.model WHEN 'environment' THEN c.environment WHEN 'tool' THEN c.tool
                          WHEN 'tool_type' THEN c.tool_type WHEN 'agent' THEN r.agent_id
                          WHEN 'error_type' THEN c.error_type WHEN 'kind' THEN c.kind END AS dimension,
           CASE WHEN $18::int IS NOT NULL THEN make_timestamptz(
                    (extract(year FROM c.at) * 12 + extract(month FROM c.at) - 1)::int / $18 * $18 / 12,
                    (extract(year FROM c.at) * 12 + extract(month FROM c.at) - 1)::int / $18 * $18 % 12 + 1, 1, 0, 0, 0)
                ELSE date_bin($17::interval, c.at, '2001-01-01') END AS span
    FROM run_calls c
    JOIN runs r ON r.project_id = c.project_id AND r.run_id = c.run_id
    JOIN run_projections p ON p.project_id = c.project_id AND p.run_id = c.run_id
    WHERE c.project_id = $1 AND c.at >= $2 AND c.at < $3
      AND (c.call_type IS DISTINCT FROM 'aggregate' OR NOT p.told_model_calls)
      AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
      AND ($5::text[] IS NULL OR r.agent_id = ANY ($5))
      AND ($6::text[] IS NULL OR r.run_id = ANY ($6))
      AND ($7::text[] IS NULL OR r.created_by = ANY ($7))
      AND ($8::text[] IS NULL OR c.model = ANY ($8))
      AND ($9::text[] IS NULL OR c.environment = ANY ($9))
      AND ($10::text[] IS NULL OR c.tool = ANY ($10))
      AND ($11::text[] IS NULL OR c.tool_type = ANY ($11))
      AND ($12::boolean IS NULL OR c.success = $12)
      AND c.kind = ANY ($13::text[])
      AND ($14::text[] IS NULL OR c.call_type = ANY ($14))
      AND ($15::boolean IS NULL OR c.nested = $15)
)
SELECT CASE WHEN grouping(dimension) = 0 THEN 'dimension' WHEN grouping(span) = 0 THEN 'span' ELSE 'all' END AS level,
       dimension, span,
       count(*) AS count,
       count(*) FILTER (WHERE success) AS successes,
       avg(duration_ms)::float8 AS avg_ms, min(duration_ms) AS min_ms, max(duration_ms) AS max_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms) AS p99_ms,
       count(duration_ms) AS timed,
       coalesce(sum(input_tokens), 0)::bigint AS input_tokens, coalesce(sum(output_tokens), 0)::bigint AS output_tokens,
       sum(cached_input_tokens)::bigint AS cached_input_tokens, sum(cache_write_tokens)::bigint AS cache_write_tokens,
       avg(input_tokens)::float8 AS avg_input_tokens,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY input_tokens) AS p95_input_tokens,
       avg(input_bytes)::float8 AS avg_input_bytes, avg(output_bytes)::float8 AS avg_output_bytes,
       max(tool_type) AS tool_type,
       array_remove(array_agg(DISTINCT model), NULL) AS models,
       array_remove(array_agg(DISTINCT tool), NULL) AS tools
FROM counted
GROUP BY GROUPING SETS ((), (dimension), (span))
ORDER BY level, span, count DESC, dimension;

-- name: measure_runs
-- Figures of runs that pass each filter that is not null: of all, of each value of a dimension, and of each span of time.
WITH counted AS MATERIALIZED (
    SELECT r.status, r.spec,
           CASE WHEN r.completed_at IS NOT NULL
                THEN extract(epoch FROM r.completed_at - coalesce(r.started_at, r.created_at)) * 1000 END AS duration_ms,
           CASE WHEN p.first_response_ts IS NOT NULL
                THEN greatest(0, p.first_response_ts - extract(epoch FROM coalesce(r.started_at, r.created_at)) * 1000)
           END AS first_response_ms,
           CASE $13::text WHEN 'agent' THEN r.agent_id WHEN 'principal' THEN r.created_by
                          WHEN 'error_type' THEN r.error_code END AS dimension,
           CASE WHEN $15::int IS NOT NULL THEN make_timestamptz(
                    (extract(year FROM r.created_at) * 12 + extract(month FROM r.created_at) - 1)::int / $15 * $15 / 12,
                    (extract(year FROM r.created_at) * 12 + extract(month FROM r.created_at) - 1)::int / $15 * $15 % 12 + 1,
                    1, 0, 0, 0)
                ELSE date_bin($14::interval, r.created_at, '2001-01-01') END AS span
    FROM runs r
    LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
    WHERE r.project_id = $1 AND r.kind = 'agent' AND r.created_at >= $2 AND r.created_at < $3
      AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
      AND ($5::text[] IS NULL OR r.agent_id = ANY ($5))
      AND ($6::text[] IS NULL OR r.run_id = ANY ($6))
      AND ($7::text[] IS NULL OR r.created_by = ANY ($7))
      AND ($12::boolean IS NULL OR (r.completed_at IS NOT NULL AND (r.status = 'completed') = $12))
      AND (($8::text[] IS NULL AND $9::text[] IS NULL AND $10::text[] IS NULL AND $11::text[] IS NULL)
           OR EXISTS (SELECT FROM run_calls c
                      WHERE c.project_id = r.project_id AND c.run_id = r.run_id
                        AND ($8::text[] IS NULL OR c.model = ANY ($8))
                        AND ($9::text[] IS NULL OR c.environment = ANY ($9))
                        AND ($10::text[] IS NULL OR c.tool = ANY ($10))
                        AND ($11::text[] IS NULL OR c.tool_type = ANY ($11))))
)
SELECT CASE WHEN grouping(dimension) = 0 THEN 'dimension' WHEN grouping(span) = 0 THEN 'span' ELSE 'all' END AS level,
       dimension, span,
       count(*) AS count,
       count(*) FILTER (WHERE status = 'completed') AS completed,
       count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
       count(*) FILTER (WHERE spec ->> 'interactive' IS DISTINCT FROM 'true') AS non_interactive,
       avg(duration_ms)::float8 AS avg_ms, min(duration_ms)::float8 AS min_ms, max(duration_ms)::float8 AS max_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms) AS p99_ms,
       count(duration_ms) AS timed,
       avg(first_response_ms)::float8 AS response_avg_ms, min(first_response_ms)::float8 AS response_min_ms,
       max(first_response_ms)::float8 AS response_max_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY first_response_ms) AS response_median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY first_response_ms) AS response_p95_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY first_response_ms) AS response_p99_ms,
       count(first_response_ms) AS responded
FROM counted
GROUP BY GROUPING SETS ((), (dimension), (span))
ORDER BY level, span, count DESC, dimension;

-- name: first_behavior
-- What runs do first: those that call a tool that plans, other tools, or none in their first turn; of all and of each span of time.
WITH acted AS MATERIALIZED (
    SELECT bool_or(c.tool ILIKE '%plan%') AS planned, bool_or(c.tool NOT ILIKE '%plan%') AS others,
           CASE WHEN $9::int IS NOT NULL THEN make_timestamptz(
                    (extract(year FROM r.created_at) * 12 + extract(month FROM r.created_at) - 1)::int / $9 * $9 / 12,
                    (extract(year FROM r.created_at) * 12 + extract(month FROM r.created_at) - 1)::int / $9 * $9 % 12 + 1,
                    1, 0, 0, 0)
                ELSE date_bin($8::interval, r.created_at, '2001-01-01') END AS span
    FROM runs r
    LEFT JOIN run_projections p ON p.project_id = r.project_id AND p.run_id = r.run_id
    LEFT JOIN run_calls c ON c.project_id = r.project_id AND c.run_id = r.run_id AND c.kind = 'tool' AND c.iteration <= 1
    WHERE r.project_id = $1 AND r.kind = 'agent' AND r.created_at >= $2 AND r.created_at < $3
      AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
      AND ($5::text[] IS NULL OR r.agent_id = ANY ($5))
      AND ($6::text[] IS NULL OR r.run_id = ANY ($6))
      AND ($7::text[] IS NULL OR r.created_by = ANY ($7))
      AND (c.run_id IS NOT NULL OR p.first_response_ts IS NOT NULL)
    GROUP BY r.run_id, r.created_at
)
SELECT CASE WHEN grouping(span) = 0 THEN 'span' ELSE 'all' END AS level, span,
       count(*) AS count,
       count(*) FILTER (WHERE planned) AS planned,
       count(*) FILTER (WHERE others AND NOT planned) AS others
FROM acted
GROUP BY GROUPING SETS ((), (span))
ORDER BY level, span;

-- name: tool_parameters
-- The most frequent values of each parameter of a tool, and how many different ones there are.
WITH said AS MATERIALIZED (
    SELECT parameter.key AS name, parameter.value AS value
    FROM run_calls c
    JOIN runs r ON r.project_id = c.project_id AND r.run_id = c.run_id,
         json_each_text(c.parameters) AS parameter
    WHERE c.project_id = $1 AND c.at >= $2 AND c.at < $3 AND c.kind = 'tool' AND c.tool = $8
      AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
      AND ($5::text[] IS NULL OR r.agent_id = ANY ($5))
      AND ($6::text[] IS NULL OR r.run_id = ANY ($6))
      AND ($7::text[] IS NULL OR r.created_by = ANY ($7))
), ranked AS (
    SELECT name, value, count(*) AS count, sum(count(*)) OVER (PARTITION BY name) AS given,
           count(*) OVER (PARTITION BY name) AS different,
           row_number() OVER (PARTITION BY name ORDER BY count(*) DESC, value) AS place
    FROM said
    GROUP BY name, value
)
SELECT name, value, count, given::bigint, different FROM ranked WHERE place <= $9 ORDER BY name, place;

-- name: analytics_agents
-- The agents whose runs somebody may see.
SELECT DISTINCT r.agent_id
FROM runs r
WHERE r.project_id = $1 AND r.kind = 'agent' AND r.agent_id IS NOT NULL AND r.created_at >= $2 AND r.created_at < $3
  AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
ORDER BY r.agent_id
LIMIT $5;

-- name: analytics_principals
-- Who started the runs that somebody may see.
SELECT DISTINCT r.created_by
FROM runs r
WHERE r.project_id = $1 AND r.kind = 'agent' AND r.created_by IS NOT NULL AND r.created_at >= $2 AND r.created_at < $3
  AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
ORDER BY r.created_by
LIMIT $5;

-- name: analytics_models
-- The models that the runs that somebody may see have called, and where.
SELECT DISTINCT c.environment, c.model
FROM run_calls c
JOIN runs r ON r.project_id = c.project_id AND r.run_id = c.run_id
WHERE c.project_id = $1 AND c.kind = 'llm' AND c.model IS NOT NULL AND c.at >= $2 AND c.at < $3
  AND ($4::text IS NULL OR r.visibility = 'project' OR r.created_by = $4)
ORDER BY c.environment, c.model
LIMIT $5;
