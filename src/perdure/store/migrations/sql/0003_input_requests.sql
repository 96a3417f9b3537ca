-- What runs ask people, each with the response that settled it.
CREATE TABLE input_requests (
    project_id                uuid NOT NULL,
    conversation_id           uuid NOT NULL,
    id                        uuid NOT NULL,
    run_id                    text NOT NULL,
    tool_call_id              text NOT NULL,
    status                    text NOT NULL CHECK (status IN ('open', 'submitted', 'cancelled', 'expired')),
    requested_responder_type  text NOT NULL,
    title                     text NOT NULL,
    description               text,
    fields                    json NOT NULL,
    metadata                  json,
    created_at                timestamptz NOT NULL,
    expires_at                timestamptz,
    settled_at                timestamptz,
    response_id               uuid,
    response_actor_id         text,
    response_values           json,
    PRIMARY KEY (project_id, conversation_id, id),
    FOREIGN KEY (project_id, conversation_id) REFERENCES conversations ON DELETE CASCADE,
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE,
    CONSTRAINT input_requests_settled_iff_not_open CHECK ((settled_at IS NULL) = (status = 'open')),
    CONSTRAINT input_requests_response_iff_submitted CHECK (
        (status = 'submitted') = (response_id IS NOT NULL)
        AND (response_id IS NULL) = (response_actor_id IS NULL)
        AND (response_id IS NULL) = (response_values IS NULL)
    )
);
CREATE INDEX input_requests_newest ON input_requests (project_id, conversation_id, created_at DESC, id DESC);
CREATE INDEX input_requests_of_run ON input_requests (project_id, run_id);
CREATE INDEX input_requests_due ON input_requests (expires_at) WHERE status = 'open';
