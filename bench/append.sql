-- What one append of one event must do, and nothing more: move the run's counters, store the row. One durable commit.
WITH moved AS (
    UPDATE run_head
    SET latest_event_id = latest_event_id + 1,
        latest_external_sequence = latest_external_sequence + 1,
        last_ts = last_ts + 1
    WHERE project_id = :project::uuid AND run_id = 'pgbench-' || :client_id AND status = 'running'
    RETURNING project_id, run_id, latest_event_id, latest_external_sequence, last_ts
)
INSERT INTO run_events (project_id, run_id, first_event_id, last_event_id, first_ts, first_external_sequence,
                        public, types, events)
SELECT project_id, run_id, latest_event_id, latest_event_id, last_ts, latest_external_sequence,
       true, ARRAY['TEXT_MESSAGE_CONTENT'], :events
FROM moved;
