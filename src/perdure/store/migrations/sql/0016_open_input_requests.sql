-- What the runs of a project ask, across its conversations.
CREATE INDEX input_requests_open ON input_requests (project_id, created_at DESC, id DESC) WHERE status = 'open';
