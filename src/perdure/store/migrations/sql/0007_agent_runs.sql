-- What is said about a run for those who look for it. Only visibility and forked_from stay as they were at creation.
ALTER TABLE runs
    ADD COLUMN visibility         text NOT NULL DEFAULT 'project' CHECK (visibility IN ('project', 'private')),
    ADD COLUMN name               text,
    ADD COLUMN title              text,
    ADD COLUMN topic              text,
    ADD COLUMN categories         text[] NOT NULL DEFAULT '{}',
    ADD COLUMN content_type_name  text,
    ADD COLUMN forked_from        text,
    ADD COLUMN profile            json;

-- The newest signal of the run: an attempt that ends its turn without having read it goes on at once.
ALTER TABLE run_head ADD COLUMN latest_signal_id bigint NOT NULL DEFAULT 0;

DROP VIEW runs_whole;
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
