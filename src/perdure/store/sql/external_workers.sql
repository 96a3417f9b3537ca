-- name: register_worker
-- A new worker of a project; those of the project that were silent for long are forgotten.
WITH forgotten AS (
    DELETE FROM agent_workers WHERE project_id = $2 AND last_heartbeat_at < $10
)
INSERT INTO agent_workers (id, project_id, implementation_kind, implementation_display_name, worker_key, display_name,
                           metadata, token_hash, created_at, last_heartbeat_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9);

-- name: get_worker
-- System: a worker by its id, of whichever project_id; the service compares the token or the project.
SELECT id, project_id, implementation_kind, implementation_display_name, worker_key, display_name, metadata, token_hash,
       created_at, last_heartbeat_at
FROM agent_workers WHERE id = $1;

-- name: worker_heartbeat
-- A worker was heard of.
UPDATE agent_workers SET last_heartbeat_at = greatest(last_heartbeat_at, $3) WHERE project_id = $1 AND id = $2;

-- name: get_session
-- A run's session with an external worker.
SELECT id, run_id, implementation_kind, worker_id, session_key, status, metadata, created_at, updated_at, ended_at
FROM agent_worker_sessions WHERE project_id = $1 AND run_id = $2;

-- name: put_session
-- What a worker says of its session for a run: it holds the run, or had it last and nobody else has it since; no row otherwise.
INSERT INTO agent_worker_sessions AS s (id, project_id, run_id, implementation_kind, worker_id, session_key, status, metadata,
                                        created_at, updated_at, ended_at)
SELECT $3, $1, $2, $4, $5, $6, $7, $8, $9::timestamptz, $9, CASE WHEN $7 <> 'active' THEN $9 END
WHERE CASE WHEN EXISTS (SELECT FROM run_queue q WHERE q.project_id = $1 AND q.run_id = $2 AND q.lease_owner IS NOT NULL)
           THEN EXISTS (SELECT FROM run_queue q WHERE q.project_id = $1 AND q.run_id = $2 AND q.lease_owner = $5::uuid::text)
           ELSE EXISTS (SELECT FROM agent_worker_sessions o
                        WHERE o.project_id = $1 AND o.run_id = $2 AND o.worker_id = $5)
      END
ON CONFLICT (project_id, run_id) DO UPDATE
SET id = CASE WHEN s.worker_id = excluded.worker_id AND s.session_key = excluded.session_key THEN s.id ELSE excluded.id END,
    created_at = CASE WHEN s.worker_id = excluded.worker_id AND s.session_key = excluded.session_key
                      THEN s.created_at ELSE excluded.created_at END,
    implementation_kind = excluded.implementation_kind, worker_id = excluded.worker_id, session_key = excluded.session_key,
    status = excluded.status, metadata = coalesce(excluded.metadata, s.metadata), updated_at = excluded.updated_at,
    ended_at = excluded.ended_at
RETURNING id, run_id, implementation_kind, worker_id, session_key, status, metadata, created_at, updated_at, ended_at;
