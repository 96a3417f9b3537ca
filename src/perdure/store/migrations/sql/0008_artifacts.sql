-- Bytes in the store of blobs. No row of `artifacts` points at a loose one: it is about to be written, or to be removed.
CREATE TABLE blobs (
    name         text PRIMARY KEY,
    project_id   uuid NOT NULL,
    loose_since  timestamptz
);
CREATE INDEX blobs_loose ON blobs (loose_since) WHERE loose_since IS NOT NULL;

-- Blobs that nobody can point at any more, and whose bytes may still be in the store.
CREATE TABLE dead_blobs (
    name        text PRIMARY KEY,
    project_id  uuid NOT NULL
);

CREATE SEQUENCE artifact_generations;

-- The files of runs. Several may share a blob: a fork has the files of its source.
CREATE TABLE artifacts (
    project_id    uuid NOT NULL,
    run_id        text NOT NULL,
    path          text NOT NULL CHECK (octet_length(path) BETWEEN 1 AND 1024),
    blob          text NOT NULL REFERENCES blobs,
    size          bigint NOT NULL CHECK (size >= 0),
    content_type  text NOT NULL,
    disposition   text CHECK (disposition IN ('inline', 'attachment')),
    file_name     text,
    generation    bigint NOT NULL DEFAULT nextval('artifact_generations'),
    created_by    text,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (project_id, run_id, path),
    FOREIGN KEY (project_id, run_id) REFERENCES runs ON DELETE CASCADE
);
CREATE INDEX artifacts_by_blob ON artifacts (blob);

-- Whatever removes a row or points it elsewhere, the deletion of its run included, its blob is noted.
CREATE FUNCTION blobs_come_loose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN UPDATE blobs b SET loose_since = '-infinity' FROM gone WHERE b.name = gone.blob; RETURN NULL; END $$;
CREATE TRIGGER artifacts_deleted AFTER DELETE ON artifacts
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION blobs_come_loose();
CREATE TRIGGER artifacts_replaced AFTER UPDATE ON artifacts
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION blobs_come_loose();

-- What servers on one database share and make up themselves.
CREATE TABLE server_secrets (
    name        text PRIMARY KEY,
    value       bytea NOT NULL,
    created_at  timestamptz NOT NULL
);
