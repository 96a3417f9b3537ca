-- Who is next in a conversation is let go with the move that ends the run before, so that no crash forgets it.
CREATE FUNCTION conversation_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place uuid;
    ended_at timestamptz;
    held record;
BEGIN
    SELECT conversation_id, updated_at INTO place, ended_at
    FROM runs WHERE project_id = NEW.project_id AND run_id = NEW.run_id;
    IF place IS NULL OR NOT EXISTS (
        SELECT FROM conversation_line WHERE project_id = NEW.project_id AND conversation_id = place
    ) THEN
        RETURN NULL;
    END IF;
    DELETE FROM conversation_line WHERE project_id = NEW.project_id AND run_id = NEW.run_id;
    IF FOUND AND OLD.status = 'pending' THEN
        RETURN NULL; -- it was in line itself: whom that one waits for, the others wait for
    END IF;
    FOR held IN
        SELECT l.run_id, l.due_at, q.route, r.root_run_id
        FROM conversation_line l
        JOIN run_queue q ON q.project_id = l.project_id AND q.run_id = l.run_id
        JOIN runs r ON r.project_id = l.project_id AND r.run_id = l.run_id
        WHERE l.project_id = NEW.project_id AND l.conversation_id = place
        ORDER BY l.position
        -- Of two runs that end at once the second waits here for the first, and then sees that it has ended.
        FOR UPDATE OF q
    LOOP
        EXIT WHEN EXISTS (
            SELECT FROM runs r
            JOIN run_head h ON h.project_id = r.project_id AND h.run_id = r.run_id
            WHERE r.project_id = NEW.project_id AND r.conversation_id = place AND r.root_run_id <> held.root_run_id
              AND (h.status IN ('running', 'waiting')
                   OR (h.status = 'pending' AND h.executor <> 'caller'
                       AND NOT EXISTS (SELECT FROM conversation_line l
                                       WHERE l.project_id = r.project_id AND l.run_id = r.run_id)))
        );
        DELETE FROM conversation_line WHERE project_id = NEW.project_id AND run_id = held.run_id;
        IF FOUND THEN
            UPDATE run_queue SET available_at = greatest(held.due_at, ended_at), place_again_at = NULL
            WHERE project_id = NEW.project_id AND run_id = held.run_id;
            -- With the commit: the server that ends the run does not know whom it lets go. It is rare enough for that.
            PERFORM pg_notify('perdure_queue', E'conversation\n' || held.route);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$
