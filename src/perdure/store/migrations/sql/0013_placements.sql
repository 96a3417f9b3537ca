-- When an engine outside the database is told (again) of a pending run: null means that nobody has told it yet.
ALTER TABLE run_queue ADD COLUMN place_again_at timestamptz;
CREATE INDEX run_queue_unplaced ON run_queue (available_at) WHERE lease_owner IS NULL AND place_again_at IS NULL;
CREATE INDEX run_queue_placed ON run_queue (place_again_at) WHERE lease_owner IS NULL AND place_again_at IS NOT NULL;
