DROP VIEW runs_whole, runs_in_flight;
CREATE INDEX run_queue_due ON run_queue (route, priority DESC, available_at) WHERE lease_owner IS NULL;
DROP INDEX run_queue_unplaced;
CREATE INDEX run_queue_unplaced ON run_queue (available_at) WHERE lease_owner IS NULL AND place_again_at IS NULL;
DROP INDEX run_queue_fair, runs_by_deadline;
ALTER TABLE projects DROP COLUMN max_running;
ALTER TABLE catalog DROP COLUMN concurrency;
ALTER TABLE runs DROP COLUMN priority, DROP COLUMN run_after, DROP COLUMN deadline;
CREATE VIEW runs_whole AS
    SELECT r.project_id, r.run_id, r.kind, r.owner_kind, r.owner_id, r.agent_id, r.target, r.parent_run_id, r.root_run_id,
           r.conversation_id, r.message_id, r.batch_id, r.tags, r.spec, r.input, r.output, r.error_code, r.error_message,
           r.metadata, r.created_by, r.idempotency_key, r.request_hash, r.created_at, r.started_at, r.completed_at,
           r.updated_at, r.status AS listed_status,
           r.visibility, r.name, r.title, r.topic, r.categories, r.content_type_name, r.forked_from, r.profile,
           h.status, h.executor, h.revision, h.attempt, h.fence, h.cancelling, h.waiting,
           h.latest_event_id, h.latest_external_sequence, h.latest_signal_id, h.last_ts
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id;
