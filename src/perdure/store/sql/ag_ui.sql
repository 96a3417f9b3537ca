-- name: get_ag_ui_turn
-- The run that goes on under an AG-UI client's run id, and the event that this turn follows.
SELECT run_id, after_event_id FROM ag_ui_turns WHERE project_id = $1 AND turn_id = $2;

-- name: add_ag_ui_turn
-- Remember under which id an AG-UI client goes on with a run; what was remembered first stays.
INSERT INTO ag_ui_turns (project_id, turn_id, run_id, after_event_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: next_ag_ui_turn
-- The event after which a client goes on with a run under another id, the first one from an event on.
SELECT min(after_event_id) AS after FROM ag_ui_turns WHERE project_id = $1 AND run_id = $2 AND after_event_id >= $3;

-- name: waiting_agent_runs
-- The newest runs of an agent in a conversation that wait for something from outside, newest first.
SELECT run_id FROM runs
WHERE project_id = $1 AND conversation_id = $2 AND agent_id = $3 AND status = 'waiting'
ORDER BY created_at DESC, run_id DESC LIMIT $4;
