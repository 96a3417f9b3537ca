-- When and in which order a run is executed; the constraint holds for what comes, all that was stored has the default.
ALTER TABLE runs
    ADD COLUMN priority   smallint NOT NULL DEFAULT 0,
    ADD COLUMN run_after  timestamptz,
    ADD COLUMN deadline   timestamptz,
    ADD CONSTRAINT runs_priority_is_small CHECK (priority BETWEEN -100 AND 100) NOT VALID;
CREATE INDEX runs_by_deadline ON runs (deadline)
    WHERE deadline IS NOT NULL AND status IN ('pending', 'running', 'waiting');

-- How many runs may be executed at once (null: any number): of what a worker serves, and in a project.
ALTER TABLE catalog ADD COLUMN concurrency int CHECK (concurrency > 0);
ALTER TABLE projects ADD COLUMN max_running int CHECK (max_running > 0);

-- The claim goes from project to project, and in each from priority to priority: one probe for each (docs/adr/0011).
CREATE INDEX run_queue_fair ON run_queue (route, project_id, (-priority), available_at) WHERE lease_owner IS NULL;
DROP INDEX run_queue_due;

-- So do those who tell Temporal of runs.
DROP INDEX run_queue_unplaced;
CREATE INDEX run_queue_unplaced ON run_queue (route, project_id, (-priority), available_at)
    WHERE lease_owner IS NULL AND place_again_at IS NULL AND left(route, 9) <> 'external:';

-- The runs that are being executed. External workers and push runtimes keep the lease of a run that waits.
-- (OFFSET 0: the planner must not read all heads into a hash.)
CREATE VIEW runs_in_flight AS
    SELECT q.project_id, q.run_id, q.route
    FROM run_queue q
    WHERE q.lease_owner IS NOT NULL
      AND ((left(q.route, 9) <> 'external:' AND left(q.lease_owner, 5) <> 'push:')
           OR EXISTS (SELECT FROM run_head h
                      WHERE h.project_id = q.project_id AND h.run_id = q.run_id AND h.status = 'running'
                      OFFSET 0));

DROP VIEW runs_whole;
CREATE VIEW runs_whole AS
    SELECT r.project_id, r.run_id, r.kind, r.owner_kind, r.owner_id, r.agent_id, r.target, r.parent_run_id, r.root_run_id,
           r.conversation_id, r.message_id, r.batch_id, r.tags, r.spec, r.input, r.output, r.error_code, r.error_message,
           r.metadata, r.created_by, r.idempotency_key, r.request_hash, r.created_at, r.started_at, r.completed_at,
           r.updated_at, r.status AS listed_status,
           r.visibility, r.name, r.title, r.topic, r.categories, r.content_type_name, r.forked_from, r.profile,
           r.priority, r.run_after, r.deadline,
           h.status, h.executor, h.revision, h.attempt, h.fence, h.cancelling, h.waiting,
           h.latest_event_id, h.latest_external_sequence, h.latest_signal_id, h.last_ts
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id;
