DROP VIEW runs_whole;
ALTER TABLE run_head DROP COLUMN latest_signal_id;
ALTER TABLE runs
    DROP COLUMN visibility, DROP COLUMN name, DROP COLUMN title, DROP COLUMN topic, DROP COLUMN categories,
    DROP COLUMN content_type_name, DROP COLUMN forked_from, DROP COLUMN profile;
CREATE VIEW runs_whole AS
    SELECT r.project_id, r.run_id, r.kind, r.owner_kind, r.owner_id, r.agent_id, r.target, r.parent_run_id, r.root_run_id,
           r.conversation_id, r.message_id, r.batch_id, r.tags, r.spec, r.input, r.output, r.error_code, r.error_message,
           r.metadata, r.created_by, r.idempotency_key, r.request_hash, r.created_at, r.started_at, r.completed_at,
           r.updated_at, r.status AS listed_status,
           h.status, h.executor, h.revision, h.attempt, h.fence, h.cancelling, h.waiting,
           h.latest_event_id, h.latest_external_sequence, h.last_ts
    FROM runs r
    JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id;
