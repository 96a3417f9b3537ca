-- name: drop_calls
-- Forget all calls that the logs of runs told. System-wide set: each row carries its project_id.
DELETE FROM run_calls c
USING unnest($1::uuid[], $2::text[]) AS k(project_id, run_id)
WHERE c.project_id = k.project_id AND c.run_id = k.run_id AND c.source = 'log';

-- name: take_back_calls
-- Forget some calls that logs told. System-wide set: each row carries its project_id.
DELETE FROM run_calls c
USING unnest($1::uuid[], $2::text[], $3::text[]) AS k(project_id, run_id, call_key)
WHERE c.project_id = k.project_id AND c.run_id = k.run_id AND c.call_key = k.call_key AND c.source = 'log';

-- name: put_calls
-- Write calls, each once: what a caller told counts before what the log says. System-wide set: each row carries its project_id.
INSERT INTO run_calls AS old (
    project_id, run_id, call_key, source, kind, at, event_id, duration_ms, success, error_type, error_message, model,
    environment, tool, tool_type, tool_call_id, iteration, call_type, nested, attempt, input_tokens, output_tokens,
    cached_input_tokens, cache_write_tokens, input_bytes, output_bytes, tool_use_count, parameters)
SELECT project_id, run_id, key, source, kind, to_timestamp(at / 1000.0), event_id, duration_ms, success, error_type,
       error_message, model, environment, tool, tool_type, tool_call_id, iteration, call_type, nested, attempt,
       input_tokens, output_tokens, cached_input_tokens, cache_write_tokens, input_bytes, output_bytes, tool_use_count,
       parameters
FROM json_to_recordset($1::json) AS new(
    project_id uuid, run_id text, key text, source text, kind text, at bigint, event_id bigint, duration_ms bigint,
    success boolean, error_type text, error_message text, model text, environment text, tool text, tool_type text,
    tool_call_id text, iteration int, call_type text, nested boolean, attempt int, input_tokens bigint,
    output_tokens bigint, cached_input_tokens bigint, cache_write_tokens bigint, input_bytes bigint, output_bytes bigint,
    tool_use_count int, parameters json)
ON CONFLICT (project_id, run_id, call_key) DO UPDATE
SET source = excluded.source, at = excluded.at, event_id = excluded.event_id, duration_ms = excluded.duration_ms,
    success = excluded.success, error_type = excluded.error_type, error_message = excluded.error_message,
    model = excluded.model, environment = excluded.environment, tool = excluded.tool, tool_type = excluded.tool_type,
    iteration = excluded.iteration, input_bytes = excluded.input_bytes, output_bytes = excluded.output_bytes,
    parameters = excluded.parameters
WHERE old.source = 'log';

-- name: note_told
-- A caller told something of a run's calls: of model calls too, if so.
INSERT INTO run_projections AS p (project_id, run_id, revision, generation, event_id, run_updated_at, told_model_calls, state)
VALUES ($1, $2, 0, 0, 0, '-infinity', $3, '{}')
ON CONFLICT (project_id, run_id) DO UPDATE SET told_model_calls = p.told_model_calls OR excluded.told_model_calls;
