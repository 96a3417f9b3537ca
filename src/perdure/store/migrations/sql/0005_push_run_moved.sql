-- What a run's service is to be told is written down with the move that it is about, so that no crash forgets it.
CREATE FUNCTION push_run_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status IN ('completed', 'failed') THEN
        DELETE FROM push_runs WHERE project_id = NEW.project_id AND run_id = NEW.run_id;
    ELSIF NEW.cancelling OR NEW.status = 'cancelled' THEN
        UPDATE push_runs SET errand = 'cancel', errand_at = now(), errand_tries = 0
        WHERE project_id = NEW.project_id AND run_id = NEW.run_id AND service_id IS NOT NULL
          AND errand IS DISTINCT FROM 'cancel';
    ELSE
        UPDATE push_runs SET errand = 'resume', errand_at = now(), errand_tries = 0
        WHERE project_id = NEW.project_id AND run_id = NEW.run_id AND told_event_id IS NOT NULL;
    END IF;
    RETURN NULL;
END
$$
