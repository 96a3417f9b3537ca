-- Many finished runs of many agents, one a second up to now; a few are failed, a few still run.
INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, agent_id, root_run_id, tags, spec, status,
                  error_code, error_message, request_hash, created_at, started_at, completed_at, updated_at)
SELECT :project::uuid, 'listed-' || n, 'agent', 'project', :project::uuid, 'agent-' || n % 50, 'listed-' || n,
       ARRAY['tag-' || n % 20], '{}', one.status,
       CASE one.status WHEN 'failed' THEN 'FAILED' END, CASE one.status WHEN 'failed' THEN 'It failed.' END,
       decode(md5(n::text), 'hex'), one.at, one.at, CASE one.status WHEN 'running' THEN NULL ELSE one.at END, one.at
FROM generate_series(1, :runs) AS n,
     LATERAL (SELECT CASE WHEN n % 1000 = 0 THEN 'running' WHEN n % 100 = 1 THEN 'failed' ELSE 'completed' END AS status,
                     now() - make_interval(secs => :runs - n) AS at) AS one;

INSERT INTO run_head (project_id, run_id, status, executor, attempt)
SELECT project_id, run_id, status, 'caller', 1 FROM runs WHERE run_id LIKE 'listed-%';

-- Projected as if they had called a model, so that they are found and their tokens are known. The server may be at it, too.
INSERT INTO run_projections (project_id, run_id, revision, generation, event_id, run_updated_at, state)
SELECT r.project_id, r.run_id, 1, g.generation, 0, r.updated_at, '{}'
FROM runs r, projection_progress g
WHERE r.run_id LIKE 'listed-%' AND r.status <> 'running'
ON CONFLICT DO NOTHING;

INSERT INTO run_texts (project_id, run_id, document)
SELECT project_id, run_id, to_tsvector('simple', run_id || ' everywhere seldom' || right('00' || substr(run_id, 8), 3))
FROM run_projections WHERE run_id LIKE 'listed-%'
ON CONFLICT DO NOTHING;

INSERT INTO run_calls (project_id, run_id, call_key, source, kind, at, success, duration_ms, model, input_tokens, output_tokens)
SELECT project_id, run_id, 'llm:1', 'log', 'llm', run_updated_at, true, 10, 'm', 1200, 340
FROM run_projections WHERE run_id LIKE 'listed-%'
ON CONFLICT DO NOTHING;

VACUUM (ANALYZE) runs;

VACUUM (ANALYZE) run_head;

VACUUM (ANALYZE) run_projections;

VACUUM (ANALYZE) run_texts;

VACUUM (ANALYZE) run_calls;
