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

VACUUM (ANALYZE) runs;

VACUUM (ANALYZE) run_head;
