-- 100,000 runs of one project, a second apart. One in twenty is queued, one in a hundred is held by one of a hundred
-- workers, one in a thousand waits, one in a hundred failed; run-000042 is running and has a long log.
SET session_replication_role = replica;

INSERT INTO projects (id, slug, name, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'p', 'P', to_timestamp(1700000000));

INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, agent_id, target, parent_run_id, root_run_id, tags,
                  spec, status, request_hash, created_at, completed_at, updated_at)
SELECT '00000000-0000-0000-0000-000000000001', 'run-' || lpad(n::text, 6, '0'), 'agent', 'project',
       '00000000-0000-0000-0000-000000000001', 'agent-' || n % 50, 'target-' || n % 70,
       CASE WHEN n % 100 = 0 THEN 'run-' || lpad((n / 1000)::text, 6, '0') END, 'root', ARRAY['tag-' || n % 200],
       '{}', status, '', at, CASE WHEN status IN ('completed', 'failed', 'cancelled') THEN at END, at
FROM (
    SELECT n, to_timestamp(1700000000 - (100000 - n)) AS at,
           CASE WHEN n % 20 = 0 THEN 'pending'
                WHEN n % 100 = 1 THEN 'running'
                WHEN n % 1000 = 2 THEN 'waiting'
                WHEN n % 100 = 3 THEN 'failed'
                ELSE 'completed' END AS status
    FROM generate_series(1, 100000) AS n
) made;
UPDATE runs SET status = 'running', completed_at = NULL WHERE run_id = 'run-000042';
UPDATE runs SET started_at = created_at, spec = '{"timeout_seconds":100000}' WHERE status = 'running';

INSERT INTO run_head (project_id, run_id, status, executor, attempt, fence, latest_event_id, latest_external_sequence,
                      last_ts, waiting)
SELECT project_id, run_id, status, 'engine', 1, 1, 2, 2, 1700000000000,
       CASE WHEN status = 'waiting' THEN '{"reason":"tool"}'::json END
FROM runs;
UPDATE run_head SET latest_event_id = 5000, latest_external_sequence = 5000 WHERE run_id = 'run-000042';

INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, first_external_sequence, public,
                        types, events)
SELECT project_id, run_id, 1, 2, 1700000000000, 1, true, ARRAY['A', 'A'], E'[{"type":"A"},\n{"type":"A"}]'
FROM runs
WHERE run_id <> 'run-000042';
INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, first_external_sequence, public,
                        types, events)
SELECT '00000000-0000-0000-0000-000000000001', 'run-000042', n, n, 1700000000000 + n, n, true, ARRAY['A'],
       '[{"type":"A"}]'
FROM generate_series(1, 5000) AS n;

-- All are projected, but for the long one and what ended last.
INSERT INTO run_projections (project_id, run_id, revision, generation, event_id, run_updated_at, state)
SELECT project_id, run_id, 1, 1, 2, updated_at, '{}' FROM runs WHERE run_id < 'run-099990' OR status = 'running';
INSERT INTO run_texts (project_id, run_id, document)
SELECT project_id, run_id, to_tsvector('simple', run_id || ' everywhere seldom' || right(run_id, 3)) FROM run_projections;
INSERT INTO run_calls (project_id, run_id, call_key, source, kind, at, success, duration_ms, model, input_tokens, output_tokens)
SELECT r.project_id, r.run_id, 'llm:' || n, 'log', 'llm', r.created_at, true, 10, 'm', 10, 5
FROM runs r JOIN run_projections p USING (project_id, run_id), generate_series(1, 2) AS n;
UPDATE projection_progress SET ended_to = to_timestamp(1700000000 - 60);

INSERT INTO run_queue (project_id, run_id, route, available_at, lease_owner, lease_expires_at, fence)
SELECT project_id, run_id, 'agent:' || agent_id, created_at,
       CASE WHEN status = 'running' THEN 'worker-' || substr(run_id, 7, 2) END,
       CASE WHEN status = 'running' THEN to_timestamp(1700000060) END,
       CASE WHEN status = 'running' THEN 1 END
FROM runs
WHERE status IN ('pending', 'running');

-- 20,000 schedules: of each thousand one is due, and of each ten thousand one is being fired.
INSERT INTO schedules (project_id, id, name, status, definition_source, spec, next_fire_at, firing_at, claimed_at,
                       created_at, updated_at)
SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), 's', 'active', 'manual', '{}',
       to_timestamp(1700000000 + CASE WHEN n % 1000 = 1 THEN -n ELSE n END),
       CASE WHEN n % 10000 = 2 THEN to_timestamp(1700000000) END,
       CASE WHEN n % 10000 = 2 THEN to_timestamp(1700000000) END, now(), now()
FROM generate_series(1, 20000) AS n;

-- A route that 40 projects share: each has one due run, one of them 20,000 and 20,000 of a higher priority that are not due.
INSERT INTO run_head (project_id, run_id, status, executor)
SELECT ('00000000-0000-0000-0001-' || lpad(project::text, 12, '0'))::uuid, 'shared-' || n, 'pending', 'engine'
FROM (SELECT n % 40 AS project, n FROM generate_series(1, 40) AS n
      UNION ALL SELECT 20, n FROM generate_series(41, 40040) AS n) made;
INSERT INTO run_queue (project_id, run_id, route, priority, available_at, place_again_at)
SELECT project_id, run_id, 'agent:shared', CASE WHEN n > 20040 THEN 50 ELSE 0 END,
       to_timestamp(CASE WHEN n > 20040 THEN 1800000000 ELSE 1600000000 END + n), to_timestamp(1700000300)
FROM (SELECT project_id, run_id, right(run_id, -7)::int AS n FROM run_head WHERE run_id LIKE 'shared-%') queued;
INSERT INTO runs (project_id, run_id, kind, owner_kind, owner_id, agent_id, target, root_run_id, spec, status, request_hash,
                  created_at, updated_at)
SELECT project_id, run_id, 'agent', 'project', project_id, 'shared', 'shared', 'root', '{}', 'pending', '', now(), now()
FROM run_head
WHERE project_id = '00000000-0000-0000-0001-000000000020' AND run_id IN (SELECT 'shared-' || n FROM generate_series(1, 60) AS n);

INSERT INTO push_services (id, scope_key, service_key, service_name, base_url, invoke_url, status, last_heartbeat_at,
                           created_at, updated_at)
VALUES ('00000000-0000-0000-0002-000000000001', 'global', 'k', 's', 'u', 'u', 'active', to_timestamp(1700000000), now(), now());

SET session_replication_role = DEFAULT;
