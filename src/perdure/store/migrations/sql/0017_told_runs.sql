-- How many runs of a project and route an engine outside the database has before it.
CREATE INDEX run_queue_told ON run_queue (route, project_id, available_at)
    WHERE lease_owner IS NULL AND place_again_at IS NOT NULL AND left(route, 9) <> 'external:';
